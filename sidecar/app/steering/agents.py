"""The agents of this machine: which channel speaks as one, whose it is, and what runs for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from sidecar.app.connecting.channels import Channels
from sidecar.app.reloading.reload import Reloader
from sidecar.app.steering.traces import REMOVED
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outbox import Outbox
from sidecar.core.admission import unfit
from sidecar.core.managed import is_users
from sidecar.model import Message

REVOKED = "revoked"
"""The recorded reason of turns of an agent that was removed."""
END_SLACK = 5.0
"""Seconds beyond the grace of their processes until cancelled turns must have ended."""
_LOOK = 0.05


class Agents:
    """Finds agents among what runs, and ends what runs for one. `settled` returns when no message
    of a channel is being taken over."""

    def __init__(
        self,
        reloader: Reloader,
        channels: Channels,
        dispatcher: Dispatcher,
        outbox: Outbox,
        settled: Callable[[str], Awaitable[None]],
    ) -> None:
        self._reloader = reloader
        self._channels = channels
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._settled = settled

    def channel_of(self, agent: str) -> str | None:
        """The channel that speaks as an agent; of one that cannot tell, its name decides."""
        found = self._channels.statuses().items()
        return next((name for name, (account, _) in found if (account or name) == agent), None)

    def is_taken(self, agent: str) -> bool:
        """Whether a channel speaks as an agent, or has its name."""
        return self.channel_of(agent) is not None or agent in self._channels.statuses()

    def is_users(self, agent: str, credentials: Path) -> bool:
        """Whether the user has an agent, in their config or in a folder of theirs. `credentials` is
        where those of the control plane are."""
        names = self._channels.statuses()
        running = {name: one for name in names if (one := self._channels.config(name)) is not None}
        channels = {**running, **self._reloader.snapshot.config.channels}
        return is_users(channels, agent, credentials)

    def refusal(self, message: Message) -> str | None:
        """Why the channel of a message would refuse it, whatever came before it."""
        channel = self._channels.config(message.channel)
        refusal = None if channel is None else unfit(message, channel)
        return None if refusal is None else refusal.reason

    async def end_turns(self, agent: str) -> None:
        """Return when no turn of the channel of an agent runs or waits; a little later at the
        latest."""
        end = self._reloader.snapshot.config.limits.stop_grace + END_SLACK
        with suppress(TimeoutError):
            async with asyncio.timeout(end):
                await self._settled(agent)
                while turns := self._turns(agent):
                    for turn in turns:
                        self._dispatcher.cancel(turn, REVOKED)
                    await asyncio.sleep(_LOOK)

    async def give_up_replies(self, agent: str) -> None:
        """Return when no reply of the channel of an agent waits; a little later at the latest."""
        with suppress(TimeoutError):  # one that is being sent; `delete_traces` sees to it
            async with asyncio.timeout(END_SLACK):
                await self._outbox.give_up(agent, agent, REMOVED)

    def _turns(self, agent: str) -> list[str]:
        waiting = self._dispatcher.waiting.items()
        running = ((turn, work) for turn, (work, _) in self._dispatcher.running.items())
        return [
            turn
            for turn, work in (*waiting, *running)
            if (work.newest.channel, work.newest.account) == (agent, agent)
        ]
