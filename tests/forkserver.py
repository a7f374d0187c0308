"""A process that has imported the sidecar, and forks for each start: `tests.starting` asks it.

What it starts is as `python ARGUMENTS` would start it, but for the half second of imports and of
compiling the built-in templates: with a process id, descriptors, a folder and an environment of its
own. It ends as that would, but does not take its modules apart.
"""

import atexit
import gc
import io
import os
import pickle
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    *(f"sidecar.cli.{name}" for name in ("run", "running", "recorded")),
    *(f"sidecar.app.{name}" for name in ("process", "checking.check", "checking.system")),
    *(f"sidecar.contexts.{name}" for name in ("activity", "quoted", "repo", "room", "memory")),
    *("sidecar.channels.botcord", "sidecar.runtimes.command"),
    *("sidecar.config.text.parse", "sidecar.codecs.pieces", "sidecar.prompts.render"),
    *("anyio._backends._asyncio", "concurrent.futures.thread", "watchfiles"),
)
"""What most of the commands import sooner or later, with all that these import."""
LENGTH = 8
"""Bytes of a message that tell how long the rest of it is."""


def main() -> None:
    """Serve the sockets that are given; in each process that it starts, become that."""
    connection, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in MODULES:
            import_module(name)
    templates = sys.modules["sidecar.prompts.render"].Prompts()  # compiled as long as it is there
    templates.prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with whoever asks it
    gc.collect()
    gc.freeze()
    address = listener.getsockname()
    started = Server(connection, listener).serve()
    if started is not None:
        become(*started)
        sys.modules["sidecar.app.checking.load"].subprocess = Checks(address)  # type: ignore[attr-defined]
        leave(execute(list(started[1])))


Started = tuple[list[int], list[str], str, dict[str, str]]
"""The descriptors, the command, the folder and the environment of a process."""


class Server:
    """Starts processes, and tells how they ended: for whoever has the other end of a connection,
    until it closes it, and for those who connect to the listener."""

    def __init__(self, connection: socket.socket, listener: socket.socket) -> None:
        self._first = connection
        self._listener = listener
        self._others: list[socket.socket] = []

    def serve(self) -> Started | None:
        """What to become, in a process that was started; None when nobody asks any more."""
        while True:
            sockets = [self._first, self._listener, *self._others]
            for ready in select.select(sockets, (), ())[0]:
                if ready is self._listener:
                    self._others.append(ready.accept()[0])
                    continue
                try:
                    started = self._answer(ready)
                except (OSError, EOFError, pickle.UnpicklingError):  # it ended, or was killed
                    if ready is self._first:
                        return None
                    self._others.remove(ready)
                    ready.close()
                else:
                    if started is not None:
                        return started

    def _answer(self, asker: socket.socket) -> Started | None:
        """Do what is asked; raises what comes of a connection that has ended."""
        size, descriptors, *_ = socket.recv_fds(asker, LENGTH, 3)
        asked = pickle.loads(received(asker, int.from_bytes(size)))
        if isinstance(asked, int):
            told = os.waitpid(asked, 0)[1]
        else:
            told = os.fork()
            if told == 0:
                for each in (self._first, self._listener, *self._others):
                    each.close()
                return (descriptors, *asked)
        for descriptor in descriptors:
            os.close(descriptor)
        asker.sendall(told.to_bytes(LENGTH))
        return None


def become(descriptors: list[int], command: list[str], cwd: str, env: dict[str, str]) -> None:
    """Make this process what a fresh interpreter would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    isolated = command[0] == "-I"  # which heeds no PYTHONUNBUFFERED
    sys.stdout = anew(sys.stdout, unbuffered=sys.stdout.write_through and not isolated)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if isolated:
        return
    more = env["PYTHONPATH"].split(os.pathsep) if env.get("PYTHONPATH") else []
    sys.path[:] = [cwd, *more, *(folder for folder in sys.path[1:] if folder not in more)]
    if env.get("PYTHONWARNINGS") == "error":
        sys.warnoptions.append("error")
        warnings.simplefilter("error")


def anew(stream: Any, *, unbuffered: bool) -> io.TextIOWrapper:
    """A stream like that, of the same descriptor: it may not be able to seek any more."""
    size = 0 if unbuffered else -1
    return io.TextIOWrapper(
        os.fdopen(stream.fileno(), "wb", size, closefd=False),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=unbuffered,
    )


def execute(command: list[str]) -> int:
    """Do what `python COMMAND` does: `-m MODULE` or `-I -c PROGRAM`, with arguments; the exit
    code. Raises what else ends it."""
    try:
        match command:
            case ["-m", module, *arguments]:
                sys.argv[1:] = arguments
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case ["-I", "-c", program, *arguments]:
                del sys.path[0]
                sys.argv[:] = ["-c", *arguments]
                exec(program, {"__name__": "__main__"})
            case _:
                raise ValueError(command)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        return int(ended.code or 0)
    return 0


def leave(code: int) -> None:
    """End as an interpreter does, up to where it takes apart what it has imported."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    gc.collect()  # which warns of what was left open
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def ask(connection: socket.socket, message: object, descriptors: list[int]) -> int:
    """The answer to a message: a process id, or a status as of `os.waitpid`. Blocks."""
    told = pickle.dumps(message)
    socket.send_fds(connection, [len(told).to_bytes(LENGTH)], descriptors)
    connection.sendall(told)
    answer = received(connection, LENGTH)
    if len(answer) < LENGTH:
        raise ConnectionError("the process that forks has ended")
    return int.from_bytes(answer)


def received(connection: socket.socket, size: int) -> bytes:
    """The next bytes, fewer when it ends before: a process that is stopped gets them in pieces."""
    with connection.makefile("rb") as file:
        return file.read(size)


class Checks:
    """What a sidecar that was forked has in the place of `subprocess`: its checks are forks too."""

    PIPE = subprocess.PIPE
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, address: bytes) -> None:
        self._address = address

    def Popen(self, command: list[str], **options: Any) -> "Check":  # noqa: N802
        return Check(command, address=self._address, **options)


class Check(subprocess.Popen[bytes]):
    """A process that another one forks."""

    def __init__(self, command: list[str], *, address: bytes, **options: Any) -> None:
        self._address = address
        super().__init__(command, **options)

    def _ask(self, message: object, descriptors: list[int]) -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            return ask(connection, message, descriptors)

    def _execute_child(self, command: list[str], *options: Any) -> None:
        cwd, env, pipes = options[4], options[5], options[9:15]
        ours = (pipes[0], pipes[3], pipes[5])
        streams = [own if given < 0 else given for own, given in enumerate(ours)]
        asked = (command[1:], str(cwd or Path.cwd()), dict(os.environ if env is None else env))
        self.pid = self._ask(asked, streams)
        self._child_created = True
        self._descriptor = os.pidfd_open(self.pid)
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        timeout = 0 if flags & os.WNOHANG else None
        if not select.select([self._descriptor], (), (), timeout)[0]:
            return 0, 0
        os.close(self._descriptor)
        return self.pid, self._ask(self.pid, [])

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        # As in `subprocess`: while another thread takes the outcome, there is none yet.
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


if __name__ == "__main__":
    main()
