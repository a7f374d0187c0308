"""Wild agents of all kinds, with the runtimes that run them."""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.api import Host, Runtime
from sidecar.config.model import Warm
from sidecar.model import Block, Job, JobLimits, Prompt, TurnEnded
from sidecar.runtimes import acp, claude_code, codex, command, gemini
from tests.patience import PATIENCE

WILD = Path(__file__).parent / "wild.py"
MiB = 1 << 20
COLD = ("text", "ndjson", "claude", "codex", "gemini", "acp")
STAYING = ("claude", "codex", "acp")
KINDS = [*COLD, *(f"{kind} warm" for kind in STAYING)]
SOME = ["text", "ndjson", "codex", "acp", "claude warm"]
"""One for each way in which a runtime speaks with its agent."""


class Zoo:
    """A wild agent of each kind, in a folder of its own."""

    def __init__(self, folder: Path, spawn: Any) -> None:
        self.folder = folder
        self.cwd = folder / "cwd"
        self.state = folder / "state"
        self.host = Host("wild", logging.getLogger("wild"), self.state, spawn, _no_http)
        limits = JobLimits(PATIENCE, stop_grace=0.1, linger=PATIENCE, output=MiB)
        self.job = Job("turn", "ag_1", Prompt("be kind", "hello"), self.cwd, "owner", limits=limits)
        self.runtimes: dict[str, Runtime] = {}

    def prepare(self, deed: str, amount: int = 0) -> None:
        """Make the agents. Blocks."""
        self.cwd.mkdir()
        self.state.mkdir()
        (self.folder / "deed").write_text(deed)
        (self.folder / "amount").write_text(str(amount))
        for kind in COLD:
            program = self.folder / kind
            program.write_text(f"#!{sys.executable} -S\n{WILD.read_text()}")
            program.chmod(0o755)

    def runtime(self, kind: str) -> Runtime:
        """The runtime of a kind."""
        name, _, stays = kind.partition(" ")
        options: dict[str, object] = {"command": str(self.folder / name)}
        if stays:
            options["warm"] = Warm(2, PATIENCE)
        if name in ("text", "ndjson"):
            options = {"command": [options["command"]], "protocol": name}
            return command.build(options, self.host)
        if name == "acp":
            return acp.build({**options, "command": [options["command"]]}, self.host)
        builders: dict[str, Callable[..., Runtime]] = {
            "claude": claude_code.build,
            "codex": codex.build,
            "gemini": gemini.build,
        }
        return builders[name](options, self.host)

    async def turn(self, kind: str, **limits: float) -> TurnEnded:
        """How a turn of a kind ends; its processes that stay are ended, too."""
        job = replace(self.job, turn=kind, limits=replace(self.job.limits, **limits))
        runtime = self.runtime(kind)
        try:
            async with aclosing(runtime.run(job)) as run:
                *_, ended = [event async for event in run if not isinstance(event, Block)]
        finally:
            await runtime.close()
        assert isinstance(ended, TurnEnded)
        return ended

    async def turns(self, kinds: Sequence[str], **limits: float) -> dict[str, TurnEnded]:
        """How turns of these kinds end, side by side."""
        ended = await asyncio.gather(*(self.turn(kind, **limits) for kind in kinds))
        return dict(zip(kinds, ended, strict=True))

    def living(self) -> list[str]:
        """The processes that began here and still run, by their folder and by what they noted."""
        noted = self.folder / "pids"
        pids = set(noted.read_text().split()) if noted.exists() else set()
        return [
            entry.name
            for entry in Path("/proc").glob("[0-9]*")
            if (_cwd(entry) == str(self.cwd) or entry.name in pids) and _runs(entry)
        ]


def _no_http() -> Any:
    raise AssertionError("a runtime needs no HTTP")


def _cwd(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


def _runs(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
