"""The runtime `acp`: any agent that speaks the Agent Client Protocol on standard input and output.

Measured with Claude's and Codex's adapters, Gemini CLI, OpenCode and Qwen Code. They take the
context of a single turn in no other way than as a part of the prompt.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import cast

from sidecar import __version__
from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.acp import AcpCodec
from sidecar.codecs.acp_opening import Ask
from sidecar.codecs.acp_peer import Peer
from sidecar.config.model import Warm
from sidecar.config.schemas.shipped import read_schema
from sidecar.model import Job
from sidecar.runtimes.acp_files import LARGEST, Folder
from sidecar.runtimes.launch import Dialogue, Launch
from sidecar.runtimes.oneshot import OneShot
from sidecar.runtimes.staying import Staying
from sidecar.runtimes.tool_servers import as_json, marked
from sidecar.runtimes.turn_text import parts

_SIGN = re.compile(r"@|\$(?=[\w:-])")
"""Where one agent or another takes what follows for the name of a file, or of a skill."""


class AcpDialogue(AcpCodec):
    """The codec of one turn, with the folder in which its requests are fulfilled."""

    def __init__(self, ask: Ask, folder: Folder, peer: Peer | None = None) -> None:
        super().__init__(ask, peer)
        self._folder = folder

    async def attend(self) -> None:
        """Answer what the agent has asked for and what needs a look at its files."""
        wishes, self.wishes = self.wishes, []
        for wish in wishes:
            if len(self._outgoing) > LARGEST:
                self.refuse(wish, "too many files at once")
                continue
            try:
                self.grant(wish, await asyncio.to_thread(self._folder.fulfil, wish))
            except FileNotFoundError:
                self.refuse(wish, "there is no such file", missing=True)
            except OSError as error:
                self.refuse(wish, error.strerror or str(error))
            except ValueError:  # characters that no name of a file can have
                self.refuse(wish, "there can be no such file")


class Acp:
    """The row of one configured agent."""

    inherits: Sequence[str] = ()
    defaults: Mapping[str, str] = {}

    def __init__(self, options: Mapping[str, object]) -> None:
        self.program, *arguments = cast(Sequence[str], options["command"])
        self._arguments = (*arguments, *cast(Sequence[str], options.get("args") or ()))
        self._modes = cast(Mapping[str, str | None], options.get("modes") or {})

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: all that the agent is told goes over its standard input."""
        return self._launch(program, job, marks, stays=False)

    async def same(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Sequence[str]:
        """What else two turns of one process have in common: a chosen model stays chosen, and the
        servers of a session are those with which it was opened."""
        return (*self._arguments, *job.args, f"{job.model} {job.effort}", as_json(job.tools))

    async def open(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """The same, for a process that stays."""
        return self._launch(program, job, marks, stays=True)

    def follow(self, last: Dialogue, job: Job) -> Dialogue:
        """The next turn of a session, in the process that has settled the `last` one."""
        return self._dialogue(job, {}, cast(AcpDialogue, last).peer, stays=True)

    def _launch(self, program: str, job: Job, marks: Mapping[str, str], *, stays: bool) -> Launch:
        dialogue = self._dialogue(job, marks, None, stays=stays)
        argv = (program, *self._arguments, *job.args)
        return Launch(argv, b"", dialogue, dialogue=dialogue)

    def _dialogue(
        self, job: Job, marks: Mapping[str, str], peer: Peer | None, *, stays: bool
    ) -> AcpDialogue:
        ask = Ask(
            cwd=str(job.cwd),
            prompt=parts(job, _SIGN),
            trust=job.trust,
            session=job.session,
            servers=marked(job.tools, marks),
            mode=self._modes.get(job.trust),
            model=job.model,
            effort=job.effort,
            output=job.limits.output,
            version=__version__,
            stays=stays,
        )
        return AcpDialogue(ask, Folder(job.cwd, job.trust), peer)


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    cli, warm = Acp(options), cast(Warm | None, options.get("warm"))
    return OneShot(cli, options, host) if warm is None else Staying(cli, warm, options, host)


ACP = RuntimeType("acp", read_schema("runtime.acp.json"), build, takes_tools=True)
