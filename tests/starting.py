"""Starts commands for tests: by a fork where that comes to the same, which is quick."""

import asyncio
import atexit
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from tests.forkserver import Checks, ask
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "GLIBC_")
"""How the variables begin that only a fresh process takes notice of."""


class Forkserver:
    """The process that forks, started when it is asked first; for one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._env = read_at_the_start(os.environ)  # whatever the first test to ask sets
        self._address = b""

    def can(self, env: Mapping[str, str]) -> bool:
        """Whether a process with such an environment can be started so."""
        return hasattr(os, "pidfd_open") and read_at_the_start(env) == self._env

    def start(self, command: tuple[str, ...], cwd: Path, env: dict[str, str], output: int) -> int:
        """The id of a process that was started. Blocks."""
        with Path(os.devnull).open("rb") as nothing:
            descriptors = [nothing.fileno(), output, output]
            return self._ask((command, str(cwd), env), descriptors)

    def end(self, pid: int) -> int:
        """The exit code of a process, as of `asyncio.subprocess.Process`. Blocks until it ends."""
        return os.waitstatus_to_exitcode(self._ask(pid, []))

    def checks(self) -> Checks:
        """What starts processes as `subprocess` does. Blocks."""
        with self._lock:
            if self._socket is None:
                self._started()
        return Checks(self._address)

    def _ask(self, message: object, descriptors: list[int]) -> int:
        with self._lock:
            return ask(self._socket or self._started(), message, descriptors)

    def _started(self) -> socket.socket:
        self._socket, theirs = socket.socketpair()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0forkserver-{secrets.token_hex(8)}")
        listener.listen()
        self._address = listener.getsockname()
        numbers = [theirs.fileno(), listener.fileno()]
        others = {name: os.environ[name] for name in os.environ if not is_read(name)}
        with theirs, listener:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.forkserver", *map(str, numbers)],
                cwd=ROOT,
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**others, **self._env},
            )
        atexit.register(process.wait)
        atexit.register(self._socket.close)  # which comes first, and ends it
        return self._socket


def is_read(name: str) -> bool:
    return name.startswith(READ_AT_THE_START)


def read_at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    found = {name: env[name] for name in env if is_read(name)}
    found.pop("PYTHONPATH", None)
    if found.get("PYTHONWARNINGS") == "error":
        del found["PYTHONWARNINGS"]
    return found


class Forked:
    """A process that was forked, as an `asyncio.subprocess.Process`."""

    def __init__(self, server: Forkserver, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._ended = asyncio.Event()
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.returncode = self._server.end(self.pid)
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:  # until then, its number is its own
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = asyncio.subprocess.Process | Forked
_server = Forkserver()


async def start(
    *command: str,
    output: IO[bytes] | int,
    env: Mapping[str, str],
    cwd: Path | None = None,
    fresh: bool = False,
) -> Process:
    """Start `python COMMAND` with both its outputs to a file; `fresh` is not by a fork."""
    if not fresh and command[0] == "-m" and _server.can(env):
        number = output if isinstance(output, int) else output.fileno()
        asked = (command, cwd or Path.cwd(), dict(env), number)
        return Forked(_server, await asyncio.to_thread(_server.start, *asked))
    return await asyncio.create_subprocess_exec(
        sys.executable, *command,
        stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env,
    )  # fmt: skip


async def run(*command: str, cwd: Path, env: Mapping[str, str]) -> tuple[int, bytes]:
    """The exit code and the output of `python COMMAND`, when it has ended."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    with os.fdopen(ours, "rb", 0) as pipe:
        try:
            process = await start(*command, output=theirs, cwd=cwd, env=env)
        finally:
            os.close(theirs)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        output = await reader.read()
        transport.close()
        return await process.wait(), output


def said(*command: str, given: bytes = b"", **options: Any) -> tuple[int, bytes, bytes]:
    """The exit code of `python COMMAND`, which is given something, and both its outputs. Blocks."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with popen(*command, **pipes, **options) as process:
        try:
            out, err = process.communicate(given, PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out, err


def popen(*command: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `python COMMAND` as `subprocess.Popen` does. Blocks."""
    forkable = command[0] == "-m" or command[:2] == ("-I", "-c")
    can = forkable and _server.can(options.get("env") or os.environ)
    maker = _server.checks() if can else subprocess
    found: subprocess.Popen[bytes] = maker.Popen([sys.executable, *command], **options)
    return found


def checks() -> Checks | ModuleType:
    """What stands for `subprocess` in `sidecar.app.checking.load`: its processes are forks then."""
    return _server.checks() if _server.can(os.environ) else subprocess
