"""Watches the event loop: whatever holds it up delays every turn and every connection."""

import asyncio
import logging

from sidecar import metrics
from sidecar.app.chores import tick

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between measurements, at most."""
LATE = 0.5
"""Seconds of delay that are worth a line in the log."""


async def watch_loop() -> None:
    """Measure for ever how late a timer is."""
    loop = asyncio.get_running_loop()
    while True:
        due = await tick(PAUSE)
        lag = max(0.0, loop.time() - due)
        metrics.observe("event_loop_lag_seconds", lag)
        if lag > LATE:
            log.warning("the event loop was held up for %.1f s", lag)
