"""From the config file to something that can run, checked in another process."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path

from sidecar import metrics
from sidecar.app.checking.candidate import NO_MEMORY, UNCHECKED, Candidate, Memory, read_answer
from sidecar.app.checking.overdue import LONG, Overdue
from sidecar.app.watching.digests import digests
from sidecar.config.model import Config
from sidecar.config.problems import Position, Problem

log = logging.getLogger(__name__)

MOST_AGAIN = 3
"""Checks of a file that is written again and again, after the first; whoever watches it asks again
later."""
TIMEOUT = 120.0
"""Seconds after which a check that does not end is given up."""

_PROGRAM = """\
import gc, os, sys
os.setpgid(0, 0)
gc.disable()
sys.path[:] = sys.argv[4:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
from sidecar.app.checking.check import main
main(*sys.argv[1:4])
sys.stdout.flush()
os._exit(0)
"""
"""It leads a group, so that its forks can be killed with it. It ends before there is much garbage,
and all at once: looking for that, and taking apart what is left, would take a tenth of its time. On
Linux it is killed when whoever asked has died: from linux/prctl.h, 1 is PR_SET_PDEATHSIG, and 9 is
SIGKILL."""

Adapt = Callable[[Config], Awaitable[Config]]
"""Changes a checked configuration before it is used, as the development Hub does."""


class Loading:
    """A config file that is being checked by another process.

    What the control plane set is in the folder `inside` the state folder, or at an absolute path.
    The file is read as if it were at the place of the one that it `stands_for`.
    """

    def __init__(
        self,
        path: Path,
        memory: Memory = NO_MEMORY,
        inside: str = "",
        stands_for: Path | None = None,
    ) -> None:
        self._path = path
        self._inside = inside
        self._place = stands_for or path
        self._memory = memory
        self._checker: subprocess.Popen[bytes] | None = None
        self._refusal = ""
        try:
            self._checker = self._start(path)
        except OSError as error:  # too many processes, for one
            self._refusal = f"it cannot be started: {error}"

    def _start(self, path: Path) -> subprocess.Popen[bytes]:
        arguments = (str(path), self._inside, str(self._place))
        return subprocess.Popen(  # noqa: S603 -- our own program
            # It must not take modules from the folder in which it happens to run.
            [sys.executable, "-I", "-c", _PROGRAM, *arguments, *sys.path],
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
            self.end()
            self._checker.communicate()
            return self._failed(f"it took more than {TIMEOUT:.0f} s")
        if self._checker.returncode != 0:
            return self._failed(f"the check ended with {self._checker.returncode}")
        try:
            return read_answer(answer, self._memory)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with it, it is no answer
            return self._failed(f"its answer cannot be read: {error}")

    def end(self) -> None:
        """Have no result: `wait` returns soon."""
        if self._checker is None or self._checker.poll() is not None:
            return
        try:
            os.killpg(self._checker.pid, signal.SIGKILL)
        except OSError:  # it leads no group yet, and has no forks
            self._checker.kill()

    def _failed(self, reason: str) -> Candidate:
        message = f"the config cannot be checked: {reason}"
        problem = Problem(UNCHECKED, message, Position(str(self._path)))
        return Candidate(None, None, (problem,), {}, digests([Path.cwd() / self._path]))


class Loader:
    """Checks the config file `path`, and others that stand for it, without holding up the loop.

    A check is quick where little differs from the last one of the file that found no error, which
    `memory` is of. `adapt` changes what is found; what the control plane set is in the folder
    `inside` the state folder, or at an absolute path. A save of the file, or of one of those that
    `watched` tells, ends a check that takes long, and is checked itself.
    """

    def __init__(
        self,
        path: Path,
        memory: Memory = NO_MEMORY,
        adapt: Adapt | None = None,
        inside: str = "",
        watched: Callable[[], Collection[Path]] = tuple,
    ) -> None:
        self._inside = inside
        self._watched = watched
        self._long = LONG
        self._path = path.absolute()
        self._memory = memory
        self._adapt = adapt
        self._begun: Awaitable[Candidate] | None = None
        self._running: set[Loading] = set()
        self._closed = False

    def begin(self) -> None:
        """Begin to check the file, whose content may turn out to be final."""
        loop = asyncio.get_running_loop()
        self._begun = loop.run_in_executor(None, self._check, self._path)

    @property
    def begun(self) -> Awaitable[Candidate] | None:
        """The last check that was begun so."""
        return self._begun

    async def load(self, path: Path, begun: Awaitable[Candidate] | None = None) -> Candidate:
        """Check a file, or take over the check of it that has begun, and adapt what is found.

        What is written meanwhile is checked anew: the check may have read half of a save.
        """
        found = await (begun or asyncio.to_thread(self._check, path))
        for _ in range(MOST_AGAIN):
            if await asyncio.to_thread(digests, found.inputs) == found.inputs:
                break
            found = await asyncio.to_thread(self._check, path)
        if found.config is None:
            return found
        if path == self._path:
            self._memory = found.memory
        return replace(found, config=await self._adapt(found.config)) if self._adapt else found

    def close(self) -> None:
        """End the checks that run, and each that begins later: a thread that waits for one would
        hold up the end of the process."""
        self._closed = True
        for running in tuple(self._running):
            running.end()

    def _check(self, path: Path) -> Candidate:
        while (found := self._try(path)) is None:
            metrics.count("config_checks_cut_total")
            log.info("a newer save ends the check of %s, which takes long, and is checked", path)
        return found

    def _try(self, path: Path) -> Candidate | None:
        """What a check finds; None where a newer save has ended it."""
        files = {path, *self._watched()}
        loading = Loading(path, self._memory, self._inside, self._path)
        self._running.add(loading)
        # While it starts: before `wait` gives it what is known, it reads no file.
        before = digests(files)
        if self._closed:
            loading.end()
        try:
            with Overdue(lambda: digests(files) != before, loading.end, self._long) as overdue:
                found = loading.wait()
        finally:
            self._running.discard(loading)
        if not overdue.cut or self._closed:
            self._long = LONG
            return found
        # The next one may take twice as long: of saves without end, one that is only slow would
        # otherwise never be checked.
        self._long = min(2 * self._long, TIMEOUT)
        return None
