"""A saved config takes effect: all of it or nothing, and only what changed is touched."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.api import Host, Spawn
from sidecar.app.checking.candidate import UNCHECKED, Candidate
from sidecar.app.lifecycle.heap import collect_new, no_collections
from sidecar.app.reloading import reloaded
from sidecar.app.reloading.outcome import (
    MOST_CHANGES,
    Outcome,
    Proposal,
    Result,
    error_lines,
    left_out,
    shortfall,
    warning_lines,
    with_renewed,
)
from sidecar.app.turns import holding
from sidecar.app.turns.contexts import retire
from sidecar.app.turns.snapshot import Snapshot, build, types_of
from sidecar.app.watching.digests import Digests
from sidecar.app.watching.inputs import Inputs
from sidecar.config.comparing.diff import difference, pending, server_in_use
from sidecar.config.comparing.digest import Digester
from sidecar.config.comparing.partial import without
from sidecar.config.comparing.plan import Plan
from sidecar.config.model import Config
from sidecar.config.problems import Problem
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
    makes the parts that run follow it, `keep` is for one that is in force and the files it names.

    `digest` names its configuration, `pending` are the keys of it that wait for a new process,
    and `confirmed_at` is when the file was last found to be in force. `left_out` tells what of the
    control plane's the last load did not take; `unchecked`: it could not check the file, which says
    nothing about that. `tell` is called with what each reload led to.
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
        keep: Callable[[Config, Digests], Coroutine[object, object, None]],
    ) -> None:
        self.path = path.absolute()
        self.snapshot = first
        self._inputs = Inputs(inputs)
        self.left_out: tuple[str, ...] = ()
        self.unchecked = False
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
        self._used = first.config  # of which this process uses what only a new one can replace
        self._last: Outcome | None = None  # of what the file held
        self._warned: tuple[Problem, ...] = ()  # of what is in force
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
            if mine <= self._served and self._last is not None:
                return self._last
            serves = self._asked
            # Who asked later may have changed the file after the check began.
            with no_collections():
                begun = begun if serves == mine else None
                outcome = await self._attempt(trigger, self._found(begun))
            if outcome.result != "rejected":
                self._inputs.use(all_of_it=outcome.result != "degraded")
            self._last = outcome
            self._keep_outcome(outcome)
            self._served = serves
        return outcome

    @property
    def inputs(self) -> Digests:
        """The files to watch, with what was found in them."""
        return self._inputs.watched

    @property
    def shortfall(self) -> str:
        """Why what the file held last could not be used, or not all of it; empty where it is."""
        return shortfall(self._last) if self._last else ""

    def began(self, problems: Sequence[Problem]) -> None:
        """Take note of the problems of the file at the start. With an error, an earlier config is
        in force, and that is told; warnings have been."""
        errors = error_lines(problems)
        if not errors:
            self._warned = tuple(problems)
            return
        generation, name = self.snapshot.generation, self.digest
        self.confirmed_at = 0.0
        outcome = self._last = Outcome(
            time.time(), "start", "rejected", generation, name, name, 0.0, Plan(), errors, ()
        )
        self._keep_outcome(outcome)
        log.critical("%s is invalid: this is a start with the last good config", self.path)
        reloaded.tell(outcome)

    async def plan(self, path: Path) -> Proposal:
        """Tell what would change if the config file held what this one holds."""
        found = await self._load(path, None)
        config = found.config
        if config is None:
            return Proposal(None, Plan(), error_lines(found.problems))
        plan, _ = await asyncio.to_thread(self._difference, config)
        return Proposal(config, plan, error_lines(found.problems))

    async def adopt(self, trigger: str, change: Callable[[Config], Config]) -> Outcome:
        """Change the configuration that is in force, whatever the file holds: for what must not
        wait until somebody mends the file."""

        async def changed() -> Candidate:
            config = change(self.snapshot.config)
            return Candidate(config, None, self._warned, {}, self.inputs)

        async with self._one_at_a_time:
            outcome = await self._attempt(trigger, changed())
            self._keep_outcome(outcome)
        return outcome

    async def _found(self, begun: Awaitable[Candidate] | None) -> Candidate:
        """What the file comes to."""
        self.unchecked = False
        found = await self._load(self.path, begun)
        self.unchecked = any(problem.code == UNCHECKED for problem in found.problems)
        await self._inputs.take(found.inputs, complete=not self.unchecked)
        self.left_out = left_out(found.problems)
        return found

    def _keep_outcome(self, outcome: Outcome) -> None:
        self.history.append(outcome)
        self.tell(outcome)

    async def _attempt(self, trigger: str, load: Awaitable[Candidate]) -> Outcome:
        began, before, previous = time.monotonic(), self.snapshot, self.digest
        result: Result = "rejected"
        plan, secrets = Plan(), before.config.secrets
        problems, warnings = tuple[str, ...](), tuple[Problem, ...]()
        try:
            found = await load
            if found.config is None:
                problems = error_lines(found.problems)
                plan, failures = await self._keep_up()
                problems += failures
            else:
                secrets |= found.config.secrets
                plan, problems = await self._take(found.config)
                same = self.snapshot is before and not plan.changes
                result = "unchanged" if same else "applied"
                result = "degraded" if problems else result
                warnings = tuple(found.problems)
        except SidecarError as error:
            problems += (Redactor(secrets).redact(str(error)),)
        except Exception as error:  # whatever a part does wrong, the sidecar goes on as it was
            log.exception("the reload failed")
            problems += (Redactor(secrets).redact(f"{type(error).__name__}: {error}"),)
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
            warnings=warning_lines(warnings),
        )
        if result in ("applied", "unchanged"):
            self.confirmed_at = outcome.at
        reloaded.tell(outcome, mended=bool(self._last and self._last.problems))
        if result != "rejected":
            known = {(problem.code, problem.message) for problem in self._warned}
            reloaded.warn([one for one in warnings if (one.code, one.message) not in known])
            self._warned = warnings
        return outcome

    async def _keep_up(self) -> tuple[Plan, tuple[str, ...]]:
        """Have what is in force use what was mended beside the config: new credentials, or what
        kept a channel from working. What that changed, and what of it fails."""
        config = self.snapshot.config
        plan, failures = with_renewed(Plan(), await self._apply(self.snapshot, ()))
        return plan, tuple(map(Redactor(config.secrets).redact, failures))

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
            self.snapshot, self.digest, self.pending = new, name, waiting
            server = server_in_use(self._used.server, config.server)
            self._used = replace(self._used, server=server)
        except Exception:
            await self._apply(old, ())
            raise
        finally:
            if self.snapshot is old:  # also when the sidecar stops meanwhile
                self._retire(new, old)
        self._retire(old, new)
        _ = self._spawn(self._keep(config, self.inputs), "last good config")
        return plan, renewed

    def _compare(self, old: Config, new: Config) -> tuple[bool, Plan, str, tuple[str, ...], Router]:
        """Whether they are the same, the plan, the new digest, what is pending, and the router."""
        router, name = Router(new.routes, new.default_route), self._digester.digest(new)
        plan, waiting = self._difference(new)
        collect_new()
        return old == new, plan, name, waiting, router

    def _difference(self, new: Config) -> tuple[Plan, tuple[str, ...]]:
        """The way to a configuration, and the keys of it that wait for a new process."""
        waiting = pending(self._used, new)
        return difference(self.snapshot.config, new, waiting), waiting

    def _retire(self, old: Snapshot, new: Snapshot) -> None:
        retire(old.contexts, new.contexts, self._spawn)
        kept = {id(use) for use in new.runtimes.values()}
        for use in old.runtimes.values():
            if id(use) not in kept:
                holding.retire(use, self._spawn)
