"""The runtime `claude-code`: `claude -p`, one process a turn."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.claude import ClaudeCodec
from sidecar.config.shipped import read_schema
from sidecar.model import Block, Job
from sidecar.runtimes.claude_flags import CONTEXT, MODE, NEWER, arguments, overridden, tier
from sidecar.runtimes.flags import Flag
from sidecar.runtimes.help import Help
from sidecar.runtimes.launch import Launch, session_to_resume
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.private import PrivateFiles
from sidecar.runtimes.turn_text import user_turn

RESTRAINED = (
    "As root, Claude Code refuses to work without checking permissions: edits are accepted, other "
    "actions refused. Run as another user, or set IS_SANDBOX to 1 in the `env` of the runtime."
)

_FILE_NAME = re.compile(r"(^|[\s\ufeff\u180e])@")
"""Where the CLI takes what follows for the name of a file, and puts its text into the prompt."""


class ClaudeCode:
    """The row of Claude Code."""

    inherits: Sequence[str] = (
        "ANTHROPIC_*",
        "CLAUDE_*",
        "API_TIMEOUT_MS",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_TELEMETRY",
        "MAX_THINKING_TOKENS",
        "MCP_TIMEOUT",
        "MCP_TOOL_TIMEOUT",
    )
    defaults: Mapping[str, str] = {
        "DISABLE_AUTOUPDATER": "1",
        # Nothing but the model's API is called; a host that cannot be reached costs no time.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        # A command in the background would keep the process, and print one more result.
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    }

    def __init__(self, options: Mapping[str, object], host: Host) -> None:
        self.program = cast(str, options.get("command") or "claude")
        self._args = tuple(cast(Sequence[str], options.get("args") or ()))
        self._log = host.log
        self._contexts = PrivateFiles(host.state / "contexts")
        self._help = Help(NEWER, host.spawn)
        self._warned = False

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: the prompt by standard input, the system context by a file."""
        session = session_to_resume(job)
        known = await self._help.flags(program, job.cwd, env, marks)
        may_bypass = os.geteuid() != 0 or env.get("IS_SANDBOX") == "1"
        theirs = (*self._args, *job.args)
        ours: list[Flag] = [("-p",), ("--output-format", "stream-json"), ("--verbose",)]
        if session is not None:
            ours.append(("--resume", session))
        ours += tier(job.trust, known, may_bypass=may_bypass)
        # Otherwise a resumed session keeps the context with which it began.
        ours.append(("--system-prompt-snapshot", "off"))
        files: list[Path] = []
        if job.prompt.system.strip() and CONTEXT not in overridden(theirs):
            files.append(await self._contexts.write(job.prompt.system))
            ours.append((CONTEXT, os.fspath(files[0])))
        return Launch(
            (program, *arguments(ours, theirs, known)),
            user_turn(job, _FILE_NAME).encode("utf-8", "replace"),
            ClaudeCodec(session, job.limits.output),
            notes=() if may_bypass or job.trust != "owner" else self._restrained(theirs),
            files=files,
        )

    def _restrained(self, theirs: Sequence[str]) -> Sequence[Block]:
        if MODE in overridden(theirs):
            return ()
        if not self._warned:
            self._warned = True
            self._log.warning(RESTRAINED)
        return (Block("system", RESTRAINED, name="permissions"),)


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(ClaudeCode(options, host), options, host)


CLAUDE_CODE = RuntimeType("claude-code", read_schema("runtime.claude-code.json"), build)
