"""One turn, from the journal's start record to the reply in the outbox."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from sidecar import events, logs, metrics
from sidecar.api import Channel, Progress, ShowsProgress, Spawn
from sidecar.app.turns import tracing
from sidecar.app.turns.attempts import Attempts
from sidecar.app.turns.budgets import Budgets
from sidecar.app.turns.durable import durably
from sidecar.app.turns.outages import Outages
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.work import Running, Work, reply_to
from sidecar.core import wording
from sidecar.core.admission import Refusal
from sidecar.core.splitting import answer, split
from sidecar.errors import JournalError, OutcomeFinal
from sidecar.model import Exchange, Failure, Message, Reply, TurnEnded, Usage
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, PendingReply, StartedTurn

log = logging.getLogger(__name__)

RECALLED = 10
"""Earlier turns of which a fresh session is told."""


class TurnRunner:
    """Runs turns. `channel` finds the channel of an id, `outages` learns how turns end."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        channel: Callable[[str], Channel | None],
        spawn: Spawn,
        budgets: Budgets,
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._channel = channel
        self._spawn = spawn
        self._budgets = budgets
        self.outages = Outages()

    async def run(self, work: Work, running: Running) -> None:
        """Run a turn to its end and record the outcome, if its budget allows.

        Cancelled for a reason (`running.cancelled_by`), that is recorded too; cancelled without
        one, nothing is, so that the turn runs again after the next start.
        """
        if (refusal := self._budgets.refusal(work, time.time())) is not None:
            await self._refuse(work, running, refusal)
            return
        message, route = work.newest, work.route
        facts = {"route": route.name, "runtime": route.runtime, "channel": message.channel}
        with tracing.turn(work.turn, message.received_at, running.since, **facts):
            await self._run(work, running)

    async def _run(self, work: Work, running: Running) -> None:
        progress: Progress | None = None
        session: str | None = None
        replies: list[Reply] = []
        try:
            waited = running.since - work.newest.received_at
            metrics.observe("turn_wait_seconds", max(0.0, waited), runtime=work.route.runtime)
            started = await self._start(work, running)
            _tell_start(work, started)
            progress = self._progress(work)
            attempts = self._attempts(work, running, started, progress)
            ended = await attempts.run()
            session = ended.session
            outcome, replies = self._outcome(work, attempts, ended)
            outcome = replace(outcome, total=ended.total)
        except asyncio.CancelledError:
            if running.cancelled_by is None:
                self._close(work, progress)
                raise
            outcome = Outcome("cancelled", running.cancelled_by)
            replies = [reply_to(work.newest, running.tell, "notice")] if running.tell else []
        except OutcomeFinal:
            raise
        except Exception as error:  # a defect of any part must not leave a message unanswered
            log.exception("turn failed")
            outcome, replies = self._defect(work, error)
        running.commit(cancelled=outcome.state == "cancelled")
        _count(work, outcome)
        over = () if running.heir is not None else work.messages
        _tell_end("turn.ended", work, over, replies, outcome=outcome.state)
        closed = self._close(work, progress, reply_follows=bool(replies))
        pending = await self._finish(work, running, outcome, session, replies)
        if closed is not None and replies:
            await asyncio.wait([closed])
        self._outbox.add(pending)

    async def _refuse(self, work: Work, running: Running, refusal: Refusal) -> None:
        """Record that a turn is not run, with those that were merged into it."""
        running.commit()
        metrics.count("turns_dropped_total", reason=refusal.reason)
        replies = [reply_to(work.newest, refusal.tell, "notice")] if refusal.tell else []
        _tell_end("turn.dropped", work, work.messages, replies, reason=refusal.reason)
        log.info("turn not run: %s", refusal.reason)
        turns = (work.turn, *work.merged)
        self._outbox.add(
            await durably(
                lambda: self._journal.drop(turns, refusal.reason, now=time.time(), replies=replies)
            )
        )

    async def _start(self, work: Work, running: Running) -> StartedTurn:
        key = running.key = work.session_key(running.use.config)
        return await durably(
            lambda: self._journal.start(
                work.turn,
                key,
                route=work.route.name,
                generation=running.snapshot.generation,
                now=time.time(),
                merged=work.merged,
            )
        )

    def _attempts(
        self, work: Work, running: Running, started: StartedTurn, progress: Progress | None
    ) -> Attempts:
        key = work.session_key(running.use.config)
        return Attempts(
            work,
            running,
            started,
            progress,
            lambda: durably(lambda: self._journal.forget_session(key)),
            lambda: self._recall(work),
            self._spawn,
        )

    async def _recall(self, work: Work) -> Sequence[Exchange]:
        try:
            return await self._journal.recent(work.newest.key, before=work.turn, most=RECALLED)
        except JournalError:  # the turn is better run without
            metrics.count("journal_failures_total")
            log.exception("what was said before is not known")
            return ()

    def _progress(self, work: Work) -> Progress | None:
        channel = self._channel(work.newest.channel)
        if channel is None or not hasattr(channel, "progress"):
            return None
        return cast(ShowsProgress, channel).progress(work.newest)

    def _close(
        self, work: Work, progress: Progress | None, *, reply_follows: bool = False
    ) -> "asyncio.Task[None] | None":
        """Begin to close the progress, beside what else is to be done; it may fail."""
        if progress is None:
            return None

        async def close() -> None:  # so that what fails at the call fails in the task, too
            await progress.close(reply_follows=reply_follows)

        return self._spawn(close(), f"progress:{work.turn}")

    def _outcome(
        self, work: Work, attempts: Attempts, ended: TurnEnded
    ) -> tuple[Outcome, list[Reply]]:
        self.outages.note(work.route.runtime, ended.failure, time.time())
        if ended.failure is not None:
            idle = ended.failure.kind == "idle_timeout"
            limit = attempts.idle_timeout if idle else attempts.turn_timeout
            return self._failed(work, ended.failure, ended.usage, limit=limit)
        text = answer(ended.text, work.route.no_reply)
        if text is None:
            return Outcome("silent", usage=ended.usage), []
        channel = self._channel(work.newest.channel)
        pieces = split(text, channel.max_text if channel is not None else None)
        replies = [
            reply_to(work.newest, piece, "answer", last=number == len(pieces))
            for number, piece in enumerate(pieces, start=1)
        ]
        return Outcome("answered", usage=ended.usage), replies

    def _failed(
        self, work: Work, failure: Failure, usage: Usage | None, *, limit: float
    ) -> tuple[Outcome, list[Reply]]:
        failure = replace(failure, detail=logs.hidden(failure.detail))  # the journal keeps it
        metrics.count("turn_failures_total", route=work.route.name, kind=failure.kind)
        log.error("turn failed (%s): %s", failure.kind, failure.detail)
        text = wording.failure_text(failure, reference=work.turn, limit=limit)
        outcome = Outcome("failed", f"{failure.kind}: {failure.detail}", usage)
        return outcome, [reply_to(work.newest, text, "error")]

    def _defect(self, work: Work, error: Exception) -> tuple[Outcome, list[Reply]]:
        """The outcome of a turn that met a defect."""
        failure = Failure("internal", f"{type(error).__name__}: {error}")
        return self._failed(work, failure, None, limit=0.0)

    async def _finish(
        self,
        work: Work,
        running: Running,
        outcome: Outcome,
        session: str | None,
        replies: list[Reply],
    ) -> list[PendingReply]:
        """Record an outcome; one that cannot be recorded, as that of a defect."""
        try:
            return await self._record(work, running, outcome, session, replies)
        except JournalError:
            raise
        except Exception as error:  # it must not leave a message unanswered either
            log.exception("the outcome of the turn cannot be recorded")
            running.commit()
            outcome, replies = self._defect(work, error)
            return await self._record(work, running, outcome, None, replies)

    async def _record(
        self,
        work: Work,
        running: Running,
        outcome: Outcome,
        session: str | None,
        replies: list[Reply],
    ) -> list[PendingReply]:
        now = time.time()
        self._budgets.spend(work, outcome.usage, now)
        key, session = running.key, None if running.forgotten else session
        heir = None if running.heir is None else running.heir.turn
        pending = await durably(
            lambda: self._journal.finish(
                work.turn,
                outcome,
                key=key,
                session=session,
                resumed=running.resumed,
                now=now,
                replies=replies,
                merged=work.merged,
                heir=heir,
            )
        )
        with logs.bound(merged=" ".join(work.merged) or None):  # turns that ended with this one
            log.info("turn %s in %.2f s", outcome.state, time.time() - running.since)
        return pending


def _count(work: Work, outcome: Outcome) -> None:
    route, runtime, usage = work.route.name, work.route.runtime, outcome.usage
    tracing.note(outcome=outcome.state)
    metrics.count("turns_total", route=route, runtime=runtime, outcome=outcome.state)
    if usage is not None:
        metrics.count("tokens_total", usage.input_tokens or 0, runtime=runtime, kind="input")
        metrics.count("tokens_total", usage.output_tokens or 0, runtime=runtime, kind="output")
        metrics.count("cost_usd_total", usage.cost_usd or 0, runtime=runtime)


def _tell_end(
    event: str, work: Work, ended: Sequence[Message], replies: Sequence[Reply], **facts: str
) -> None:
    messages = [message.id for message in ended]
    events.publish(event, turn=work.turn, **facts, messages=messages, replies=len(replies))


def _tell_start(work: Work, started: StartedTurn) -> None:
    message = work.newest
    events.publish(
        "turn.started",
        turn=work.turn,
        channel=message.channel,
        conversation=message.conversation.id,
        route=work.route.name,
        runtime=work.route.runtime,
        trust=work.trust,
        attempt=started.attempt,
    )
