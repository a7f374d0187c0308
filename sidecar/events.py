"""What happens, told at once to whoever listens; nothing is kept for later.

An event is a name such as `turn.started` and a few facts as JSON values: ids, names, counts. Never
what somebody said, and never a secret.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sidecar import metrics

MOST_WAITING = 1000
"""Events that wait for a slow listener; the oldest ones are left out for further ones."""

Event = tuple[str, Mapping[str, object]]

_listeners: set["asyncio.Queue[Event]"] = set()


def publish(name: str, /, **facts: object) -> None:
    """Tell an event; without a listener, next to nothing is done."""
    for queue in _listeners:
        if queue.full():
            queue.get_nowait()
            metrics.count("events_dropped_total")
        queue.put_nowait((name, facts))


@contextmanager
def listen() -> Iterator["asyncio.Queue[Event]"]:
    """Receive all events from now on, in a queue. It belongs to the running event loop."""
    queue: asyncio.Queue[Event] = asyncio.Queue(MOST_WAITING)
    _listeners.add(queue)
    try:
        yield queue
    finally:
        _listeners.discard(queue)
