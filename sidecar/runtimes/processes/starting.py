"""How the process of a turn is started: its environment, its program, and why it cannot be."""

import asyncio
import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from sidecar.api import Host, Invocation
from sidecar.config.model import FileText
from sidecar.model import Failure, Job
from sidecar.runtimes.launch import Cli, LaunchFailed
from sidecar.runtimes.processes import environment
from sidecar.runtimes.processes.bounds import Bounds
from sidecar.runtimes.processes.places import find_program
from sidecar.runtimes.processes.private import remove
from sidecar.runtimes.processes.process import Process

_PASSING = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY}
"""What may not stand in the way a second later."""

AT_ONCE = 6
"""Processes that are started in one round of the event loop: each holds it up for a millisecond or
more, and 50 turns may begin in the same moment, whose prompts are rendered in the first of these
rounds. With 12, that one took 31 ms, with 6 it takes 23."""


class Surroundings(NamedTuple):
    """What a process is started with. `marks` are those variables of `env` that name it, `secrets`
    those values that nobody is told."""

    program: str
    env: Mapping[str, str]
    marks: Mapping[str, str]
    secrets: frozenset[str]


class Starter:
    """Starts the processes of one `Cli`. Of `options`, it reads `env`, `inherit_env`, `memory_max`
    and `nice`."""

    def __init__(self, cli: Cli, options: Mapping[str, object], host: Host) -> None:
        self._cli = cli
        self._host = host
        self._env = cast(Mapping[str, str | FileText], options.get("env") or {})
        self._reads = any(isinstance(value, FileText) for value in self._env.values())
        names = cast(Sequence[str], options.get("inherit_env") or ())
        inherited = environment.inherited(os.environ, (*cli.inherits, *names))
        self._base = {**cli.defaults, **inherited}
        self._bounds = Bounds.of(options)
        self._program: str | None = None
        self._round = 0

    async def surroundings(self, job: Job, name: str) -> Surroundings:
        """What a process for a job is started with, once it is its turn to start: few are at the
        same moment. `name` marks it and all that it starts.

        Raises:
            LaunchFailed: there is no such program, or a file that `env` names cannot be read.
        """
        marks = environment.marks(self._host.state, name)
        env = {**self._base, **await self._configured(), **job.env, **marks}
        program = await self._find(job.cwd, env)
        await self._in_turn()
        return Surroundings(program, env, marks, environment.secrets(env, self._env))

    def start(
        self,
        argv: Sequence[str],
        found: Surroundings,
        cwd: Path,
        stdin: bytes = b"",
        *,
        dialogue: bool = False,
    ) -> Process:
        """The started process; the input of a `dialogue` stays open.

        Raises:
            LaunchFailed: it cannot be started.
        """
        try:
            process = Process(
                argv,
                cwd=cwd,
                env=found.env,
                stdin=stdin,
                dialogue=dialogue,
                secrets=found.secrets,
            )
        except (OSError, ValueError) as error:
            failure = _not_started(error, found.program, cwd, found_before=bool(self._program))
            self._program = None
            raise LaunchFailed(failure) from error
        self._bounds.apply(process.pid)
        return process

    async def describe(self, job: Job) -> Invocation:
        """How a process for a job would be started, without a look at the machine. Private files
        that it would be given are called `<file>`.

        Raises:
            LaunchFailed: the turn cannot be run.
            OSError: a file that it takes cannot be written.
        """
        marks = environment.marks(self._host.state, job.turn)
        env = {**self._base, **dict.fromkeys(self._env, ""), **job.env, **marks}
        nowhere = os.fspath(self._host.state / "nowhere")  # a tool that cannot be asked for flags
        launch = await self._cli.launch(nowhere, job, env, marks)
        await asyncio.to_thread(remove, launch.files)
        known = {os.fspath(file): "<file>" for file in launch.files} | {nowhere: self._cli.program}
        return Invocation([known.get(word, word) for word in launch.argv], frozenset(env))

    async def _in_turn(self) -> None:
        """Return in a round of the event loop in which few others begin a turn."""
        while self._round >= AT_ONCE:  # noqa: ASYNC110 -- for the next round, not for an event
            await asyncio.sleep(0)
        self._round += 1
        if self._round == 1:
            asyncio.get_running_loop().call_soon(self._next_round)

    def _next_round(self) -> None:
        self._round = 0

    async def _configured(self) -> dict[str, str]:
        if not self._reads:
            return cast(dict[str, str], self._env)
        try:
            return await asyncio.to_thread(environment.read, self._env)
        except (OSError, UnicodeDecodeError) as error:
            failure = Failure("not_found", f"a file that `env` names cannot be read: {error}")
            raise LaunchFailed(failure) from error

    async def _find(self, cwd: Path, env: Mapping[str, str]) -> str:
        name = self._cli.program
        if os.sep in name:
            return os.fspath(cwd / name)
        if self._program is None:
            self._program = await asyncio.to_thread(find_program, name, env)
        if self._program is None:
            path = env.get("PATH", os.defpath)
            detail = f"{name} is neither in PATH ({path}) nor where installers put programs"
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
