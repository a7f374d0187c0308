"""A development Hub in this process, and a real `sidecar run` beside it."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.devhub import DevHub, HubLimits

LIMITS = HubLimits(
    sends_per_minute=1_000_000, sends_per_pair=1_000_000, typing_per_minute=1_000_000
)

PATIENCE = 120.0
"""Seconds after which a benchmark gives up."""

CONFIG = """\
version: 1
state: {{dir: "{folder}/state"}}
server: {{listen: "127.0.0.1:0"}}
log: {{level: warning}}
limits: {{concurrent_turns: {slots}}}
channels:
  demo:
    type: botcord
    credentials: "{folder}/demo.json"
    send_rate: {{total: 100000/1m, per_conversation: 100000/1m}}
    rate_limit: null
    loop_guard: null
runtimes:
  instant: {{type: command, command: ["{program}"], protocol: ndjson}}
default_route: {{runtime: instant, cwd: "{folder}"}}
"""


@dataclass(frozen=True, slots=True)
class World:
    """The Hub, the process of the sidecar, and the seconds from its start to its connection."""

    hub: DevHub
    pid: int
    start: float

    async def replies(self, count: int) -> None:
        """Return when the sidecar has sent so many replies."""
        await self.hub.wait(lambda: len(self.hub.sent) >= count, timeout=PATIENCE)


@asynccontextmanager
async def world(folder: Path, program: Path, *, slots: int = 4) -> AsyncIterator[World]:
    """Run a Hub and a sidecar with one channel, connected, and end both."""
    hub = DevHub(limits=LIMITS)
    await hub.start()
    credentials = folder / "demo.json"
    credentials.write_text(json.dumps(hub.add_agent("demo")))
    credentials.chmod(0o600)
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(folder=folder, program=program, slots=slots))
    begin = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "run", str(config), env=os.environ
    )
    try:
        while not hub.connected("demo"):
            if process.returncode is not None:
                sys.exit(f"the sidecar ended with exit code {process.returncode}")
            with suppress(TimeoutError):
                await hub.wait(lambda: hub.connected("demo"), timeout=1.0)
        yield World(hub, process.pid, time.monotonic() - begin)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        await hub.stop()
