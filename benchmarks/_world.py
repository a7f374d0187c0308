"""A development Hub in this process, and a real `sidecar run` beside it."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks._stalls import Stalls
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
CHANNEL = """\
  {name}: {{type: botcord, credentials: "{folder}/{name}.json"}}
"""
OWNER = """\
runtimes:
  other: {{type: command, command: {command}, protocol: ndjson}}
routes:
- {{name: owner, match: {{sender_kind: owner}}, runtime: other, cwd: "{folder}"}}
"""


@dataclass(frozen=True, slots=True)
class World:
    """The Hub, the process of the sidecar, the seconds from its start to its connection, and the
    stalls of its event loop since."""

    hub: DevHub
    pid: int
    start: float
    stalls: Stalls

    async def replies(self, count: int) -> None:
        """Return when the sidecar has sent so many replies."""
        await self.hub.wait(lambda: len(self.hub.sent) >= count, timeout=PATIENCE)


def answering_owner(folder: Path, command: Sequence[str]) -> str:
    """A part of a config in which another agent answers the owner."""
    return OWNER.format(folder=folder, command=json.dumps(command))


@asynccontextmanager
async def world(
    folder: Path,
    program: Path,
    *,
    slots: int = 4,
    channels: int = 1,
    include: str = "",
    plain: bool = False,
) -> AsyncIterator[World]:
    """Run a Hub and a sidecar with its channels, connected, and end both. `include` is a part of
    the config that is included. A `plain` one is started as users do, and notes no stalls."""
    hub = DevHub(limits=LIMITS)
    await hub.start()
    names = ["demo", *(f"demo{number}" for number in range(1, channels))]
    for name in names:
        credentials = folder / f"{name}.json"
        credentials.write_text(json.dumps(hub.add_agent(name)))
        credentials.chmod(0o600)
    others = "".join(CHANNEL.format(name=name, folder=folder) for name in names[1:])
    if others:
        include += f"channels:\n{others}"
    config = folder / "config.yaml"
    text = CONFIG.format(folder=folder, program=program, slots=slots)
    if include:
        (folder / "more.yaml").write_text(include)
        text += "include: [more.yaml]\n"
    config.write_text(text)
    begin = time.monotonic()
    stalls = Stalls(folder / "stalls")
    module = ["sidecar"] if plain else ["benchmarks._stalls", str(stalls.path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, "run", str(config), env=os.environ
    )
    try:
        while not all(map(hub.connected, names)):
            if process.returncode is not None:
                sys.exit(f"the sidecar ended with exit code {process.returncode}")
            if time.monotonic() - begin > PATIENCE:
                sys.exit("the sidecar does not connect")
            with suppress(TimeoutError):
                await hub.wait(lambda: all(map(hub.connected, names)), timeout=1.0)
        start = time.monotonic() - begin
        stalls.anew()
        yield World(hub, process.pid, start, stalls)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        await hub.stop()
