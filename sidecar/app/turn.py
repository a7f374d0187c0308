"""One turn, from the journal's start record to the reply in the outbox."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import cast

from sidecar import metrics
from sidecar.api import Channel, Progress, ShowsProgress, Spawn
from sidecar.app.attempts import Attempts
from sidecar.app.durable import durably
from sidecar.app.outbox import Outbox
from sidecar.app.work import Running, Work, reply_to
from sidecar.core import wording
from sidecar.core.splitting import answer, split
from sidecar.errors import OutcomeFinal
from sidecar.model import Failure, Reply, TurnEnded
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, PendingReply, StartedTurn

log = logging.getLogger(__name__)


class TurnRunner:
    """Runs turns. `channel` finds the channel of an id."""

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        channel: Callable[[str], Channel | None],
        spawn: Spawn,
    ) -> None:
        self._journal = journal
        self._outbox = outbox
        self._channel = channel
        self._spawn = spawn

    async def run(self, work: Work, running: Running) -> None:
        """Run a turn to its end and record the outcome.

        Cancelled for a reason (`running.cancelled_by`), that is recorded too; cancelled without
        one, nothing is, so that the turn runs again after the next start.
        """
        progress: Progress | None = None
        session: str | None = None
        replies: list[Reply] = []
        try:
            started = await self._start(work, running)
            progress = self._progress(work)
            attempts = self._attempts(work, running, started, progress)
            ended = await attempts.run()
            session = ended.session
            outcome, replies = self._outcome(work, attempts, ended)
        except asyncio.CancelledError:
            if running.cancelled_by is None:
                self._close(work, progress)
                raise
            outcome = Outcome("cancelled", running.cancelled_by)
        except OutcomeFinal:
            raise
        except Exception as error:  # a defect of any part must not leave a message unanswered
            log.exception("turn failed")
            failure = Failure("internal", f"{type(error).__name__}: {error}")
            outcome, replies = self._failed(work, failure, limit=0.0)
        running.committing = True
        metrics.count("turns_total", route=work.route.name, outcome=outcome.state)
        closed = self._close(work, progress, reply_follows=bool(replies))
        pending = await self._finish(work, running, outcome, session, replies)
        if closed is not None and replies:
            await asyncio.wait([closed])
        self._outbox.add(pending)

    async def _start(self, work: Work, running: Running) -> StartedTurn:
        key = work.session_key(running.use.config)
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
        )

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
        return self._spawn(progress.close(reply_follows=reply_follows), f"progress:{work.turn}")

    def _outcome(
        self, work: Work, attempts: Attempts, ended: TurnEnded
    ) -> tuple[Outcome, list[Reply]]:
        if ended.failure is not None:
            idle = ended.failure.kind == "idle_timeout"
            limit = attempts.idle_timeout if idle else attempts.turn_timeout
            return self._failed(work, ended.failure, limit=limit)
        text = answer(ended.text)
        if text is None:
            return Outcome("silent", usage=ended.usage), []
        channel = self._channel(work.newest.channel)
        pieces = split(text, channel.max_text if channel is not None else None)
        replies = [
            reply_to(work.newest, piece, "answer", last=number == len(pieces))
            for number, piece in enumerate(pieces, start=1)
        ]
        return Outcome("answered", usage=ended.usage), replies

    def _failed(self, work: Work, failure: Failure, *, limit: float) -> tuple[Outcome, list[Reply]]:
        metrics.count("turn_failures_total", route=work.route.name, kind=failure.kind)
        log.error("turn failed (%s): %s", failure.kind, failure.detail)
        text = wording.failure_text(failure, reference=work.turn, limit=limit)
        outcome = Outcome("failed", f"{failure.kind}: {failure.detail}")
        return outcome, [reply_to(work.newest, text, "error")]

    async def _finish(
        self,
        work: Work,
        running: Running,
        outcome: Outcome,
        session: str | None,
        replies: list[Reply],
    ) -> list[PendingReply]:
        key = work.session_key(running.use.config)
        pending = await durably(
            lambda: self._journal.finish(
                work.turn, outcome, key=key, session=session, now=time.time(), replies=replies
            )
        )
        log.info("turn %s in %.2f s", outcome.state, time.time() - running.since)
        return pending
