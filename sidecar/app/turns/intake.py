"""The way in: messages become durable, each with the decision whether it may start a turn."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from sidecar import logs, metrics
from sidecar.api import Spawn
from sidecar.app.turns import tracing
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.work import reply_to
from sidecar.config import model as config
from sidecar.core.admission import Admission, Verdicts, identity, unfit
from sidecar.errors import JournalError
from sidecar.model import Attention, Message
from sidecar.store.journal import Journal
from sidecar.store.records import Accepted, Refused

log = logging.getLogger(__name__)

MOST_HELD = 30.0
"""Seconds for which messages are held at most: a channel that hands over what it has before it ends
would wait for the reload that waits for its end."""
MOST_UNSETTLED = 10_000
"""Messages whose verdict is kept because the journal did not take them; the oldest go first."""


class Intake:
    """Takes messages over from channels. `channel` finds the configuration of a channel,
    `attention` knows which messages are to wake their agents."""

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        channel: Callable[[str], config.Channel | None],
        spawn: Spawn,
        attention: AttentionPolicies,
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._channel = channel
        self._spawn = spawn
        self._attention = attention
        self._admission = Admission()
        self._unsettled: Verdicts = {}
        self._taking: dict[asyncio.Task[None], Sequence[Message]] = {}
        self._held: Collection[str] = ()
        self._decided = asyncio.Event()

    @contextmanager
    def holding(self, channels: Collection[str]) -> Iterator[None]:
        """Inside, messages of these channels wait: it is being decided what is to hold for them."""
        self._held, self._decided = channels, asyncio.Event()
        try:
            yield
        finally:
            self._held = ()
            self._decided.set()

    async def accept(self, messages: Sequence[Message]) -> None:
        """Return when the messages are durable. Each new one has been offered or refused then.

        Raises:
            JournalError: nothing was taken over; the channel may offer the messages again.
        """
        # A channel may be stopped while it waits here. What the journal has by then is known when
        # it comes again, so it has to be offered now or never.
        refused: list[JournalError] = []
        task = self._spawn(self._take_over(messages, refused), "accept")
        self._taking[task] = messages
        task.add_done_callback(self._taking.pop)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda _: _tell_refused(refused))
            raise
        if refused:
            raise refused[0]  # whoever offers the messages tells it, with when they come again

    async def settled(self, channel: str) -> None:
        """Return when each message of a channel that is being taken over now was offered, or will
        not be."""
        tasks = [
            task
            for task, messages in self._taking.items()
            if any(one.channel == channel for one in messages)
        ]
        if tasks:
            await asyncio.wait(tasks)

    async def _take_over(self, messages: Sequence[Message], refused: list[JournalError]) -> None:
        """The same, but that the journal refuses is no failure of the task."""
        try:
            await self._take(messages)
        except JournalError as error:
            refused.append(error)

    async def _take(self, messages: Sequence[Message]) -> None:
        await self._let_in(messages)
        attention = await self._attention.of(messages)
        if gone := {one.channel for one in messages if self._channel(one.channel) is None}:
            raise JournalError(f"channel {', '.join(gone)} has been removed meanwhile")
        wanted = {one.id: found for one, found in zip(messages, attention, strict=True)}
        now = time.time()
        # What is not listened to must not reach the agent by way of its other rooms either.
        unheard = {one.id for one in messages if unfit(one, self._rules(one)) is not None}
        verdicts = self._earlier(messages)
        try:
            accepted = await self._journal.accept(
                messages,
                now=now,
                unheard=unheard,
                refuse=lambda one: self._refuse(one, wanted[one.id], now, verdicts),
            )
        except JournalError:
            self._keep(verdicts)
            raise
        for _ in range(len(messages) - len(accepted)):
            _count(messages[0], "repeated")  # one call has the messages of one channel
        for one in accepted:
            _tell(one)
            _count(one.message, one.refused or "accepted")
            if one.refused is None:
                tracing.received(one.turn, one.message.received_at, time.time())
                self._dispatcher.offer(one.turn, one.message)
            else:
                self._dispatcher.refused(one.turn, one.message, one.refused, one.replies)
        self._dispatcher.fill()

    async def _let_in(self, messages: Sequence[Message]) -> None:
        """Return when none of the messages is held."""
        try:
            async with asyncio.timeout(MOST_HELD):
                while any(one.channel in self._held for one in messages):
                    await self._decided.wait()
        except TimeoutError:
            raise JournalError(f"channel {messages[0].channel} is still being changed") from None

    def _earlier(self, messages: Sequence[Message]) -> Verdicts:
        """What was said of messages that the journal did not take then, and that come again."""
        if not self._unsettled:
            return {}
        known = [one for one in map(identity, messages) if one in self._unsettled]
        return {one: self._unsettled.pop(one) for one in known}

    def _keep(self, verdicts: Verdicts) -> None:
        """Remember what was said of messages until they come again: a failed commit undoes rows,
        but not that their senders were counted."""
        self._unsettled |= verdicts
        while len(self._unsettled) > MOST_UNSETTLED:
            del self._unsettled[next(iter(self._unsettled))]

    def _refuse(
        self, message: Message, attention: Attention, now: float, verdicts: Verdicts
    ) -> Refused | None:
        """Why a new message starts no turn. Called in the journal's thread alone: what was asked
        before is counted there."""
        rules = self._rules(message)
        refusal = self._admission.check(
            message, rules, attention, verdicts, now=now, elapsed=time.monotonic()
        )
        if refusal is None:
            return None
        tell = refusal.tell
        return Refused(refusal.reason, [reply_to(message, tell, "notice")] if tell else [])

    def _rules(self, message: Message) -> config.Channel:
        return self._channel(message.channel) or config.Channel(message.channel, "removed")


def _tell_refused(refused: Sequence[JournalError]) -> None:
    for error in refused:
        log.error("messages of a channel that has stopped cannot be kept: %s", error)


def _tell(accepted: Accepted) -> None:
    """One line for a message, whose turn the lines of the turn name too. Nothing that was said."""
    message = accepted.message
    with logs.bound(
        turn=accepted.turn,
        channel=message.channel,
        conversation=message.conversation.id,
        message=message.id,
    ):
        log.info("message %s", "accepted" if accepted.refused is None else "refused")


def _count(message: Message, disposition: str) -> None:
    reason = disposition.partition(":")[0]
    metrics.count("messages_total", channel=message.channel, disposition=reason)
