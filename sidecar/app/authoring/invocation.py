"""How the turn of a message would be run: its command line and the names in its environment."""

import asyncio
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from sidecar.api import Describes, Host, Invocation
from sidecar.app.authoring.preview import Preview, Situation
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.app.turns.snapshot import build_runtime
from sidecar.config.model import Config, Runtime
from sidecar.errors import PluginError
from sidecar.model import Job, Prompt

if TYPE_CHECKING:
    from aiohttp import ClientSession

SESSION = "00000000-0000-4000-8000-000000000000"
"""Stands for the session of a turn that resumes one."""

_SILENT = logging.getLogger("sidecar.described")
_SILENT.setLevel(logging.CRITICAL)  # what a runtime warns of is for those who run it


def invocation(config: Config, situation: Situation, found: Preview) -> Invocation:
    """How the runtime of the route would run the turn; nothing is started. Blocks.

    Raises:
        PluginError: the runtime cannot be built, or does not tell.
    """
    wanted = config.runtimes[found.route.runtime]
    job = _job(situation, found, wanted)
    try:
        with TemporaryDirectory() as folder:
            return asyncio.run(_described(wanted, job, Path(folder)))
    except Exception as error:  # a runtime of another package may not be able to tell
        told = f"runtime {wanted.name} does not tell how it is run: {error}"
        raise PluginError(told) from error


async def _described(wanted: Runtime, job: Job, state: Path) -> Invocation:
    supervisor = Supervisor()
    host = Host(wanted.name, _SILENT, state, supervisor.spawn, _no_network)
    runtime = build_runtime(wanted, host)
    try:
        return await cast(Describes, runtime).describe(job)
    finally:
        await runtime.close()
        await supervisor.close()


def _job(situation: Situation, found: Preview, runtime: Runtime) -> Job:
    return Job(
        turn="preview",
        account=situation.messages[-1].account,
        prompt=Prompt(found.system_context.text, found.told),
        cwd=found.route.cwd or Path("workspace"),  # the account's own, wherever it is
        trust=found.trust,
        session=SESSION if situation.session_turns and not situation.history else None,
        args=found.route.args,
        model=found.route.model or runtime.model,
        effort=found.route.effort or runtime.effort,
    )


def _no_network() -> "ClientSession":
    raise PluginError("there is no network for what is only described")
