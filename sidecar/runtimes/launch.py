"""What a command line tool is to the runtime `OneShot`: a row that turns a job into a process."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable
from uuid import UUID

from sidecar.model import AgentEvent, Block, Failure, Job, TurnEnded


class Codec(Protocol):
    """Makes events of what an agent prints. Pure."""

    @property
    def finished(self) -> bool:
        """Whether the agent has said its last word, for all that is known."""

    @property
    def cut(self) -> bool:
        """Whether the answer was longer than its limit."""

    def feed(self, line: bytes, /) -> Sequence[AgentEvent]:
        """Take one line, or a piece of any size where `Launch.lines` is False."""

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome. The exit code is None for an agent that did not exit by itself."""


@runtime_checkable
class Streaming(Codec, Protocol):
    """A codec that can make events of many small lines in one go."""

    def pieces(self, lines: bytes, /) -> Sequence[AgentEvent] | None:
        """Take whole lines, with their ends, if all of them are pieces of a text, which end
        nothing. None: it has taken nothing, and they are to be fed one by one."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How the process of one turn is started.

    `notes` are shown first, `files` are removed when the process has ended. A `dialogue` is the
    codec, of a tool that is told more than its first input.
    """

    argv: Sequence[str]
    stdin: bytes
    codec: Codec
    lines: bool = True
    notes: Sequence[Block] = ()
    files: Sequence[Path] = ()
    dialogue: "Dialogue | None" = None


class Dialogue(Codec, Protocol):
    """A codec of one turn that also says what the agent is told: its process takes more turns."""

    @property
    def settled(self) -> bool:
        """Whether the turn is over, and the agent waits for the next one. Without `finished`, it
        was not taken, and may run elsewhere."""

    def outgoing(self) -> bytes:
        """What it is to be written now, once; it is asked at first and after each `feed`."""

    def is_idle(self, line: bytes, /) -> bool:
        """Whether a line that comes when the turn is over means nothing. One that tells that the
        agent goes to work by itself does not."""


@runtime_checkable
class Attended(Dialogue, Protocol):
    """A dialogue whose agent asks for more than a codec can tell, and can be told to stop.

    It is over when it is `finished`, whether or not it has settled.
    """

    @property
    def waits_for_silence(self) -> bool:
        """Whether `go_on` is to be called as soon as nothing comes for a moment."""

    def go_on(self) -> None:
        """Nothing has come for a moment."""

    async def attend(self) -> None:
        """Do what the agent has asked for; it is called after each piece of output."""

    def cancel(self) -> None:
        """Have the agent told to stop what it does; its last word then comes soon."""


class Cli(Protocol):
    """One command line tool."""

    @property
    def program(self) -> str:
        """A name that is looked up in PATH, or a path; a relative one starts at the job's cwd."""

    @property
    def inherits(self) -> Sequence[str]:
        """The names of its own environment variables; a final `*` stands for any rest."""

    @property
    def defaults(self) -> Mapping[str, str]:
        """Environment variables that it is given unless the configuration says otherwise."""

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job with `program`, the tool as it was found.

        `marks` are those variables in `env` that name the turn.

        Raises:
            LaunchFailed: the turn cannot be run.
            OSError: a file that it takes cannot be written.
        """


class WarmCli(Cli, Protocol):
    """A command line tool that can stay for the next turn of its session."""

    async def same(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Sequence[str]:
        """All by which the tool must have been started to run a job, but its environment and
        folder, and what its session is: a process that was started otherwise never runs it.

        Raises:
            LaunchFailed: the turn cannot be run.
        """

    async def open(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to start a process that stays, with its first turn, which is a `dialogue`.

        Raises:
            LaunchFailed: the turn cannot be run.
            OSError: a file that it takes cannot be written.
        """

    def follow(self, last: Dialogue, job: Job) -> Dialogue | None:
        """The next turn, in the process that has settled the `last` one; None where a new process
        would do better."""


class LaunchFailed(Exception):
    """A turn whose process was not started, and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure

    @classmethod
    def of(cls, error: OSError) -> Self:
        """For a file that the tool takes, and that cannot be written."""
        return cls(Failure("internal", f"{error.filename}: {error}"))


def session_to_resume(job: Job) -> str | None:
    """The session that a job resumes, for tools whose ids are UUIDs: what is none could be taken
    for a flag, or for the name of another session.

    Raises:
        LaunchFailed: it is no UUID.
    """
    if job.session is None:
        return None
    with suppress(ValueError):
        if str(UUID(job.session)) == job.session.lower():
            return job.session
    raise LaunchFailed(Failure("session_missing", f"{job.session!r} is no session id"))
