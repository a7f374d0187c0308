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
from sidecar.model import Failure, Reply, TurnEnded
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome

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
        try:
            attempts, progress = await self._begin(work, running)
            ended = await attempts.run()
        except asyncio.CancelledError:
            if progress is not None:
                _ = self._spawn(progress.close(reply_follows=False), f"progress:{work.turn}")
            if running.cancelled_by is None:
                raise
            running.committing = True
            outcome = Outcome("cancelled", running.cancelled_by)
            metrics.count("turns_total", route=work.route.name, outcome=outcome.state)
            await self._finish(work, running, outcome, None, [])
            return
        running.committing = True
        outcome, replies = self._outcome(work, attempts, ended)
        if progress is not None:
            await progress.close(reply_follows=bool(replies))
        await self._finish(work, running, outcome, ended.session, replies)

    async def _begin(self, work: Work, running: Running) -> tuple[Attempts, Progress | None]:
        key = work.session_key(running.use.config)
        started = await durably(
            lambda: self._journal.start(
                work.turn,
                key,
                route=work.route.name,
                generation=running.snapshot.generation,
                now=time.time(),
                merged=work.merged,
            )
        )
        progress = self._progress(work)
        attempts = Attempts(
            work,
            running,
            started,
            progress,
            lambda: durably(lambda: self._journal.forget_session(key)),
        )
        return attempts, progress

    def _progress(self, work: Work) -> Progress | None:
        channel = self._channel(work.newest.channel)
        if channel is None or not hasattr(channel, "progress"):
            return None
        return cast(ShowsProgress, channel).progress(work.newest)

    def _outcome(
        self, work: Work, attempts: Attempts, ended: TurnEnded
    ) -> tuple[Outcome, list[Reply]]:
        name = work.route.name
        if ended.failure is not None:
            metrics.count("turns_total", route=name, outcome="failed")
            return self._failed(work, attempts, ended.failure)
        text = answer(ended.text)
        if text is None:
            metrics.count("turns_total", route=name, outcome="silent")
            return Outcome("silent", usage=ended.usage), []
        metrics.count("turns_total", route=name, outcome="answered")
        channel = self._channel(work.newest.channel)
        pieces = split(text, channel.max_text if channel is not None else None)
        replies = [
            reply_to(work.newest, piece, "answer", last=number == len(pieces))
            for number, piece in enumerate(pieces, start=1)
        ]
        return Outcome("answered", usage=ended.usage), replies

    def _failed(
        self, work: Work, attempts: Attempts, failure: Failure
    ) -> tuple[Outcome, list[Reply]]:
        metrics.count("turn_failures_total", route=work.route.name, kind=failure.kind)
        log.error("turn failed (%s): %s", failure.kind, failure.detail)
        idle = failure.kind == "idle_timeout"
        text = wording.failure_text(
            failure,
            reference=work.turn,
            limit=attempts.idle_timeout if idle else attempts.turn_timeout,
        )
        outcome = Outcome("failed", f"{failure.kind}: {failure.detail}")
        return outcome, [reply_to(work.newest, text, "error")]

    async def _finish(
        self,
        work: Work,
        running: Running,
        outcome: Outcome,
        session: str | None,
        replies: list[Reply],
    ) -> None:
        key = work.session_key(running.use.config)
        pending = await durably(
            lambda: self._journal.finish(
                work.turn, outcome, key=key, session=session, now=time.time(), replies=replies
            )
        )
        log.info("turn %s in %.2f s", outcome.state, time.time() - running.since)
        self._outbox.add(pending)
