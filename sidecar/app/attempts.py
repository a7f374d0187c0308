"""A turn's runs of its runtime: one, and one more where that can help."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from sidecar import metrics
from sidecar.api import Progress
from sidecar.app.work import Running, Work
from sidecar.model import Block, Failure, Job, JobLimits, Prompt, SessionStarted, TurnEnded
from sidecar.prompts.render import TurnContext
from sidecar.store.records import StartedTurn

log = logging.getLogger(__name__)

RETRY_WAIT = 1.0
"""Seconds before a turn that failed for a moment is run once more, plus up to as many again."""

_ACTS = ("assistant", "tool_use", "tool_result")
"""Blocks after which a turn is not run again: it would say, or do, the same twice."""


class Attempts:
    """The runs of one turn. `forget_session` is called when its session turns out to be gone."""

    def __init__(
        self,
        work: Work,
        running: Running,
        started: StartedTurn,
        progress: Progress | None,
        forget_session: Callable[[], Awaitable[None]],
    ) -> None:
        self._work = work
        self._running = running
        self._started = started
        self._progress = progress
        self._forget_session = forget_session
        self._acted = False
        limits = running.snapshot.config.limits
        self._limits = JobLimits(
            idle_timeout=work.route.idle_timeout or limits.idle_timeout,
            stop_grace=limits.stop_grace,
            output=limits.output,
        )
        self.turn_timeout = work.route.turn_timeout or limits.turn_timeout

    @property
    def idle_timeout(self) -> float:
        """The clock for output of this turn, in seconds."""
        return self._limits.idle_timeout

    async def run(self) -> TurnEnded:
        """The outcome of the turn.

        A session that is gone is forgotten and the turn runs afresh; a failure that may pass is
        tried once more, if nothing was said or done yet.
        """
        clock = asyncio.timeout(self.turn_timeout)
        try:
            async with clock:
                return await self._until_settled()
        except TimeoutError:
            if not clock.expired():
                raise
            return TurnEnded("", failure=Failure("turn_timeout", f"after {self.turn_timeout} s"))

    async def _until_settled(self) -> TurnEnded:
        session, retried = self._started.session, False
        while True:
            ended = await self._once(session, retried=retried)
            failure = ended.failure
            if failure is None:
                return ended
            if failure.kind == "session_missing" and session is not None:
                log.info("session %s is gone; the turn runs afresh", session)
                await self._forget_session()
                session = None
            elif failure.retryable and not retried and not self._acted:
                log.info("the turn is run once more: %s", failure.detail)
                retried = True
                await asyncio.sleep(RETRY_WAIT * (1 + random.random()))  # noqa: S311 -- jitter
            else:
                return ended

    async def _once(self, session: str | None, *, retried: bool) -> TurnEnded:
        job = self._job(self._prompt(session, retried=retried), session)
        ended: TurnEnded | None = None
        try:
            async with aclosing(self._running.use.runtime.run(job)) as events:
                async for event in events:
                    match event:
                        case Block():
                            self._show(event)
                        case SessionStarted(name):
                            log.debug("session %s", name)
                        case TurnEnded():
                            ended = event
        except Exception as error:  # a runtime's defect must not lose the turn
            log.exception("runtime %s failed", self._work.route.runtime)
            return TurnEnded("", failure=Failure("internal", f"{type(error).__name__}: {error}"))
        if ended is None:
            return TurnEnded("", failure=Failure("internal", "the runtime gave no outcome"))
        return ended

    def _show(self, block: Block) -> None:
        if block.kind in _ACTS:
            self._acted = True
        if self._progress is not None:
            self._progress.show(block)

    def _prompt(self, session: str | None, *, retried: bool) -> Prompt:
        work, config = self._work, self._running.snapshot.config
        again = retried or self._started.attempt > 1
        rendered = self._running.snapshot.prompts.render(
            TurnContext(
                messages=work.messages,
                route=work.route,
                trust=work.trust,
                turn=work.turn,
                now=time.time(),
                attempt=self._started.attempt,
                reason="retry" if again else "coalesced" if work.merged else "message",
                session_turns=self._started.session_turns if session else 0,
                resumed=session is not None,
                env={name: os.environ[name] for name in config.context.env if name in os.environ},
            )
        )
        for failure in rendered.failures:
            metrics.count("template_failures_total", route=work.route.name)
            log.warning("template failed, the built-in one takes its place: %s", failure)
        return rendered.prompt

    def _job(self, prompt: Prompt, session: str | None) -> Job:
        work, message = self._work, self._work.newest
        return Job(
            turn=work.turn,
            account=message.account,
            prompt=prompt,
            cwd=work.route.cwd,
            trust=work.trust,
            session=session,
            args=work.route.args,
            message={
                "id": message.id,
                "channel": message.channel,
                "conversation": message.conversation.id,
                "kind": message.conversation.kind,
                "thread": message.conversation.thread,
                "sender": message.sender.id,
                "sender_kind": message.sender.kind,
                "mentioned": message.mentioned,
                "attempt": self._started.attempt,
                "session_turns": self._started.session_turns if session else 0,
            },
            limits=self._limits,
        )
