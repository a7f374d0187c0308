"""How a socket to the Hub is, as it changes."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


def changed(status: S, state: str, reason: str, welcomes: int) -> S:
    """A status of a socket in another state; `welcomes` counts how often the Hub let us in."""
    return replace(
        status,
        state=state,
        since=time.time(),
        reason=reason,
        connection=uuid4().hex if state == "connected" else None,
        reconnects=max(0, welcomes - 1),
    )
