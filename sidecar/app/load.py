"""From the config file to something that can run, checked in another process."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from sidecar.app.watch import Digests
from sidecar.config.model import Config
from sidecar.config.problems import Position, Problem

TIMEOUT = 120.0
"""Seconds after which a check that does not end is given up."""

_PROGRAM = """\
import sys
sys.path[:] = sys.argv[2:]
from sidecar.app.check import main
main(sys.argv[1])
"""

Adapt = Callable[[Config], Awaitable[Config]]
"""Changes a checked configuration before it is used, as the development Hub does."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What became of a config file. `config` is None where there is an error.

    `draft` is what could be understood all the same, for commands that only look. `sources` are
    the texts that problems point into, `inputs` the files whose content matters, with what they
    held.
    """

    config: Config | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: Digests


class Loading:
    """A config file that is being checked by another process."""

    def __init__(self, path: Path) -> None:
        self._path = path
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
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    def wait(self) -> Candidate:
        """The result. Blocks; whatever becomes of the other process, nothing is raised."""
        if self._checker is None:
            return self._failed(self._refusal)
        try:
            answer, _ = self._checker.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self._checker.kill()
            self._checker.communicate()
            return self._failed(f"it took more than {TIMEOUT:.0f} s")
        if self._checker.returncode != 0:
            return self._failed(f"the check ended with {self._checker.returncode}")
        try:
            return cast(Candidate, pickle.loads(answer))  # noqa: S301 -- from our own process
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with it, it is no answer
            return self._failed(f"its answer cannot be read: {error}")

    def _failed(self, reason: str) -> Candidate:
        message = f"the config cannot be checked: {reason}"
        problem = Problem("unchecked", message, Position(str(self._path)))
        return Candidate(None, None, (problem,), {}, {Path.cwd() / self._path: None})


async def load_adapted(path: Path, adapt: Adapt | None) -> Candidate:
    """Load without holding up the loop, then adapt."""
    found = await asyncio.to_thread(lambda: Loading(path).wait())
    if found.config is None or adapt is None:
        return found
    return replace(found, config=await adapt(found.config))
