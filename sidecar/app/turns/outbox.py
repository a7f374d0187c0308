"""Replies on their way: delivered in order per conversation, tried until accepted or refused."""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from sidecar import logs, metrics
from sidecar.api import Channel, Spawn
from sidecar.app.turns import tracing
from sidecar.app.turns.durable import durably
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped, ChannelUnavailable, ReplyHeld, ReplyRefused
from sidecar.model import ConversationKey, Reply
from sidecar.store.journal import Journal
from sidecar.store.records import PendingReply

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
"""Seconds before the second try of a reply; doubles up to LONGEST_WAIT."""
LONGEST_WAIT = 60.0
DROPPED = "dropped by the operator"
"""Why a reply was not delivered that a person gave up."""


class Outbox:
    """Delivers replies. `channel` finds the one that speaks now as the account that the channel of
    an id had."""

    def __init__(
        self,
        journal: Journal,
        channel: Callable[[str, str], Channel | None],
        spawn: Spawn,
        *,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._first_wait = first_wait
        self._journal = journal
        self._channel = channel
        self._spawn = spawn
        self._queues: dict[ConversationKey, deque[PendingReply]] = {}
        self._sending: set[int] = set()
        self._dropped: dict[int, str] = {}
        self._wakes: dict[tuple[str, str], asyncio.Event] = {}
        self._due: dict[ConversationKey, float] = {}
        self._stirred = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many replies are not delivered yet."""
        return sum(len(queue) for queue in self._queues.values())

    @property
    def pending(self) -> list[PendingReply]:
        """The replies that are not delivered yet."""
        return [pending for queue in self._queues.values() for pending in queue]

    def age(self, now: float) -> float:
        """The age in seconds of the oldest reply that is not delivered yet, 0 without one."""
        times = [queue[0].reply.created_at for queue in self._queues.values() if queue]
        return max(0.0, now - min(times, default=now))

    def add(self, replies: Sequence[PendingReply]) -> None:
        """Take over replies that the journal holds."""
        for pending in replies:
            key = pending.conversation_key
            if (queue := self._queues.get(key)) is not None:
                queue.append(pending)
                continue
            self._queues[key] = deque([pending])
            _ = self._spawn(self._deliver(key), f"outbox:{key.channel}")

    def retry(self, channel: str | None = None) -> None:
        """A channel got through, or channels were changed: what waits for it, or them, is tried at
        once."""
        for key in list(self._wakes):
            if channel is None or self._goes_by(channel, *key):
                self._wakes.pop(key).set()

    def holds(self, reply: int) -> bool:
        """Whether a reply waits, or is being sent."""
        return any(pending.id == reply for queue in self._queues.values() for pending in queue)

    async def drop(self, reply: int) -> bool:
        """Give up a reply that waits. False: it does not, or it is being sent now."""
        for queue in self._queues.values():
            for pending in queue:
                if pending.id == reply and reply not in self._sending:
                    await self._drop(pending, queue)
                    return True
        return False

    async def give_up(self, channel: str, account: str, reason: str) -> None:
        """Deliver nothing more for an account; return when each of its replies has its outcome,
        also one that is being sent now."""
        keys = [key for key in self._queues if (key.channel, key.account) == (channel, account)]
        for pending in (one for key in keys for one in self._queues[key]):
            self._dropped[pending.id] = reason
        if keys:
            self.retry(channel)
        while any(key in self._queues for key in keys):
            await self._stirred.wait()

    async def drained(self, by: float = math.inf) -> None:
        """Return when nothing waits that is to be tried before `by`, seconds since the epoch."""
        while any(self._due.get(key, 0.0) < by for key in self._queues):
            await self._stirred.wait()

    async def _drop(self, pending: PendingReply, queue: deque[PendingReply]) -> None:
        if pending is queue[0]:  # whoever tries it gives it up
            self._dropped[pending.id] = DROPPED
            self.retry(pending.reply.channel)
            return
        # Those before it may wait for long, and a restart must not bring it back.
        queue.remove(pending)
        with logs.bound(turn=pending.turn, channel=pending.reply.channel):
            await self._refused(pending, DROPPED)

    async def _deliver(self, key: ConversationKey) -> None:
        queue = self._queues[key]
        try:
            while queue:
                pending = queue[0]
                with (
                    logs.bound(turn=pending.turn, channel=key.channel),
                    tracing.delivery(pending.turn, channel=key.channel),
                ):
                    try:
                        await self._send(key, pending)
                    except Exception:  # a defect must not hold up what else is said there
                        metrics.count("task_failures_total", task="outbox")
                        log.exception("reply %d is left until the next start", pending.id)
                self._dropped.pop(pending.id, None)
                queue.popleft()
        finally:
            del self._queues[key]
            self._stir()

    async def _send(self, key: ConversationKey, pending: PendingReply) -> None:
        attempts, wait = pending.attempts, pending.next_at - time.time()
        wake = self._wake(key)
        while True:
            if pending.id not in self._dropped:
                await self._pause(key, wait, wake)
            if (why := self._dropped.get(pending.id)) is not None:
                return await self._refused(pending, why)
            wake = self._wake(key)  # a retry asked for while this try fails is not lost
            try:
                self._sending.add(pending.id)
                provider_id = await self._try(pending)
            except ReplyRefused as error:
                return await self._refused(pending, str(error))
            except ChannelUnavailable as error:
                attempts += not isinstance(error, ReplyHeld)
                self._sending.discard(pending.id)
                wait = await self._postpone(pending, attempts, error)
            else:
                return await self._delivered(pending, provider_id)
            finally:
                self._sending.discard(pending.id)

    async def _delivered(self, pending: PendingReply, provider_id: str | None) -> None:
        reply = pending.reply
        metrics.count("replies_delivered_total", channel=reply.channel)
        took = time.time() - reply.created_at
        metrics.observe("reply_delivery_seconds", max(0.0, took), channel=reply.channel)
        await durably(lambda: self._journal.delivered(pending.id, provider_id, now=time.time()))

    async def _refused(self, pending: PendingReply, reason: str) -> None:
        metrics.count("replies_refused_total", channel=pending.reply.channel)
        log.error("reply refused for good: %s", reason)
        await durably(lambda: self._journal.refused(pending.id, reason, now=time.time()))

    async def _try(self, pending: PendingReply) -> str | None:
        try:
            provider_id = await self._channel_for(pending.reply).send(pending.reply)
        except (ReplyRefused, ChannelUnavailable):
            raise
        except ChannelStopped as error:
            raise ChannelUnavailable(str(error), LONGEST_WAIT) from error
        except Exception as error:  # a channel's defect must not lose a reply
            log.exception("channel %s: sending failed", pending.reply.channel)
            raise ChannelUnavailable(f"{type(error).__name__}: {error}") from error
        return None if provider_id is None else str(provider_id)  # a channel may give a number

    def _channel_for(self, reply: Reply) -> Channel:
        channel = self._channel(reply.channel, reply.account)
        if channel is None or channel.account != reply.account:
            raise ChannelUnavailable(f"no channel speaks as {reply.account!r} now", LONGEST_WAIT)
        return channel

    async def _postpone(
        self, pending: PendingReply, attempts: int, error: ChannelUnavailable
    ) -> float:
        """Record that a reply is to be tried again, and tell in how many seconds."""
        wait = error.wait or 0.0
        if isinstance(error, ReplyHeld):
            metrics.count("replies_held_total", channel=pending.reply.channel)
            log.info("reply not sent for %.1f s: %s", wait, error)
        else:
            wait = max(wait, self._back_off(attempts))
            metrics.count("replies_postponed_total", channel=pending.reply.channel)
            log.warning("reply not delivered, next try in %.1f s: %s", wait, error)
        next_at = time.time() + wait
        await durably(
            lambda: self._journal.postponed(
                pending.id, attempts=attempts, next_at=next_at, error=str(error)
            )
        )
        return wait

    def _back_off(self, attempts: int) -> float:
        return delay(attempts - 1, first=self._first_wait, most=LONGEST_WAIT, random=random.random)

    async def _pause(self, key: ConversationKey, seconds: float, wake: asyncio.Event) -> None:
        if seconds <= 0:
            return
        self._due[key] = time.time() + seconds
        self._stir()
        try:
            await asyncio.wait_for(wake.wait(), seconds)
        except TimeoutError:
            return
        finally:
            del self._due[key]

    def _wake(self, key: ConversationKey) -> asyncio.Event:
        """What the next call to retry sets."""
        return self._wakes.setdefault((key.channel, key.account), asyncio.Event())

    def _goes_by(self, channel: str, former: str, account: str) -> bool:
        """Whether a channel delivers what one with the same or another id had for an account."""
        found = self._channel(former, account)
        return channel == former or (found is not None and found is self._channel(channel, account))

    def _stir(self) -> None:
        """Something waits longer, or no more: who waits for all looks again."""
        self._stirred.set()
        self._stirred = asyncio.Event()
