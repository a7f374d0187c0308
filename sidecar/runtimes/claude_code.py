"""The runtime `claude-code`: `claude -p`, a process a turn, or one that stays for several."""

import os
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import cast
from uuid import uuid4

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.claude import ClaudeCodec
from sidecar.codecs.claude_dialogue import ClaudeDialogue
from sidecar.config.model import Warm
from sidecar.config.schemas.shipped import read_schema
from sidecar.model import Block, Failure, Job
from sidecar.runtimes.claude_flags import (
    CONTEXT,
    EFFORT,
    FORMAT,
    MODE,
    MODEL,
    ONE_TURN,
    PIECES,
    PROBED,
    arguments,
    drift,
    overridden,
    tier,
    tools,
)
from sidecar.runtimes.flags import Flag
from sidecar.runtimes.help import Help
from sidecar.runtimes.launch import Dialogue, Launch, LaunchFailed, session_to_resume
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.processes.private import PrivateFiles
from sidecar.runtimes.staying import Staying
from sidecar.runtimes.tool_servers import as_json, marked
from sidecar.runtimes.turn_text import compared, user_turn

RESTRAINED = (
    "As root, Claude Code refuses to work without checking permissions: edits are accepted, other "
    "actions refused. Run as another user, or set IS_SANDBOX to 1 in the `env` of the runtime."
)

_FILE_NAME = re.compile(r"(?<![A-Za-z0-9._+-])@")
"""Where the CLI may take what follows for the name of a file, and put its text into the prompt, or
for that of a subagent: at least after white space and the marks of Chinese sentences. Only the
addresses of mail are left alone."""


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
        self._help = Help(PROBED, host.spawn)
        self._warned = False
        self._drift = ""

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: the prompt by standard input, the system context by a file."""
        session = session_to_resume(job)
        known = await self._known(program, job, env, marks)
        theirs = (*self._args, *job.args)
        ours: list[Flag] = [("-p",), (FORMAT, "stream-json"), ("--verbose",), (PIECES,)]
        if session is not None:
            ours.append(("--resume", session))
        ours += _chosen(job, known, env)
        # Otherwise a resumed session keeps the context with which it began.
        ours.append(("--system-prompt-snapshot", "off"))
        has_context = job.prompt.system.strip() and CONTEXT not in overridden(theirs)
        texts = [(job.prompt.system, ".txt")] if has_context else []
        if job.tools:
            texts.append((as_json(marked(job.tools, marks)), ".json"))
        files = await self._contexts.write(*texts) if texts else []
        if job.tools:
            ours += tools(job.tools, os.fspath(files[-1]))
        if has_context:
            ours.append((CONTEXT, os.fspath(files[0])))
        return Launch(
            (program, *arguments(ours, theirs, known)),
            user_turn(job, _FILE_NAME).encode("utf-8", "replace"),
            ClaudeCodec(session, job.limits.output),
            notes=() if _may_bypass(env) or job.trust != "owner" else self._restrained(theirs),
            files=files,
        )

    async def same(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Sequence[str]:
        """All its arguments but the session and the files; and what the tool servers are."""
        theirs = (*self._args, *job.args)
        if alone := overridden(theirs) & ONE_TURN:
            raise LaunchFailed(Failure("internal", f"{', '.join(sorted(alone))} is for one turn"))
        known = await self._known(program, job, env, marks)
        has_context = str(bool(job.prompt.system.strip()))
        return (
            *arguments(_chosen(job, known, env), theirs, known),
            as_json(job.tools),
            has_context,
        )

    async def open(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to start a process that stays: as for one turn, but for the way of the prompts."""
        launch = await self.launch(program, job, env, marks)
        argv = (*launch.argv, "--input-format", "stream-json")
        talk = _dialogue(job, user_turn(job, _FILE_NAME))
        return replace(launch, argv=argv, stdin=b"", codec=talk, dialogue=talk)

    def follow(self, last: Dialogue, job: Job) -> Dialogue | None:
        """The next turn. The CLI reads its system context once: where that of the turn is another
        one, the user turn stands below what is different, unless that is much."""
        before = cast(ClaudeDialogue, last)
        if CONTEXT in overridden((*self._args, *job.args)):
            prompt: str | None = user_turn(job, _FILE_NAME)
        else:
            prompt = compared(job, before.context, _FILE_NAME)
        return None if prompt is None else _dialogue(job, prompt, before)

    async def _known(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Set[str]:
        """The flags that this version knows; what it does without is told once."""
        known = await self._help.flags(program, job.cwd, env, marks)
        missing = drift(known)
        if self._help.answered and missing != self._drift:
            self._drift = missing
            if missing:
                self._log.warning("%s %s", program, missing)
        return known

    def _restrained(self, theirs: Sequence[str]) -> Sequence[Block]:
        if MODE in overridden(theirs):
            return ()
        if not self._warned:
            self._warned = True
            self._log.warning(RESTRAINED)
        return (Block("system", RESTRAINED, name="permissions"),)


def _chosen(job: Job, known: Set[str], env: Mapping[str, str]) -> list[Flag]:
    """The flags of the model, the effort and the level of trust."""
    model = [(MODEL, job.model)] if job.model else []
    effort = [(EFFORT, job.effort)] if job.effort else []
    return [*model, *effort, *tier(job.trust, known, may_bypass=_may_bypass(env))]


def _may_bypass(env: Mapping[str, str]) -> bool:
    return os.geteuid() != 0 or env.get("IS_SANDBOX") == "1"


def _dialogue(job: Job, prompt: str, before: ClaudeDialogue | None = None) -> ClaudeDialogue:
    text = prompt.encode("utf-8", "replace").decode()
    output, session, context = job.limits.output, session_to_resume(job), job.prompt.system
    return ClaudeDialogue(text, str(uuid4()), context, session, output, before)


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    cli, warm = ClaudeCode(options, host), cast(Warm | None, options.get("warm"))
    return OneShot(cli, options, host) if warm is None else Staying(cli, warm, options, host)


CLAUDE_CODE = RuntimeType(
    "claude-code", read_schema("runtime.claude-code.json"), build, takes_tools=True
)
