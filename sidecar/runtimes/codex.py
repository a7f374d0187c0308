"""The runtime `codex`: `codex exec` for one turn, or `codex app-server`, which stays for more."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from sidecar import __version__
from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.codex import CodexCodec
from sidecar.codecs.codex_server import CodexDialogue, Connection, Question
from sidecar.config.model import Warm
from sidecar.config.schemas.shipped import read_schema
from sidecar.model import Failure, Job
from sidecar.runtimes.codex_flags import arguments, choices, server_arguments, tools
from sidecar.runtimes.launch import Dialogue, Launch, LaunchFailed, session_to_resume
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.staying import Staying
from sidecar.runtimes.tool_servers import marked
from sidecar.runtimes.turn_text import whole

_SKILL = re.compile(r"\$(?=[\w:-])")
"""Where the CLI takes what follows for the name of a skill, and puts its text into the prompt."""


class Codex:
    """The row of Codex."""

    inherits: Sequence[str] = (
        "CODEX_HOME",
        "CODEX_SQLITE_HOME",
        "CODEX_ACCESS_TOKEN",
        "CODEX_API_KEY",
        "OPENAI_*",
    )
    defaults: Mapping[str, str] = {}

    def __init__(self, options: Mapping[str, object]) -> None:
        self.program = cast(str, options.get("command") or "codex")
        self._args = tuple(cast(Sequence[str], options.get("args") or ()))

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: the context is a part of the prompt, for a resumed thread would keep
        the instructions with which it began."""
        session = session_to_resume(job)
        resume = () if session is None else ("resume", session)
        chosen = [*choices(job.model, job.effort), *tools(marked(job.tools, marks))]
        flags = arguments(job.trust, (*self._args, *job.args), chosen)
        began = datetime.now().astimezone()
        return Launch(
            (program, "exec", *flags, *resume, "-"),
            whole(job, _SKILL),
            CodexCodec(session, job.limits.output, began, job.total),
        )

    async def same(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Sequence[str]:
        """All its arguments, with tool servers that have no marks."""
        return self._server(job, {})

    async def open(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to start a server, with the first turn."""
        dialogue = self._dialogue(job)
        argv = (program, "app-server", *self._server(job, marks))
        return Launch(argv, b"", dialogue, dialogue=dialogue)

    def follow(self, last: Dialogue, job: Job) -> Dialogue:
        """The next turn: its context is a part of the prompt, as it is for one turn."""
        return self._dialogue(job, cast(CodexDialogue, last).connection)

    def _dialogue(self, job: Job, connection: Connection | None = None) -> CodexDialogue:
        question = Question(
            prompt=whole(job, _SKILL).decode(),
            cwd=str(job.cwd),
            session=session_to_resume(job),
            output=job.limits.output,
            began=datetime.now().astimezone(),
        )
        return CodexDialogue(question, __version__, connection)

    def _server(self, job: Job, marks: Mapping[str, str]) -> Sequence[str]:
        chosen = [*choices(job.model, job.effort), *tools(marked(job.tools, marks))]
        found = server_arguments(job.trust, (*self._args, *job.args), chosen)
        if found is None:
            raise LaunchFailed(Failure("internal", "its arguments or its trust are for one turn"))
        return found


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    cli, warm = Codex(options), cast(Warm | None, options.get("warm"))
    return OneShot(cli, options, host) if warm is None else Staying(cli, warm, options, host)


CODEX = RuntimeType("codex", read_schema("runtime.codex.json"), build, takes_tools=True)
