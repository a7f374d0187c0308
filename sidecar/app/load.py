"""From the config file to something that can run, checked in another process."""

import asyncio
import io
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sidecar.app.watch import Digests
from sidecar.config.model import Config, Route
from sidecar.config.problems import Position, Problem

TIMEOUT = 120.0
"""Seconds after which a check that does not end is given up."""
PIECE = 200
"""Routes that are read at once: it takes a few milliseconds, in which no other thread runs."""

_PROGRAM = """\
import sys
sys.path[:] = sys.argv[2:]
from sidecar.app.check import main
main(sys.argv[1])
"""

Adapt = Callable[[Config], Awaitable[Config]]
"""Changes a checked configuration before it is used, as the development Hub does."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What makes the next check of a config quick: what the checker knows of its routes, pickled,
    and the routes themselves."""

    known: bytes = b""
    routes: tuple[Route, ...] = ()


NO_MEMORY = Memory()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What became of a config file. `config` is None where there is an error.

    `draft` is what could be understood all the same, for commands that only look. `sources` are
    the texts that problems point into, `inputs` the files whose content matters, with what they
    held. `memory` is for the next check.
    """

    config: Config | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: Digests
    memory: Memory = NO_MEMORY


def write_answer(found: Candidate, kept: Sequence[int | None], file: IO[bytes]) -> None:
    """Write what a check found, in pieces. Of each route of the config, `kept` tells which one it
    is of those that the memory had, None for a new one."""
    routes: Sequence[Route] = ()
    if found.config is not None:
        routes = [
            route for route, old in zip(found.config.routes, kept, strict=True) if old is None
        ]
        found = replace(found, config=replace(found.config, routes=()))
    pickle.dump((replace(found, draft=None), kept), file)
    for start in range(0, len(routes), PIECE):
        pickle.dump(routes[start : start + PIECE], file)


def read_answer(answer: bytes, memory: Memory) -> Candidate:
    """What a check found, that was given a memory. Blocks, but no other thread."""
    file = io.BytesIO(answer)
    found, kept = _next(file)
    if found.config is None:
        return found  # type: ignore[no-any-return]  # as it was written
    new = (route for _ in kept for route in _next(file))
    routes = tuple(next(new) if old is None else memory.routes[old] for old in kept)
    config = replace(found.config, routes=routes)
    learned = Memory(found.memory.known, routes)
    return replace(found, config=config, draft=config, memory=learned)  # type: ignore[no-any-return]


def _next(file: IO[bytes]) -> Any:
    return pickle.load(file)  # noqa: S301 -- from our own process


class Loading:
    """A config file that is being checked by another process."""

    def __init__(self, path: Path, memory: Memory = NO_MEMORY) -> None:
        self._path = path
        self._memory = memory
        self._checker: subprocess.Popen[bytes] | None = None
        self._refusal = ""
        try:
            self._checker = self._start(path)
        except OSError as error:  # too many processes, for one
            self._refusal = f"it cannot be started: {error}"

    def _start(self, path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 -- our own program
            # It must not take modules from the folder in which it happens to run.
            [sys.executable, "-I", "-c", _PROGRAM, str(path), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def wait(self) -> Candidate:
        """The result. Blocks; whatever becomes of the other process, nothing is raised."""
        if self._checker is None:
            return self._failed(self._refusal)
        try:
            answer, _ = self._checker.communicate(self._memory.known, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self._checker.kill()
            self._checker.communicate()
            return self._failed(f"it took more than {TIMEOUT:.0f} s")
        if self._checker.returncode != 0:
            return self._failed(f"the check ended with {self._checker.returncode}")
        try:
            return read_answer(answer, self._memory)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with it, it is no answer
            return self._failed(f"its answer cannot be read: {error}")

    def _failed(self, reason: str) -> Candidate:
        message = f"the config cannot be checked: {reason}"
        problem = Problem("unchecked", message, Position(str(self._path)))
        return Candidate(None, None, (problem,), {}, {Path.cwd() / self._path: None})


class Loader:
    """Checks the config file `path`, and others beside it, without holding up the loop.

    A check is quick where little differs from the last one of the file that found no error, which
    `memory` is of. `adapt` changes what is found.
    """

    def __init__(self, path: Path, memory: Memory = NO_MEMORY, adapt: Adapt | None = None) -> None:
        self._path = path.absolute()
        self._memory = memory
        self._adapt = adapt
        self._begun: Awaitable[Candidate] | None = None

    def begin(self) -> None:
        """Begin to check the file, whose content may turn out to be final."""
        loop = asyncio.get_running_loop()
        self._begun = loop.run_in_executor(None, self._check, self._path)

    @property
    def begun(self) -> Awaitable[Candidate] | None:
        """The last check that was begun so."""
        return self._begun

    async def load(self, path: Path, begun: Awaitable[Candidate] | None = None) -> Candidate:
        """Check a file, or take over the check of it that has begun, and adapt what is found."""
        found = await (begun or asyncio.to_thread(self._check, path))
        if found.config is None:
            return found
        if path == self._path:
            self._memory = found.memory
        return replace(found, config=await self._adapt(found.config)) if self._adapt else found

    def _check(self, path: Path) -> Candidate:
        return Loading(path, self._memory).wait()
