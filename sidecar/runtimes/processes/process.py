"""A child process in a group of its own, read as fast as its reader can take it.

Its exit is seen while processes that it started still hold its pipes, and what stands in the
pipes then is read; nobody waits for their end.
"""

import asyncio
import math
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sidecar.core.redact import Redactor
from sidecar.runtimes.processes.descriptors import (
    PIPE_MOST,
    Descriptor,
    child_pipes,
    exit_descriptor,
)
from sidecar.runtimes.processes.limits import marked
from sidecar.runtimes.processes.slices import Slice

CHUNK = 1 << 16
"""Bytes of one read."""
TAIL = 8192
"""Bytes of standard error that are kept: the last ones."""
MOST_UNREAD = 8 << 20
"""Bytes that wait for a child in a dialogue, after which it counts as one that does not read."""

_live: set[int] = set()


def live() -> frozenset[int]:
    """The ids of the children that have an owner."""
    return frozenset(_live)


def spawn(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], pipes: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start a child in a new session, with the marks of its environment in its limits, too. Waits
    for its exec, a fraction of a millisecond."""
    stdin, stdout, stderr = pipes
    with marked(env):
        return subprocess.Popen(  # noqa: S603 -- no shell; the operator configured the program
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )


class Process:
    """One child. `active` is the loop time at which it last printed something.

    `stdin` is written to it as it takes it, and then closed unless it is a `dialogue`; one that
    does not want it is fine. `secrets` are what it knows, and nobody is told. Reading stops while
    nobody reads, so that the child waits.

    Raises:
        OSError: it cannot be started. `filename` is `cwd` when it is the folder that is wrong.
        ValueError: an argument or the environment holds a NUL.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes = b"",
        dialogue: bool = False,
        secrets: Collection[str] = (),
    ) -> None:
        self._secrets = secrets
        self._loop = asyncio.get_running_loop()
        theirs, ours = child_pipes()
        self._stdin, self._stdout, self._stderr = (Descriptor(self._loop, end) for end in ours)
        try:
            self._child = spawn(argv, cwd, env, theirs)
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for end in theirs:
                os.close(end)
        self.pid = self._child.pid
        _live.add(self.pid)
        self.active = self._loop.time()
        self._slice = Slice()
        self._waiter: asyncio.Future[None] | None = None
        self._watching = False
        self._left = PIPE_MOST
        self._tail = bytearray()
        self._input = memoryview(stdin)
        self._dialogue = dialogue
        self._exit = Descriptor(self._loop, exit_descriptor(self.pid))
        self._watch_exit()
        self._loop.add_reader(self._stderr.number, self._read_stderr)
        self._write()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._child.returncode

    @property
    def stderr(self) -> str:
        """The end of what it has written to standard error."""
        self._read_stderr()
        return self._tail.decode("utf-8", "replace")

    def hide(self, text: str) -> str:
        """What it has said, as it may be told: without its secrets."""
        return Redactor(self._secrets).redact(text) if text else ""

    async def read(self, deadline: float = math.inf) -> bytes:
        """The next piece of standard output; empty at its end.

        Raises:
            TimeoutError: nothing came until `deadline`, a time of the event loop.
        """
        await self._slice.give_way()
        while (data := self._take()) is None:
            if not self._watching:
                self._loop.add_reader(self._stdout.number, self._readable)
                self._watching = True
            await self._wait(deadline)
        return data

    async def wait(self, deadline: float = math.inf) -> int:
        """The exit code, once it has exited.

        Raises:
            TimeoutError: it still runs at `deadline`, a time of the event loop.
        """
        while self._child.returncode is None:
            await self._wait(deadline)
        return self._child.returncode

    def write(self, data: bytes) -> None:
        """Write more to its standard input, as it takes it: for a `dialogue`. Never waits.

        One that does not read what was written is written nothing more.
        """
        if data and self._stdin.is_open and self._dialogue:
            waiting = len(self._input) > 0
            if len(self._input) > MOST_UNREAD:
                self._dialogue = False
                return
            self._input = memoryview(bytes(self._input) + data if waiting else data)
            if not waiting:
                self._write()

    def begin_anew(self) -> None:
        """Forget what it has written to standard error, and when it was last active."""
        self._read_stderr()
        self._tail.clear()
        self.active = self._loop.time()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def group_is_gone(self) -> bool:
        """Whether nothing is left of its group. Takes away the dead that were left to us."""
        if self.returncode is None:
            return False
        try:
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def close(self) -> None:
        """Let go of it. It is not stopped by this."""
        _live.discard(self.pid)
        self._close_pipes()
        self._exit.close()

    def _take(self) -> bytes | None:
        """What can be read now; empty at the end, None when there may be more later."""
        if not self._stdout.is_open:
            return b""
        exited = self.returncode is not None
        try:
            data = os.read(self._stdout.number, CHUNK) if self._left > 0 else b""
        except BlockingIOError:
            if not exited:
                return None
            data = b""
        if data:
            self.active = self._loop.time()
            self._left -= len(data) if exited else 0
        else:
            self._stdout.close()
        return data

    async def _wait(self, deadline: float) -> None:
        if self._loop.time() >= deadline:
            raise TimeoutError
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._slice.begin()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _readable(self) -> None:
        """Wake the reader. While there is none, the pipe is not watched: it would ring for ever."""
        if self._waiter is not None:
            self._wake()
        else:
            self._loop.remove_reader(self._stdout.number)
            self._watching = False

    def _read_stderr(self) -> None:
        if not self._stderr.is_open:
            return
        try:
            data = os.read(self._stderr.number, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._stderr.close()
            return
        self.active = self._loop.time()
        self._tail += data
        del self._tail[:-TAIL]

    def _write(self) -> None:
        """Write what it takes now, and the rest when it takes more."""
        try:
            while self._input:
                self._input = self._input[os.write(self._stdin.number, self._input) :]
        except BlockingIOError:
            self._loop.add_writer(self._stdin.number, self._write)
            return
        except OSError:  # it has closed its input: it does not want the rest
            self._dialogue = False
        self._input = memoryview(b"")
        if self._dialogue:
            self._loop.remove_writer(self._stdin.number)
        else:
            self._stdin.close()

    def _watch_exit(self) -> None:
        if self._exit.is_open:
            self._loop.add_reader(self._exit.number, self._exited)
        else:
            arguments = (self._child, self._loop, self._exited)
            threading.Thread(target=_wait_for, args=arguments, daemon=True).start()

    def _exited(self) -> None:
        if self._child.poll() is not None:
            self._exit.close()
            self._wake()

    def _close_pipes(self) -> None:
        for end in (self._stdin, self._stdout, self._stderr):
            end.close()


def _wait_for(
    child: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, exited: Callable[[], None]
) -> None:
    """Runs in a thread of its own, where there are no pidfds."""
    child.wait()
    with suppress(RuntimeError):  # the loop has been closed meanwhile
        loop.call_soon_threadsafe(exited)
