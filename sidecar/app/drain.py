"""How a sidecar comes to rest: nothing comes in any more, and what is under way may end in time."""

import asyncio
import logging
import time
from contextlib import suppress

from sidecar.app.connecting.channels import Channels
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outbox import Outbox
from sidecar.config.model import Limits

log = logging.getLogger(__name__)


async def drain(limits: Limits, channels: Channels, dispatcher: Dispatcher, outbox: Outbox) -> None:
    """Stop receiving; return when turns have ended and replies are sent, or the time is over."""
    began = time.monotonic()
    await channels.stop_receiving()
    log.info("stopping: %d turn(s) run", len(dispatcher.running))
    await dispatcher.drain(max(0.0, began + limits.turns_drain - time.monotonic()))
    left = max(0.5, began + limits.drain_timeout - time.monotonic())
    with suppress(TimeoutError):
        await asyncio.wait_for(outbox.drained(by=time.time() + left), left)
    if outbox.waiting:
        log.warning("%d reply(s) stay for the next start", outbox.waiting)
