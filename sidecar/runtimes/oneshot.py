"""Command line tools of which one process runs one turn. What differs is a row: a `Cli`."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

from sidecar.api import Host
from sidecar.config.model import FileText
from sidecar.model import AgentEvent, Failure, Job, TurnEnded
from sidecar.runtimes import environment
from sidecar.runtimes.launch import Cli, LaunchFailed
from sidecar.runtimes.orphans import adopt
from sidecar.runtimes.process import Process
from sidecar.runtimes.turn import ProcessTurn

_PASSING = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY}
"""What may not stand in the way a second later."""


class OneShot:
    """A runtime for one `Cli`. Of `options`, it reads `env` and `inherit_env`."""

    def __init__(self, cli: Cli, options: Mapping[str, object], host: Host) -> None:
        adopt()
        self._cli = cli
        self._host = host
        self._env = cast(Mapping[str, str | FileText], options.get("env") or {})
        self._reads = any(isinstance(value, FileText) for value in self._env.values())
        names = cast(Sequence[str], options.get("inherit_env") or ())
        inherited = environment.inherited(os.environ, (*cli.inherits, *names))
        self._base = {**cli.defaults, **inherited}
        self._program: str | None = None

    async def run(self, job: Job) -> AsyncGenerator[AgentEvent, None]:
        """Run one turn. Ends with exactly one `TurnEnded`; closing or cancelling it stops the
        agent and all that the agent started."""
        async with AsyncExitStack() as stack:
            try:
                turn = await self._begin(job, stack)
            except LaunchFailed as stopped:
                yield TurnEnded("", job.session, stopped.failure)
                return
            while (events := await turn.next()) is not None:
                for event in events:
                    yield event
            for event in turn.outcome():
                yield event

    async def close(self) -> None:
        """Nothing is kept between turns."""

    async def _begin(self, job: Job, stack: AsyncExitStack) -> ProcessTurn:
        """Start the process of a turn; the stack ends it.

        Raises:
            LaunchFailed: it cannot be started.
        """
        marks = environment.marks(self._host.state, job.turn)
        env = {**self._base, **await self._configured(), **job.env, **marks}
        program = await self._find(job.cwd, env.get("PATH", os.defpath))
        try:
            launch = await self._cli.launch(program, job, env, marks)
        except OSError as error:
            raise LaunchFailed(Failure("internal", f"{error.filename}: {error}")) from error
        if launch.files:
            stack.push_async_callback(asyncio.to_thread, _remove, launch.files)
        try:
            process = Process(launch.argv, cwd=job.cwd, env=env, stdin=launch.stdin)
        except (OSError, ValueError) as error:
            failure = _not_started(error, program, job.cwd, found_before=bool(self._program))
            self._program = None
            raise LaunchFailed(failure) from error
        turn = ProcessTurn(process, launch, job, self._host, marks)
        stack.push_async_callback(turn.close)
        return turn

    async def _configured(self) -> dict[str, str]:
        if not self._reads:
            return cast(dict[str, str], self._env)
        try:
            return await asyncio.to_thread(environment.read, self._env)
        except (OSError, UnicodeDecodeError) as error:
            failure = Failure("not_found", f"a file that `env` names cannot be read: {error}")
            raise LaunchFailed(failure) from error

    async def _find(self, cwd: Path, path: str) -> str:
        name = self._cli.program
        if os.sep in name:
            return os.fspath(cwd / name)
        if self._program is None:
            self._program = await asyncio.to_thread(environment.find_program, name, path)
        if self._program is None:
            detail = f"{name} is neither in PATH ({path}) nor beside this Python"
            raise LaunchFailed(Failure("not_found", detail))
        return self._program


def _not_started(
    error: OSError | ValueError, program: str, cwd: Path, *, found_before: bool
) -> Failure:
    if not isinstance(error, OSError):
        return Failure("internal", f"{program} cannot be started: {error}")
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.filename == cwd:
        return Failure("not_found", f"the working directory {cwd} cannot be entered: {reason}")
    if error.errno in _PASSING:
        return Failure("internal", f"{program} cannot be started now: {reason}", retryable=True)
    if error.errno == errno.ENOENT:
        reason = "it is not there, or the interpreter that its first line names is not"
    # One that was found by its name may have moved since: the next try looks again.
    detail = f"{program} cannot be started: {reason}"
    return Failure("not_found", detail, retryable=found_before)


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
