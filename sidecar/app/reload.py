"""A saved config takes effect: all of it or nothing, and only what changed is touched."""

import asyncio
import gc
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sidecar import events, logs, metrics
from sidecar.api import Host, Spawn
from sidecar.app.candidate import Candidate
from sidecar.app.contexts import retire
from sidecar.app.digests import Digests
from sidecar.app.outcome import (
    MOST_CHANGES,
    Outcome,
    Proposal,
    Result,
    error_lines,
    facts,
    left_out,
    shortfall,
    summary,
    with_renewed,
)
from sidecar.app.snapshot import Snapshot, build, types_of
from sidecar.config.diff import difference, pending
from sidecar.config.digest import Digester
from sidecar.config.model import Config
from sidecar.config.partial import without
from sidecar.config.plan import Plan
from sidecar.core.redact import Redactor
from sidecar.core.routing import Router
from sidecar.errors import PartsFailed, SidecarError
from sidecar.plugins import import_types

log = logging.getLogger(__name__)

KEPT = 10
"""How many past reloads are kept for status."""

Load = Callable[[Path, Awaitable[Candidate] | None], Awaitable[Candidate]]
"""Checks a config file, or takes over a check of it that has begun."""
Apply = Callable[[Snapshot, Collection[str]], Awaitable[Mapping[str, str]]]
"""Makes the parts that run follow a snapshot, and tells what `Renewal.run` does; raises
PartsFailed when the log or one of the named channels cannot be built, or does not start."""


