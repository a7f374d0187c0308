"""The runtime `codex`: `codex exec`, one process a turn."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.codex import CodexCodec
from sidecar.config.shipped import read_schema
from sidecar.model import Job
from sidecar.runtimes.codex_flags import arguments
from sidecar.runtimes.launch import Launch, session_to_resume
from sidecar.runtimes.oneshot import OneShot
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
        flags = arguments(job.trust, (*self._args, *job.args))
        began = datetime.now().astimezone()
        return Launch(
            (program, "exec", *flags, *resume, "-"),
            whole(job, _SKILL),
            CodexCodec(session, job.limits.output, began),
        )


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(Codex(options), options, host)


CODEX = RuntimeType("codex", read_schema("runtime.codex.json"), build)
