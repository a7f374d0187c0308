"""Which turn runs when: routes messages, keeps a lane per conversation, hands out slots."""

import asyncio
import logging
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from sidecar import logs
from sidecar.api import Spawn
from sidecar.app.connecting.speakers import Speaker, readdressed
from sidecar.app.turns.durable import durably
from sidecar.app.turns.holding import let_go, pin, take, unpin
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.snapshot import Snapshot
from sidecar.app.turns.tickets import Lanes, follow, polite, tell_drop, ticket_of
from sidecar.app.turns.turn import TurnRunner
from sidecar.app.turns.work import Running, Work, reply_to
from sidecar.config import model as config
from sidecar.core import queueing, wording
from sidecar.core.queueing import Cancel, Drop, Lane, Ticket
from sidecar.core.slots import Slots
from sidecar.core.trust import lower, trust_of
from sidecar.model import ConversationKey, Message, ReplyKind, Trust
from sidecar.store.journal import Journal
from sidecar.store.records import PendingReply, SessionKey

log = logging.getLogger(__name__)

NO_LIMIT = 1 << 30
STOP_SLACK = 2.0
"""Seconds beyond the grace of its processes until a turn that is cut must have ended."""


class Dispatcher:
    """Starts turns and stops them. All decisions are made at once, without waiting.

    `channel` finds the channel that speaks as an account now. Where none does, turns wait.
    """

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        runner: TurnRunner,
        snapshot: Snapshot,
        channel: Speaker,
        spawn: Spawn,
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._runner = runner
        self._snapshot = snapshot
        self._channel = channel
        self._spawn = spawn
        self._state = snapshot.config.state.dir  # that of a later one counts after a restart
        self._lanes: Lanes = {}
        self._waiting: dict[str, Work] = {}
        self._running: dict[str, tuple[Work, Running]] = {}
        self._slots: Slots[ConversationKey] = Slots(
            snapshot.config.limits.concurrent_turns, snapshot.runtime_limits()
        )
        self._open = True
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def running(self) -> Mapping[str, tuple[Work, Running]]:
        """The turns that run, by id."""
        return self._running

    @property
    def waiting(self) -> Mapping[str, Work]:
        """The turns that wait, by id."""
        return self._waiting

    def offer(
        self, turn: str, *messages: Message, recovered: bool = False, patient: bool = False
    ) -> None:
        """Take a turn over; `fill` starts what can start.

        A recovered one was admitted before: the depth of the queue does not count for it. A patient
        one waits for those before it, however its route queues.
        """
        messages = readdressed(messages, self._channel)
        newest = messages[-1]
        route = self._snapshot.router.match(newest)
        if route is None:
            self.drop(turn, newest, "no_route")
            return
        work = Work(turn, messages, route, self._trust(messages, route), self._state)
        self._waiting[turn] = work
        depth = NO_LIMIT if recovered else self._snapshot.config.limits.queue_depth
        lane = self._lanes.get(newest.key, Lane())
        ticket = polite(ticket_of(work), work, self._works(lane))
        ticket = replace(ticket, mode="serial") if patient else ticket
        lane, commands = queueing.offer(lane, ticket, depth)
        self._lanes[newest.key] = lane
        for command in commands:
            match command:
                case Cancel(running):
                    self._supersede(running, lane.waiting[0])
                case Drop(dropped, reason):
                    gone = self._no_longer_waits(dropped)
                    self.drop(dropped, gone.newest, reason, tell=wording.NOT_RUN[reason])
        self._ask_for_slot(newest.key)

    def fill(self) -> None:
        """Start every turn that has a slot."""
        while self._open and (key := self._slots.next()) is not None:
            lane, tickets = queueing.take(self._lanes[key])
            self._lanes[key] = lane
            lead, *others = [self._waiting.pop(ticket.turn) for ticket in tickets]
            for other in others:
                unpin(other, self._spawn)
            lead.merged = tuple(other.turn for other in others)
            for other in others:
                lead.messages += other.messages
            running = lead.pinned or take(self._snapshot, lead.route.runtime)
            lead.pinned, running.since = None, time.time()
            self._running[lead.turn] = (lead, running)
            self._quiet.clear()
            running.task = self._spawn(self._run(lead, running), f"turn:{lead.turn}")

    def drop(
        self,
        turn: str,
        message: Message,
        reason: str,
        *,
        tell: str | None = None,
        kind: ReplyKind = "notice",
    ) -> None:
        """Record that a turn will not run, and tell the sender where there is something to tell."""
        replies = [reply_to(message, tell, kind)] if tell is not None else []
        tell_drop(turn, message, reason, len(replies))

        async def record() -> None:
            pending = await durably(
                lambda: self._journal.drop([turn], reason, now=time.time(), replies=replies)
            )
            self._outbox.add(pending)

        _ = self._spawn(record(), f"drop:{turn}")

    def refused(
        self, turn: str, message: Message, reason: str, replies: Sequence[PendingReply]
    ) -> None:
        """The journal has it that a turn will not run: tell that, and deliver the replies."""
        tell_drop(turn, message, reason, len(replies))
        self._outbox.add(replies)

    def cancel(self, turn: str, reason: str, *, tell: str | None = None) -> bool:
        """Stop a running turn, or drop a waiting one. False: it is neither, or it is too late."""
        if turn in self._running:
            _, running = self._running[turn]
            if running.committing or running.cancelled_by is not None or running.task is None:
                return False
            running.cancelled_by, running.tell = reason, tell
            running.cancel_soon()
            return True
        if turn not in self._waiting:
            return False
        work = self._no_longer_waits(turn)
        key = work.newest.key
        self._lanes[key] = queueing.withdraw(self._lanes[key], turn)
        self._ask_for_slot(key)
        self.drop(turn, work.newest, reason, tell=tell)
        return True

    def forget(self, conversation: str, keys: Container[SessionKey]) -> list[SessionKey]:
        """Let running turns of a conversation, or with one of these keys, keep no session; their
        keys."""
        found = []
        for work, running in self._running.values():
            key = running.key
            if key and (key in keys or work.newest.conversation.id == conversation):
                running.forgotten = True
                found.append(key)
        return found

    def use(self, snapshot: Snapshot) -> None:
        """Take over a new snapshot, and that channels changed: what waits is routed anew, or is
        pinned to the one before if the new one wants that; what runs goes on as it began."""
        before, self._snapshot = self._snapshot, snapshot
        pins = snapshot.config.reload.pin_queued
        self._slots.resize(snapshot.config.limits.concurrent_turns, snapshot.runtime_limits())
        for work in (*self._waiting.values(), *(work for work, _ in self._running.values())):
            work.messages = readdressed(work.messages, self._channel)
        for key in follow(self._lanes, self._channel):
            self._slots.forget(key)
        for key, lane in list(self._lanes.items()):
            found = (
                self._pin(old, before) if pins else self._route_anew(old.turn)
                for old in lane.waiting
            )
            kept = [ticket for ticket in found if ticket is not None]
            self._lanes[key] = Lane(lane.running, tuple(kept))
            self._ask_for_slot(key)
        self.fill()

    async def drain(self, timeout: float) -> None:
        """Start nothing more; give running turns `timeout` seconds, then stop them.

        What is cut here, and what waits, is found in the journal by the next start.
        """
        self._open = False
        if await self._quiet_within(timeout):
            return
        log.warning("%d turn(s) are cut; they run again at the next start", len(self._running))
        for _, running in self._running.values():
            running.cancel_soon()
        await self._quiet_within(self._snapshot.config.limits.stop_grace + STOP_SLACK)

    async def _quiet_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), seconds)
        return self._quiet.is_set()  # with no time, it is not even looked at

    async def _run(self, work: Work, running: Running) -> None:
        key = work.newest.key
        with logs.bound(turn=work.turn, channel=key.channel, conversation=key.conversation):
            try:
                await self._runner.run(work, running)
            finally:
                self._finished(work, running)

    def _supersede(self, turn: str, ticket: Ticket) -> None:
        """Stop a running turn for a waiting one; of its group, that answers its messages, too."""
        work, running = self._running[turn]
        self.cancel(turn, "superseded")
        if running.cancelled_by == "superseded" and not running.committing:
            alike = ticket.group == ticket_of(work).group
            running.heir = self._waiting[ticket.turn] if alike else None
            running.tell = None if alike else wording.SUPERSEDED

    def _finished(self, work: Work, running: Running) -> None:
        key = work.newest.key  # it may be another one than at the beginning
        del self._running[work.turn]
        if (heir := running.heir) is not None and self._waiting.get(heir.turn) is heir:
            heir.inherit(work.messages, self._trust(work.messages, heir.route))
        self._slots.release(work.route.runtime)
        let_go(running, self._spawn)
        self._lanes[key] = queueing.finished(self._lanes[key])
        self._ask_for_slot(key)
        self.fill()
        if not self._running:
            self._quiet.set()

    def _ask_for_slot(self, key: ConversationKey) -> None:
        lane = self._lanes[key]
        if lane.ready and self._channel(key.channel, key.account) is not None:
            self._slots.wait(key, self._waiting[lane.waiting[0].turn].route.runtime)
            return
        self._slots.forget(key)
        if lane.idle:
            del self._lanes[key]

    def _no_longer_waits(self, turn: str) -> Work:
        work = self._waiting.pop(turn)
        unpin(work, self._spawn)
        return work

    def _pin(self, ticket: Ticket, snapshot: Snapshot) -> Ticket:
        """Let a turn run as a snapshot wants it, but with no more trust than it would have now."""
        work = self._waiting[ticket.turn]
        work.trust = lower(work.trust, self._trust(work.messages, work.route))
        pinned = pin(work, snapshot)
        return replace(ticket, group=(ticket_of(work).group, pinned.snapshot.generation))

    def _route_anew(self, turn: str) -> Ticket | None:
        work = self._waiting[turn]
        unpin(work, self._spawn)
        newest = work.newest
        route = self._snapshot.router.match(newest)
        if route is None:
            del self._waiting[turn]
            self.drop(turn, newest, "no_route", tell=wording.NO_ROUTE)
            return None
        work.route, work.trust = route, self._trust(work.messages, route)
        return ticket_of(work)

    def _works(self, lane: Lane) -> list[Work]:
        """The turns of a lane."""
        running = [] if lane.running is None else [self._running[lane.running][0]]
        return [*(self._waiting[ticket.turn] for ticket in lane.waiting), *running]

    def _trust(self, messages: Sequence[Message], route: config.Route) -> Trust:
        """The lowest that the route and each sender have; of a channel that is gone, nothing."""
        channel = self._channel(messages[-1].channel, messages[-1].account)
        if channel is None:
            return "public"
        return trust_of(route.trust, channel.grant, messages)
