"""A real sidecar process, a real development Hub, a scripted agent."""

import asyncio
import inspect
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector

from sidecar.devhub import DevHub, HubLimits
from sidecar.runtimes.processes.orphans import sweep
from tests import starting
from tests.patience import PATIENCE, until

AGENT = Path(__file__).with_name("agent.py")

CONFIG = """\
version: 1
state: {{dir: {state}}}
server: {{listen: "unix:{socket}"}}
log: {{level: debug, format: json}}
limits: {{stop_grace: 500ms, drain_timeout: 30s}}
channels:
  demo:
    type: botcord
    credentials: {credentials}
    rate_limit: null
    send_rate: {{total: 100000/1m, per_conversation: 100000/1m}}
runtimes:
  agent: {{type: command, command: [{python}, -I, -S, {agent}], protocol: ndjson}}
default_route: {{runtime: agent, cwd: {cwd}}}
"""


class World:
    """One person's machine: a config file, a checkout, a state folder, a Hub, a sidecar."""

    patience = PATIENCE
    """Seconds after which what was waited for does not come."""

    def __init__(self, folder: Path, hub: DevHub) -> None:
        self.hub = hub
        self.folder = folder
        self.config = folder / "config.yaml"
        self.cwd = folder / "checkout"
        self.cwd.mkdir()
        self.log = folder / "log"
        self.program = ("-m", "sidecar")
        self.fresh = False
        credentials = folder / "demo.json"
        credentials.write_text(json.dumps(hub.add_agent("demo")))
        credentials.chmod(0o600)
        self.text = CONFIG.format(
            state=folder / "state",
            socket=folder / "s.sock",
            credentials=credentials,
            python=sys.executable,
            agent=AGENT,
            cwd=self.cwd,
        )
        self.config.write_text(self.text)
        self.process: starting.Process | None = None

    def write(self, **replacements: str) -> None:
        """Write the config anew, with texts replaced."""
        text = self.text
        for old, new in replacements.items():
            assert old in text, old
            text = text.replace(old, new)
        beside = self.config.with_name(".fresh")
        beside.write_text(text)
        beside.replace(self.config)

    async def start(self, *, connected: bool = True) -> None:
        before, looks = self.hub.connects("demo"), self.hub.requests["/hub/inbox"]
        with self.log.open("ab") as log:
            env = {**os.environ, "PYTHONWARNINGS": "error"}
            command = (*self.program, "run", str(self.config))
            self.process = await starting.start(
                *command, output=log, env=env, cwd=starting.ROOT, fresh=self.fresh
            )
        if connected:
            await self.until(lambda: self.hub.connects("demo") > before)
            # It looks into the inbox when it knows that it is connected.
            await self.until(lambda: self.hub.requests["/hub/inbox"] > looks)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    @property
    def failed(self) -> int | None:
        """The exit code of a sidecar that has ended otherwise than it is told to or is killed."""
        code = self.process.returncode if self.process is not None else None
        return None if code in (0, -signal.SIGTERM, -signal.SIGKILL) else code

    async def ended(self) -> int:
        """The exit code, when the sidecar has ended."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), self.patience)

    async def stop(self) -> int:
        self.terminate()
        return await self.ended()

    async def run(self, *command: str) -> tuple[int, str]:
        """Run another `sidecar` command; its exit code and output."""
        env = {**os.environ, "PYTHONPATH": str(starting.ROOT)}
        running = starting.run("-m", "sidecar", *command, cwd=self.folder, env=env)
        code, output = await asyncio.wait_for(running, self.patience)
        return code, output.decode()

    async def get(self, path: str) -> str:
        """What the sidecar answers to a `GET` of a path, with 200."""
        connector = UnixConnector(str(self.folder / "s.sock"))
        async with ClientSession(connector=connector) as http, http.get(f"http://x{path}") as told:
            text = await told.text()
            assert told.status == 200, text
            return text

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.get("/status"))
        return found

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition; show the sidecar's log when it does not hold, and at once when the
        sidecar has failed."""

        async def held() -> object:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if not found and (code := self.failed) is not None:
                raise AssertionError(f"the sidecar ended with exit code {code}")
            return found

        try:
            await until(held, poll=0.01, patience=self.patience)
        except AssertionError as error:
            pytest.fail(f"{error}; the log:\n{self.log.read_text()[-8000:]}")

    async def replies(self, count: int) -> list[str]:
        """The texts of the first replies, when there are so many."""
        await self.until(lambda: len(self.hub.sent) >= count)
        return [sent.text for sent in self.hub.sent]

    @property
    def runs(self) -> list[str]:
        """What the agent was asked, run by run."""
        file = self.cwd / "runs"
        return file.read_text().splitlines() if file.exists() else []

    def touch(self, name: str) -> None:
        (self.cwd / name).touch()


LIMITS = HubLimits(sends_per_minute=100_000, sends_per_pair=100_000)


@asynccontextmanager
async def opened(
    folder: Path, kind: Callable[[Path, DevHub], Any], limits: HubLimits
) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Makes worlds of a kind, and leaves nothing of them behind."""
    worlds: list[World] = []

    async def make(**options: Any) -> World:
        hub = DevHub(limits=limits, **options)
        await hub.start()
        worlds.append(kind(folder, hub))
        return worlds[-1]

    yield make
    for found in worlds:
        if found.process is not None and found.process.returncode is None:
            await found.kill()
        await asyncio.to_thread(sweep, folder / "state")
        await found.hub.stop()


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    async with opened(tmp_path, World, LIMITS) as make:
        yield make


@pytest.fixture
async def world(make_world: Callable[..., Awaitable[World]]) -> World:
    return await make_world()
