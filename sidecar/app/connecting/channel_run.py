"""A channel that runs: started again with back-off until it stops for good."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass

from sidecar import metrics
from sidecar.api import Accept, Channel, ChannelStatus
from sidecar.config.model import Channel as ChannelConfig
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
"""Seconds before the first restart of a channel that failed; doubles up to LONGEST_WAIT."""
LONGEST_WAIT = 60.0
HEALTHY_AFTER = 30.0
"""A run of this many seconds was a good one: the next failure waits FIRST_WAIT again."""


@dataclass(slots=True, eq=False)
class ChannelRun:
    """A channel with its task. `status` is set while the channel itself cannot tell; `reached`
    tells whether it got through to its chat system since it was started last."""

    config: ChannelConfig
    channel: Channel
    task: "asyncio.Task[None] | None" = None
    status: ChannelStatus | None = None
    reached: bool = False

    def serves(self, wanted: ChannelConfig) -> bool:
        """Whether it runs and needs no new connection to be what is wanted."""
        runs = self.task is not None and not self.task.done()
        same = (self.config.type, self.config.options) == (wanted.type, wanted.options)
        return runs and same

    async def keep(self, name: str, accept: Accept, first_wait: float) -> None:
        """Run it again and again. Returns when it has stopped for good."""
        failures = vain = 0
        while True:
            began = time.monotonic()
            self.status, self.reached = None, False
            reason, stopped = await self._once(name, accept)
            healthy = time.monotonic() - began >= HEALTHY_AFTER
            vain = vain + 1 if stopped and not self.reached else 0
            # One that worked until now may work again: its credentials may have been replaced. One
            # that is refused slowly only seems to have worked.
            if stopped and (not healthy or vain > 1):
                metrics.count("channel_stops_total", channel=name)
                log.error("channel %s: stopped: %s", name, reason)
                self.status = ChannelStatus("stopped", time.time(), reason)
                return
            failures = 0 if healthy else failures
            metrics.count("channel_restarts_total", channel=name)
            wait = delay(failures, first=first_wait, most=LONGEST_WAIT, random=random.random)
            failures += 1
            log.warning("channel %s: starting again in %.1f s: %s", name, wait, reason)
            self.status = ChannelStatus("waiting", time.time(), reason)
            await asyncio.sleep(wait)

    async def _once(self, name: str, accept: Accept) -> tuple[str, bool]:
        """Run it once; why that ended, and whether the channel means it for good."""
        try:
            await self.channel.run(accept)
        except ChannelStopped as error:
            return str(error), True
        except Exception as error:  # whatever a channel does wrong, it is started again
            log.exception("channel %s: failed", name)
            return f"{type(error).__name__}: {error}", False
        return "it returned", False

    async def end(self) -> None:
        """End the task; what the channel can send, it still can."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
            self.task = None
