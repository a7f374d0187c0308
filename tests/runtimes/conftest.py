"""Agents as small scripts, and a host that lends what a runtime needs."""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.api import Host, Runtime
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.model import AgentEvent, Job, JobLimits, Prompt, TurnEnded
from sidecar.runtimes import command
from tests.patience import PATIENCE, until

IDLE = (0.3, 3.0, 15.0)
"""Seconds without output that a turn may take: more, where a machine is too slow for the fewer."""
DATA = Path(__file__).parent.parent / "data"

REPLAY = """
import json, os, sys
here = os.path.dirname(__file__) + "/"

def read(path):
    with open(path, "rb") as file:
        return file.read()

paths = [word for word in sys.argv[1:] if word.startswith("/")]
seen = {
    "argv": sys.argv[1:],
    "stdin": sys.stdin.buffer.read().decode(),
    "env": dict(os.environ),
    "files": {path: [read(path).decode(), os.stat(path).st_mode & 0o777] for path in paths},
    "pid": os.getpid(),
}
with open(here + "seen.new", "w") as file:
    json.dump(seen, file)
os.rename(here + "seen.new", here + "seen")
sys.stdout.buffer.write(read(here + "stdout.ndjson"))
sys.stdout.flush()
sys.stderr.buffer.write(read(here + "stderr.txt"))
sys.exit(int(read(here + "exit.txt")))
"""
"""A tool that replays a recording, and writes down what it was given."""


def is_running(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in "ZX"


def descriptors() -> set[str]:
    """The pipes and process descriptors that are open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(f"{entry.name} {entry.readlink()}")
    return {text for text in found if "pipe:" in text or "pidfd" in text}


class Workshop:
    """What tests of runtimes need."""

    is_running = staticmethod(is_running)

    def __init__(self, host: Host, folder: Path, job: Job) -> None:
        self.host = host
        self.folder = folder
        self.job = job

    def script(self, text: str, name: str = "agent", *, python: bool = True) -> str:
        """A program of Python, or of sh; its path."""
        path = self.folder / name
        first = f"#!{sys.executable} -S" if python else "#!/bin/sh"
        path.write_text(f"{first}\n{textwrap.dedent(text)}")
        path.chmod(0o755)
        return str(path)

    def command(self, text: str, *, python: bool = True, **options: object) -> Runtime:
        """A runtime `command` that runs a script."""
        program = self.script(text, python=python)
        return command.build({"command": [program], "protocol": "text", **options}, self.host)

    def change(self, **changes: Any) -> Job:
        """The job with changes; those of limits are given by the limit's name."""
        limits = {name: changes.pop(name) for name in list(changes) if hasattr(JobLimits(), name)}
        return replace(self.job, limits=replace(self.job.limits, **limits), **changes)

    async def events(self, runtime: Runtime, **changes: Any) -> list[AgentEvent]:
        """All events of one turn."""
        async with asyncio.timeout(PATIENCE), aclosing(runtime.run(self.change(**changes))) as run:
            return [event async for event in run]

    async def ended(self, runtime: Runtime, **changes: Any) -> TurnEnded:
        """How one turn ended; there must be exactly one end."""
        *others, last = await self.events(runtime, **changes)
        assert isinstance(last, TurnEnded)
        assert not any(isinstance(event, TurnEnded) for event in others)
        return last

    async def pids(self, name: str = "pids", count: int = 1) -> list[int]:
        """The process ids that a script wrote to a file in its folder, one a line."""
        file = self.folder / name

        def read() -> list[int]:
            return [int(text) for text in file.read_text().split()] if file.exists() else []

        return await self.until(lambda: (found := read()) and len(found) >= count and found)

    @staticmethod
    async def until(condition: Callable[[], Any]) -> Any:
        """Wait for a condition that may block; its value."""
        return await until(lambda: asyncio.to_thread(condition))

    async def gone(self, pids: list[int]) -> None:
        """Wait until processes have ended, long before they would by themselves."""
        await self.until(lambda: not any(map(is_running, pids)))

    async def silenced(
        self, runtime: Runtime, begun: Callable[[TurnEnded], object], **changes: Any
    ) -> TurnEnded:
        """How a turn ended whose agent had begun before it fell silent."""
        for seconds in IDLE:
            ended = await self.ended(runtime, idle_timeout=seconds, **changes)
            if begun(ended):
                return ended
        raise AssertionError("the agent never began")


class Player:
    """A tool by the name of a folder of recordings, which it replays."""

    def __init__(self, workshop: Workshop, name: str) -> None:
        self.workshop = workshop
        self.name = name
        self.program = workshop.script(REPLAY, name)

    def plays(self, scenario: str) -> None:
        for file in (DATA / self.name / scenario).iterdir():
            shutil.copyfile(file, self.workshop.folder / file.name)

    def seen(self) -> Any:
        """What it was given last; None when it was not run."""
        file = self.workshop.folder / "seen"
        return json.loads(file.read_text()) if file.exists() else None

    async def given(self, runtime: Runtime, **job: Any) -> Any:
        """What it was given for one turn."""
        ended = await self.workshop.ended(runtime, **job)
        assert ended.failure is None, ended.failure
        return self.seen()


@pytest.fixture
def player(workshop: Workshop) -> Callable[[str], Player]:
    """Makes a tool that replays recordings."""
    return lambda name: Player(workshop, name)


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    supervisor = Supervisor()
    state, cwd = tmp_path / "state", tmp_path / "cwd"
    await asyncio.to_thread(lambda: (state.mkdir(), cwd.mkdir()))

    def no_http() -> Any:
        raise AssertionError("a runtime needs no HTTP")

    host = Host("script", logging.getLogger("sidecar.script"), state, supervisor.spawn, no_http)
    limits = JobLimits(idle_timeout=PATIENCE, stop_grace=0.3, linger=PATIENCE)
    job = Job("turn-1", "ag_1", Prompt("be kind", "hello"), cwd, "owner", limits=limits)
    yield Workshop(host, tmp_path, job)
    await supervisor.close()


@pytest.fixture(autouse=True)
def _slow_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may take its time to tell its flags."""
    monkeypatch.setattr("sidecar.runtimes.help.PATIENCE", PATIENCE)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Any:
    """Each test ends with no more descriptors than it began with, and without processes."""
    before = descriptors()
    yield
    pids = tmp_path / "pids"
    left = [int(pid) for pid in pids.read_text().split()] if pids.exists() else []
    running = [pid for pid in left if is_running(pid)]
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    assert running == []
    assert descriptors() - before == set()
