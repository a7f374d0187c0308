"""Watches the event loop: whatever holds it up delays every turn and every connection."""

import asyncio
import logging
import time

from sidecar import metrics
from sidecar.app.lifecycle.chores import tick

log = logging.getLogger(__name__)

PAUSE, CALM_PAUSE = 1.0, 5.0
"""Seconds between measurements, at most: while the process has something to do, and else. Most of
what an idle process takes are its wakes."""
_BUSY = 0.05
"""The share of a processor that it takes when it has something to do."""
LATE = 0.5
"""Seconds of delay that are worth a line in the log."""


async def watch_loop() -> None:
    """Measure for ever how late a timer is."""
    loop = asyncio.get_running_loop()
    pause = PAUSE
    while True:
        before, begin = time.process_time(), loop.time()
        due = await tick(pause)
        now = loop.time()
        lag = max(0.0, now - due)
        metrics.observe("event_loop_lag_seconds", lag)
        if lag > LATE:
            log.warning("the event loop was held up for %.1f s", lag)
        busy = time.process_time() - before > _BUSY * (now - begin)
        pause = PAUSE if busy else CALM_PAUSE
