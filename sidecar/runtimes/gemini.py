"""The runtime `gemini`: Gemini CLI without a terminal, one process a turn.

Measured with version 0.61, in which a tool that would ask does not exist without a terminal.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.gemini import GeminiCodec
from sidecar.config.schemas.shipped import read_schema
from sidecar.model import Job, Trust
from sidecar.runtimes.flags import Flag, joined, overridden
from sidecar.runtimes.launch import Launch, session_to_resume
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.processes.private import PrivateFiles
from sidecar.runtimes.turn_text import whole

_FILE_NAME = re.compile("@")
"""Where the CLI takes what follows for the name of a file, also within a word."""

_MODE = "--approval-mode"
_MODES: Mapping[Trust, str] = {"owner": "yolo", "trusted": "auto_edit", "public": "default"}
_POLICIES: Mapping[Trust, str] = {
    "trusted": r"""
[[rule]]
toolName = ["run_shell_command", "google_web_search", "web_fetch", "invoke_agent", "mcp_*"]
decision = "deny"
priority = 999

[[rule]]
toolName = ["write_file", "replace"]
argsPattern = '"file_path":"([^"\\]|\\.)*([.][gG][eE][mM][iI][nN][iI]|\\u0000)'
decision = "deny"
priority = 999

[[rule]]
toolName = "replace"
argsPattern = '"file_path":"[^/]'
decision = "deny"
priority = 999
denyMessage = "Give the absolute path."
""",
    "public": """
[[rule]]
toolName = "*"
decision = "deny"
priority = 999
""",
}
"""A trusted turn stays in its folder, and does not write the CLI's settings there, which name
programs that the next turn would start: NUL is left out of paths, and of a path that is not
absolute the end of another one can become. A public turn has no tools at all."""
_POLICY = "--admin-policy"
_SAME = {
    "--output-format": "-o",
    "--yolo": _MODE,
    "-y": _MODE,
    "-r": "--resume",
    "--session-id": "--resume",
    "--extensions": "-e",
}
"""Flags that take the place of one of ours under another name."""


class Gemini:
    """The row of Gemini CLI."""

    inherits: Sequence[str] = (
        "GEMINI_*",
        "GOOGLE_API_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_*",
        "GOOGLE_GEMINI_*",
        "GOOGLE_GENAI_*",
    )
    defaults: Mapping[str, str] = {
        # A second process, which ignores signals, is not put in between.
        "GEMINI_CLI_NO_RELAUNCH": "true",
        # Otherwise it exits in every folder that was not trusted at a terminal before.
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }

    def __init__(self, options: Mapping[str, object], host: Host) -> None:
        self.program = cast(str, options.get("command") or "gemini")
        self._args = tuple(cast(Sequence[str], options.get("args") or ()))
        self._policies = PrivateFiles(host.state / "policies")

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: the context is a part of the prompt, for a file with it would take the
        place of the CLI's own instructions."""
        session = session_to_resume(job)
        theirs = (*self._args, *job.args)
        left_out = overridden(theirs, _SAME) - {"--policy"}  # several are fine
        ours: list[Flag] = [("-o", "stream-json"), (_MODE, _MODES[job.trust])]
        if job.model is not None:
            ours.append(("-m", job.model))
        if session is not None:
            ours.append(("--resume", session))
        files: list[Path] = []
        if job.trust in _POLICIES:
            # Neither extensions nor servers that the user's settings bring along.
            ours += [("-e", "none"), ("--allowed-mcp-server-names", "none")]
            if _POLICY not in left_out:
                files = await self._policies.write((_POLICIES[job.trust], ".toml"))
                path = os.fspath(files[0])
                # The first is ignored on machines that have policies of their own.
                ours += [(_POLICY, path), ("--policy", path)]
        return Launch(
            (program, *joined(ours, theirs, left_out)),
            whole(job, _FILE_NAME),
            GeminiCodec(session, job.limits.output),
            files=files,
        )


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(Gemini(options, host), options, host)


GEMINI = RuntimeType("gemini", read_schema("runtime.gemini.json"), build)
