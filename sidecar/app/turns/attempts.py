"""A turn's runs of its runtime: one, and one more where that can help."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from sidecar import events, metrics
from sidecar.api import Asked, Progress, Spawn
from sidecar.app.turns import tracing
from sidecar.app.turns.contexts import ask
from sidecar.app.turns.roots import misplaced
from sidecar.app.turns.tools import tool_servers
from sidecar.app.turns.work import Running, Work
from sidecar.core import rotation, usage
from sidecar.core.ended import flaw
from sidecar.model import (
    ACTS,
    Block,
    Exchange,
    Failure,
    Job,
    JobLimits,
    Prompt,
    SessionStarted,
    TurnEnded,
    Usage,
)
from sidecar.prompts.render import TurnContext
from sidecar.runtimes.processes.slices import Slice
from sidecar.store.records import StartedTurn
from sidecar.store.workspace import prepare

log = logging.getLogger(__name__)

RETRY_WAIT = 1.0
"""Seconds before a turn that failed for a moment is run once more, plus up to as many again."""


class Attempts:
    """The runs of one turn. `forget_session` is called when its session turns out to be gone,
    `recall` tells what was said before, for a fresh session that takes the place of another."""

    def __init__(
        self,
        work: Work,
        running: Running,
        started: StartedTurn,
        progress: Progress | None,
        forget_session: Callable[[], Awaitable[None]],
        recall: Callable[[], Awaitable[Sequence[Exchange]]],
        spawn: Spawn,
    ) -> None:
        self._work = work
        self._running = running
        self._started = started
        self._progress = progress
        self._forget_session = forget_session
        self._recall = recall
        self._spawn = spawn
        self._facts: Mapping[str, object] = {}
        self._history: tuple[Exchange, ...] = ()
        self._usage: Usage | None = None
        self._acted = False
        self._tools = tool_servers(work, running)
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
                ended = await self._until_settled()
        except TimeoutError:
            if not clock.expired():
                raise
            ended = TurnEnded("", failure=Failure("turn_timeout", f"after {self.turn_timeout} s"))
        return replace(ended, usage=self._usage)

    async def _until_settled(self) -> TurnEnded:
        work, config = self._work, self._running.snapshot.config
        if (failure := await misplaced(work.route, config, work.state)) is not None:
            return TurnEnded("", failure=failure)
        session, retried = await self._session(), False
        await self._prepare()
        self._facts = await self._ask()
        while True:
            ended = await self._once(session, retried=retried)
            self._usage = usage.together(self._usage, ended.usage)
            failure = ended.failure
            if failure is None:
                return ended
            if failure.kind == "session_missing" and session is not None:
                log.info("session %s is gone; the turn runs afresh", session)
                await self._forget_session()
                session, self._history = None, tuple(await self._recall())
            elif failure.retryable and not retried and not self._acted:
                log.info("the turn is run once more: %s", failure.detail)
                retried = True
                await asyncio.sleep(RETRY_WAIT * (1 + random.random()))  # noqa: S311 -- jitter
            else:
                return ended

    async def _session(self) -> str | None:
        """The session to resume; None for a fresh one, also when a bound is reached."""
        started, runtime = self._started, self._running.use.config
        if started.session is None:
            return None
        reached = rotation.worn(
            rotation.bounds(self._work.route.session, runtime.session),
            turns=started.session_turns,
            tokens=started.session_tokens,
            idle=time.time() - started.session_used_at,
        )
        if reached is None:
            return started.session
        metrics.count("sessions_rotated_total", route=self._work.route.name, reason=reached)
        log.info("session %s has reached %s; a fresh one begins", started.session, reached)
        self._history = tuple(await self._recall())
        return None

    async def _prepare(self) -> None:
        """See to it that the account's own folder is there, if the turn works in it."""
        work = self._work
        if work.route.cwd is None:
            await asyncio.to_thread(
                prepare,
                work.cwd,
                channel=work.newest.channel,
                account=work.newest.account,
                runtime=work.route.runtime,
                now=time.time(),
            )

    async def _ask(self) -> Mapping[str, object]:
        """What the context providers tell that the turn's templates use."""
        work, snapshot = self._work, self._running.snapshot
        prompts, of = snapshot.prompts, (work.route, work.newest.channel)
        ready = prompts.are_compiled(*of)
        names = prompts.needs(*of) if ready else await asyncio.to_thread(prompts.needs, *of)
        tools = frozenset(server.name for server in self._tools)
        asked = Asked(work.newest, work.cwd, time.time(), tools, work.trust)
        limit = snapshot.config.context.timeout
        return await ask(snapshot.contexts, names, asked, timeout=limit, spawn=self._spawn)

    async def _once(self, session: str | None, *, retried: bool) -> TurnEnded:
        self._running.resumed = session is not None
        with tracing.part("render"):
            prompt = self._prompt(session, retried=retried)
        with tracing.part("run", runtime=self._work.route.runtime):
            return await self._play(self._job(prompt, session))

    async def _play(self, job: Job) -> TurnEnded:
        ended: TurnEnded | None = None
        clock, share = _Clock(self._work.route.runtime), Slice()
        try:
            async with aclosing(self._running.use.runtime.run(job)) as events:
                async for event in events:
                    share.resume()
                    clock.output()
                    match event:
                        case Block():
                            self._show(event)
                            await share.give_way()
                        case SessionStarted(name):
                            log.debug("session %s", name)
                        case TurnEnded():
                            ended = event
                    share.pause()
        except Exception as error:  # a runtime's defect must not lose the turn
            log.exception("runtime %s failed", self._work.route.runtime)
            return TurnEnded("", failure=Failure("internal", f"{type(error).__name__}: {error}"))
        finally:
            clock.end()
        if ended is None:
            return TurnEnded("", failure=Failure("internal", "the runtime gave no outcome"))
        if (wrong := flaw(ended)) is not None:
            return TurnEnded("", failure=Failure("internal", f"the runtime has a defect: {wrong}"))
        return ended

    def _show(self, block: Block) -> None:
        if block.kind in ACTS:
            self._acted = True
        events.publish(
            "block",
            turn=self._work.turn,
            kind=block.kind,
            name=block.name,
            characters=len(block.text),
            failed=block.failed,
        )
        if self._progress is not None:
            self._progress.show(block)

    def _prompt(self, session: str | None, *, retried: bool) -> Prompt:
        work, config = self._work, self._running.snapshot.config
        again = retried or self._started.attempt > 1
        began = time.monotonic()
        rendered = self._running.snapshot.prompts.render(
            TurnContext(
                messages=work.messages,
                route=work.route,
                trust=work.trust,
                turn=work.turn,
                now=time.time(),
                attempt=self._started.attempt,
                reason="retry" if again else "coalesced" if len(work.messages) > 1 else "message",
                session_turns=self._started.session_turns if session else 0,
                resumed=session is not None,
                history=self._history,
                facts=self._facts,
                env={name: os.environ[name] for name in config.context.env if name in os.environ},
            )
        )
        took = time.monotonic() - began
        metrics.observe("turn_render_seconds", took, runtime=work.route.runtime)
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
            cwd=work.cwd,
            trust=work.trust,
            session=session,
            args=work.route.args,
            model=work.route.model or self._running.use.config.model,
            effort=work.route.effort or self._running.use.config.effort,
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
            tools=self._tools,
            total=self._started.session_total if session else None,
            env=tracing.environment(),
        )


class _Clock:
    """Measures one run of a runtime."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._began = time.monotonic()
        self._silent = True

    def output(self) -> None:
        if self._silent:
            self._silent = False
            took = time.monotonic() - self._began
            metrics.observe("turn_first_output_seconds", took, runtime=self._runtime)

    def end(self) -> None:
        took = time.monotonic() - self._began
        metrics.observe("turn_run_seconds", took, runtime=self._runtime)
