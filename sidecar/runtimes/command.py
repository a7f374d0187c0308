"""The runtime `command`: any program that reads a prompt and prints an answer."""

from collections.abc import Mapping, Sequence
from typing import cast

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.agent import AgentCodec, TextCodec, job_line, prompt_text
from sidecar.config.schemas.shipped import read_schema
from sidecar.model import Job
from sidecar.runtimes.launch import Launch
from sidecar.runtimes.oneshot import OneShot


class Command:
    """The row of one configured program."""

    inherits: Sequence[str] = ()
    defaults: Mapping[str, str] = {}

    def __init__(self, options: Mapping[str, object]) -> None:
        self.program, *self._arguments = cast(Sequence[str], options["command"])
        self._arguments += cast(Sequence[str], options.get("args") or ())
        self._ndjson = options.get("protocol") == "ndjson"

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job: see `sidecar.codecs.agent` for what it reads and prints."""
        argv = (program, *self._arguments, *job.args)
        output = job.limits.output
        if self._ndjson:
            return Launch(argv, job_line(job), AgentCodec(job.session, output))
        prompt = prompt_text(job.prompt)
        return Launch(argv, prompt, TextCodec(job.session, output), lines=False)


def build(options: Mapping[str, object], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(Command(options), options, host)


COMMAND = RuntimeType("command", read_schema("runtime.command.json"), build)
