"""The runtime `parrot`: a row for the command line agent of that name."""

from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.codecs.agent import prompt_text
from sidecar.model import Job
from sidecar.runtimes.launch import Launch, session_to_resume
from sidecar.runtimes.oneshot import OneShot
from sidecar_example.parrot_codec import ParrotCodec

OPTIONS = {
    "description": "The agent parrot, one process a turn.",
    "type": "object",
    "properties": {
        "command": {
            "description": "The program: a name that is looked up in PATH, or a path.",
            "type": "string",
            "minLength": 1,
            "default": "parrot",
            "x-command": True,
        },
    },
}


class Parrot:
    """The row."""

    inherits: Sequence[str] = ("PARROT_*",)
    defaults: Mapping[str, str] = {"NO_COLOR": "1"}

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.program = options["command"]
        self._args = tuple(options["args"])

    async def launch(
        self, program: str, job: Job, env: Mapping[str, str], marks: Mapping[str, str]
    ) -> Launch:
        """How to run a job. What others wrote goes to standard input, never into arguments."""
        session = session_to_resume(job)
        again = () if session is None else ("--again", session)
        argv = (program, *again, *self._args, *job.args)
        return Launch(argv, prompt_text(job.prompt), ParrotCodec(session, job.limits.output))


def build(options: Mapping[str, Any], host: Host) -> Runtime:
    """A runtime of this type."""
    return OneShot(Parrot(options), options, host)


PARROT = RuntimeType("parrot", OPTIONS, build)
