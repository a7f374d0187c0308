"""What a context provider tells, at once or after a wait."""

from collections.abc import Awaitable
from typing import Any

from sidecar.api import Asked, ContextProvider


async def value_of(provider: ContextProvider, asked: Asked) -> Any:
    """The value for a turn."""
    value = provider.value(asked)
    return await value if isinstance(value, Awaitable) else value
