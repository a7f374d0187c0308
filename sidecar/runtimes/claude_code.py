"""The runtime `claude-code`: `claude -p`, one process a turn."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast
from uuid import UUID

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.claude import ClaudeCodec
from sidecar.config.shipped import read_schema
from sidecar.model import Block, Failure, Job
from sidecar.runtimes.claude_flags import CONTEXT, MODE, NEWER, Flag, arguments, overridden, tier
from sidecar.runtimes.help import Help
from sidecar.runtimes.launch import Launch, LaunchFailed
from sidecar.runtimes.oneshot import OneShot

HEADER = "Message:\n"
"""Stands before every user turn: a text that begins with `/` would be run as a command."""
RESTRAINED = (
    "As root, Claude Code refuses to work without checking permissions: edits are accepted, other "
    "actions refused. Run as another user, or set IS_SANDBOX to 1 in the `env` of the runtime."
)
OLD = 86400.0
"""Seconds after which a context file cannot belong to a running turn any more."""

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
        self._contexts = host.state / "contexts"
        self._help = Help(NEWER, host.spawn)
        self._cleaned = self._warned = False

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: the prompt by standard input, the system context by a file."""
        if job.session is not None and not _is_session(job.session):
            raise LaunchFailed(Failure("session_missing", f"{job.session!r} is no session id"))
        known = await self._help.flags(program, job.cwd, env, marks)
        may_bypass = os.geteuid() != 0 or env.get("IS_SANDBOX") == "1"
        theirs = (*self._args, *job.args)
        ours: list[Flag] = [("-p",), ("--output-format", "stream-json"), ("--verbose",)]
        if job.session is not None:
            ours.append(("--resume", job.session))
        ours += tier(job.trust, known, may_bypass=may_bypass)
        # Otherwise a resumed session keeps the context with which it began.
        ours.append(("--system-prompt-snapshot", "off"))
        files: list[Path] = []
        if job.prompt.system.strip() and CONTEXT not in overridden(theirs):
            files.append(await asyncio.to_thread(self._write_context, job.prompt.system))
            ours.append((CONTEXT, os.fspath(files[0])))
        return Launch(
            (program, *arguments(ours, theirs, known)),
            _prompt(job),
            ClaudeCodec(job.session, job.limits.output),
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

    def _write_context(self, text: str) -> Path:
        self._contexts.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._cleaned:
            self._cleaned = True
            self._remove_old()
        descriptor, name = tempfile.mkstemp(".txt", dir=self._contexts)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        return Path(name)

    def _remove_old(self) -> None:
        """Remove what a sidecar that was killed could not."""
        before = time.time() - OLD
        for file in self._contexts.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()


def _is_session(text: str) -> bool:
    with suppress(ValueError):
        return str(UUID(text)) == text.lower()
    return False


def _prompt(job: Job) -> bytes:
    text = job.prompt.user
    if job.trust != "owner":
        # U+2060 is invisible, and ends the meaning of the sign.
        text = _FILE_NAME.sub("\\1@\u2060", text)
    return f"{HEADER}{text}".encode("utf-8", "replace")


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(ClaudeCode(options, host), options, host)


CLAUDE_CODE = RuntimeType("claude-code", read_schema("runtime.claude-code.json"), build)
