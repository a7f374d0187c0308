"""The way in: messages become durable, then each is admitted or refused."""

import asyncio
import time
from collections.abc import Callable, Sequence

from sidecar import metrics
from sidecar.api import Spawn
from sidecar.app.dispatch import Dispatcher
from sidecar.config import model as config
from sidecar.core.admission import Admission
from sidecar.model import Message
from sidecar.store.journal import Journal


class Intake:
    """Takes messages over from channels. `channel` finds the configuration of a channel."""

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        channel: Callable[[str], config.Channel | None],
        spawn: Spawn,
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._channel = channel
        self._spawn = spawn
        self._admission = Admission()

    async def accept(self, messages: Sequence[Message]) -> None:
        """Return when the messages are durable. Each new one has been offered or refused then.

        Raises:
            JournalError: nothing was taken over; the channel may offer the messages again.
        """
        # A channel may be stopped while it waits here. What the journal has by then is known when
        # it comes again, so it has to be offered now or never.
        await asyncio.shield(self._spawn(self._take(messages), "accept"))

    async def _take(self, messages: Sequence[Message]) -> None:
        now = time.time()
        accepted = await self._journal.accept(messages, now=now)
        for _ in range(len(messages) - len(accepted)):
            _count(messages[0], "repeated")  # one call has the messages of one channel
        for one in accepted:
            message = one.message
            rules = self._channel(message.channel) or config.Channel(message.channel, "removed")
            refusal = self._admission.check(message, rules, now)
            _count(message, "accepted" if refusal is None else refusal.reason)
            if refusal is None:
                self._dispatcher.offer(one.turn, message)
            else:
                self._dispatcher.drop(one.turn, message, refusal.reason, tell=refusal.tell)
        self._dispatcher.fill()


def _count(message: Message, disposition: str) -> None:
    reason = disposition.partition(":")[0]
    metrics.count("messages_total", channel=message.channel, disposition=reason)
