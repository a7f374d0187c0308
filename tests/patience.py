"""How long tests wait for what must come: so long that only what hangs fails, not what is slow."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds that a test waits at most for something that must come."""


async def until(
    condition: Callable[[], Any], *, poll: float = 0.005, patience: float = PATIENCE
) -> Any:
    """Wait until a condition holds, which may have to be awaited; its value."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if loop.time() > end:
            raise AssertionError(f"{condition!r} did not hold within {patience:g} s")
        await asyncio.sleep(poll)
