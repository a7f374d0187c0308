"""What a command line tool is to the runtime `OneShot`: a row that turns a job into a process."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
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


@dataclass(frozen=True, slots=True)
class Launch:
    """How the process of one turn is started.

    `notes` are shown first, `files` are removed when the turn has ended.
    """

    argv: Sequence[str]
    stdin: bytes
    codec: Codec
    lines: bool = True
    notes: Sequence[Block] = ()
    files: Sequence[Path] = ()


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


class LaunchFailed(Exception):
    """A turn whose process was not started, and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


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