class Reloader:
    """Owns the current snapshot and replaces it by what `load` finds in the file `path`. `apply`
    makes the parts that run follow it, `keep` is for one that is in force.

    `digest` names its configuration, `pending` are the keys of it that wait for a new process,
    and `confirmed_at` is when the file was last found to be in force. `left_out` tells what of the
    control plane's the last load did not take. `tell` is called with what each reload led to.
    """

    def __init__(
        self,
        path: Path,
        load: Load,
        first: Snapshot,
        inputs: Digests,
        host: Callable[[str], Host],
        spawn: Spawn,
        apply: Apply,
        keep: Callable[[Config], Coroutine[object, object, None]],
    ) -> None:
        self.path = path.absolute()
        self.snapshot = first
        self.inputs = inputs
        self.left_out: tuple[str, ...] = ()
        self._digester = Digester()
        self.digest = self._digester.digest(first.config)
        self.pending: tuple[str, ...] = ()
        self.confirmed_at = time.time()
        self.history: deque[Outcome] = deque(maxlen=KEPT)
        self.tell: Callable[[Outcome], None] = lambda _: None
        self._load = load
        self._host = host
        self._spawn = spawn
        self._apply = apply
        self._keep = keep
        self._begun_with = first.config
        self._one_at_a_time = asyncio.Lock()
        self._asked = 0
        self._served = 0

    async def reload(self, trigger: str, begun: Awaitable[Candidate] | None = None) -> Outcome:
        """Load the file again and apply it. A problem leaves everything as it is.

        Whoever asks while a reload runs gets the next one; all who do share it. `begun` is a check
        of the present content of the file.
        """
        self._asked += 1
        mine = self._asked
        async with self._one_at_a_time:
            if mine <= self._served:
                return self.history[-1]
            serves = self._asked
            # Who asked later may have changed the file after the check began.
            with _no_collections():
                begun = begun if serves == mine else None
                outcome = await self._attempt(trigger, self._load(self.path, begun))
            self._keep_outcome(outcome)
            self._served = serves
        return outcome

    @property
    def shortfall(self) -> str:
        """Why what the file held last could not be used, or not all of it; empty where it is."""
        return shortfall(self.history[-1]) if self.history else ""

    def began_with_last_good(self, problems: tuple[str, ...]) -> None:
        """Tell that the file was invalid at the start, and an earlier config is in force."""
        generation, name = self.snapshot.generation, self.digest
        self.confirmed_at = 0.0
        outcome = Outcome(
            time.time(), "start", "rejected", generation, name, name, 0.0, Plan(), problems, ()
        )
        self._keep_outcome(outcome)
        metrics.count("config_reloads_total", result=outcome.result)
        log.critical("%s is invalid: this is a start with the last good config", self.path)
        _log(outcome)

    async def plan(self, path: Path) -> Proposal:
        """Tell what would change if the config file held what this one holds."""
        found = await self._load(path, None)
        config = found.config
        if config is None:
            return Proposal(None, Plan(), error_lines(found.problems))
        plan = await asyncio.to_thread(difference, self.snapshot.config, config)
        return Proposal(config, plan, error_lines(found.problems))

    async def adopt(self, trigger: str, change: Callable[[Config], Config]) -> Outcome:
        """Change the configuration that is in force, whatever the file holds: for what must not
        wait until somebody mends the file."""

        async def changed() -> Candidate:
            return Candidate(change(self.snapshot.config), None, (), {}, self.inputs)

        async with self._one_at_a_time:
            outcome = await self._attempt(trigger, changed())
            self._keep_outcome(outcome)
        return outcome

    def _keep_outcome(self, outcome: Outcome) -> None:
        self.history.append(outcome)
        self.tell(outcome)

    async def _attempt(self, trigger: str, load: Awaitable[Candidate]) -> Outcome:
        began, before, previous = time.monotonic(), self.snapshot, self.digest
        result: Result = "rejected"
        plan, secrets = Plan(), before.config.secrets
        problems: tuple[str, ...] = ()
        try:
            found = await load
            self.inputs = found.inputs
            self.left_out = left_out(found.problems)
            if found.config is None:
                problems = error_lines(found.problems)
            else:
                secrets |= found.config.secrets
                plan, problems = await self._take(found.config)
                same = self.snapshot is before and not plan.changes
                result = "unchanged" if same else "applied"
                result = "degraded" if problems else result
        except SidecarError as error:
            problems = (Redactor(secrets).redact(str(error)),)
        except Exception as error:  # whatever a part does wrong, the sidecar goes on as it was
            log.exception("the reload failed")
            problems = (Redactor(secrets).redact(f"{type(error).__name__}: {error}"),)
        outcome = Outcome(
            at=time.time(),
            trigger=trigger,
            result=result,
            generation=self.snapshot.generation,
            previous=previous,
            digest=self.digest,
            seconds=time.monotonic() - began,
            plan=plan.cut(MOST_CHANGES),
            problems=problems,
            pending=self.pending,
        )
        if result in ("applied", "unchanged"):
            self.confirmed_at = outcome.at
        metrics.count("config_reloads_total", result=result)
        metrics.observe("config_reload_duration_seconds", outcome.seconds)
        events.publish(
            "reload",
            trigger=trigger,
            result=result,
            generation=outcome.generation,
            seconds=outcome.seconds,
        )
        _log(outcome, mended=bool(self.history and self.history[-1].problems))
        for told in self.left_out:
            log.warning("%s", told)
        return outcome

    async def _take(self, config: Config) -> tuple[Plan, tuple[str, ...]]:
        """Make a configuration the present one, if it differs; where it wants that, without the
        parts that do not start. The plan, and the reasons of these.

        Whatever is raised: everything is as it was then.
        """
        failures: list[str] = []
        redact, rest = Redactor(config.secrets).redact, config
        while True:
            try:
                plan, renewed = await self._try(rest)
                plan, kept = with_renewed(plan, renewed)
                return plan, (*failures, *map(redact, kept))
            except PartsFailed as error:
                keeps = config.reload.on_partial == "keep"
                less = without(error.failed, self.snapshot.config, rest) if keeps else None
                if less is None:
                    raise
                failures.append(redact(str(error)))
                rest = less

    async def _try(self, config: Config) -> tuple[Plan, Mapping[str, str]]:
        """The same with all of its parts, or not at all; the plan, and the renewed channels."""
        old = self.snapshot
        same, plan, name, waiting, router = await asyncio.to_thread(
            self._compare, old.config, config
        )
        if same:
            return plan, await self._apply(old, ())  # a channel that stopped may have been mended
        await asyncio.to_thread(import_types, types_of(config))
        new = build(config, self._host, old, router)
        was = old.config.channels
        must = [id_ for id_, channel in config.channels.items() if was.get(id_) != channel]
        try:
            renewed = await self._apply(new, must)
        except Exception:
            await self._apply(old, ())
            self._retire(new, old)
            raise
        self.snapshot, self.digest, self.pending = new, name, waiting
        self._retire(old, new)
        _ = self._spawn(self._keep(config), "last good config")
        return plan, renewed

    def _compare(self, old: Config, new: Config) -> tuple[bool, Plan, str, tuple[str, ...], Router]:
        """Whether they are the same, the plan, and of the new one the digest, what is pending, and
        the router."""
        router, name = Router(new.routes, new.default_route), self._digester.digest(new)
        return old == new, difference(old, new), name, pending(self._begun_with, new), router

    def _retire(self, old: Snapshot, new: Snapshot) -> None:
        retire(old.contexts, new.contexts, self._spawn)
        kept = {id(use) for use in new.runtimes.values()}
        for name, use in old.runtimes.items():
            if id(use) not in kept:
                use.retired = True
                if not use.users:
                    _ = self._spawn(use.runtime.close(), f"retire:{name}")


@contextmanager
def _no_collections() -> Iterator[None]:
    """Thousands of new routes would set off one collection of garbage after the other, each of
    which holds up everything."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _log(outcome: Outcome, *, mended: bool = False) -> None:
    """Tell one reload in one line, each problem in another. `mended`: there were some before."""
    with logs.bound(**facts(outcome)):
        match outcome.result:
            case "rejected":
                log.error("config rejected (%s), the previous one stays in force", outcome.trigger)
            case "unchanged":
                again = ": it is valid again" if mended else ""
                log.info("config unchanged (%s)%s", outcome.trigger, again)
            case "applied":
                log.info("config applied (%s): %s", outcome.trigger, summary(outcome.plan))
            case "degraded":
                log.error("config applied in part (%s): %s", outcome.trigger, summary(outcome.plan))
    for problem in outcome.problems:
        log.error("%s", problem)
    if outcome.result in ("applied", "degraded") and outcome.pending:
        log.warning("takes effect only after a restart: %s", ", ".join(outcome.pending))
