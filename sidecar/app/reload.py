"""A saved config takes effect: all of it or nothing, and only what changed is touched."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar import metrics
from sidecar.api import Host, Spawn
from sidecar.app.load import Adapt, Candidate, load_adapted
from sidecar.app.snapshot import Snapshot, build
from sidecar.config.model import Config
from sidecar.config.problems import Problem
from sidecar.errors import PluginError

log = logging.getLogger(__name__)

KEPT = 10
"""How many past reloads are kept for status."""

PROCESS_FIELDS = ("state", "server")
"""Top-level keys that take effect only with a new process."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reload led to. `pending` are the keys that wait for a new process."""

    at: float
    trigger: str
    result: Literal["applied", "unchanged", "rejected"]
    generation: int
    problems: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


class Reloader:
    """Owns the current snapshot and replaces it. `apply` makes the parts that run follow it."""

    def __init__(
        self,
        path: Path,
        adapt: Adapt | None,
        first: Snapshot,
        inputs: frozenset[Path],
        host: Callable[[str], Host],
        spawn: Spawn,
        apply: Callable[[Snapshot], Awaitable[None]],
    ) -> None:
        self.snapshot = first
        self.inputs = inputs
        self.history: deque[Outcome] = deque(maxlen=KEPT)
        self._path = path
        self._adapt = adapt
        self._host = host
        self._spawn = spawn
        self._apply = apply
        self._begun_with = first.config
        self._one_at_a_time = asyncio.Lock()

    async def reload(self, trigger: str) -> Outcome:
        """Load the file again and apply it. A problem leaves everything as it is."""
        async with self._one_at_a_time:
            found = await load_adapted(self._path, self._adapt)
            self.inputs = found.inputs
            old = self.snapshot
            outcome = self._swap(found, trigger)
            if outcome.result != "rejected":
                await self._apply(self.snapshot)
                self._retire(old, self.snapshot)
        metrics.count("config_reloads_total", result=outcome.result)
        self.history.append(outcome)
        return outcome

    def _swap(self, found: Candidate, trigger: str) -> Outcome:
        old = self.snapshot
        if found.config is None:
            errors = [_line(one) for one in found.problems if one.level == "error"]
            return self._rejected(trigger, errors)
        if found.config == old.config:
            log.info("config unchanged (%s)", trigger)
            return Outcome(time.time(), trigger, "unchanged", old.generation)
        try:
            new = build(found.config, self._host, old)
        except PluginError as error:
            return self._rejected(trigger, [str(error)])
        self.snapshot = new
        pending = _pending(self._begun_with, new.config)
        log.info("config applied (%s): generation %d", trigger, new.generation)
        if pending:
            log.warning("takes effect only after a restart: %s", ", ".join(pending))
        return Outcome(time.time(), trigger, "applied", new.generation, pending=pending)

    def _rejected(self, trigger: str, problems: Sequence[str]) -> Outcome:
        log.error("config rejected (%s), the previous one stays in force", trigger)
        for problem in problems:
            log.error("%s", problem)
        generation = self.snapshot.generation
        return Outcome(time.time(), trigger, "rejected", generation, problems=tuple(problems))

    def _retire(self, old: Snapshot, new: Snapshot) -> None:
        kept = {id(use) for use in new.runtimes.values()}
        for name, use in old.runtimes.items():
            if id(use) not in kept:
                use.retired = True
                if not use.users:
                    _ = self._spawn(use.runtime.close(), f"retire:{name}")


def _line(problem: Problem) -> str:
    place = problem.position
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{place.file}:{place.line}:{place.column}: {problem.message}{hint}"


def _pending(begun: Config, now: Config) -> tuple[str, ...]:
    return tuple(name for name in PROCESS_FIELDS if getattr(begun, name) != getattr(now, name))
