"""What this machine offers to the control plane: its runtimes, and its agents."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar import __version__
from sidecar.app.connecting.channels import Channels
from sidecar.codecs.hub.provisioning import profile_text
from sidecar.config.model import Config, Runtime
from sidecar.errors import ChannelStopped
from sidecar.hubclient.private_file import parse_object, read_private
from sidecar.store.journal import Journal

if TYPE_CHECKING:
    from sidecar.runtimes.probe import Found

PATIENCE = 3.0
"""Seconds for an answer of a program: a Hub waits for five, and one that is slow now is asked
again."""
MOST_AT_ONCE = 8
"""Programs that are asked at the same time."""
FRESH = 60.0
"""Seconds for which what was found of a program holds."""
MOST_RUNTIMES = 64
"""The most that a Hub takes."""
RECENT = 30 * 86400.0
"""Seconds of activity in which an agent's last message is looked for."""


def runtime_ids(runtimes: Mapping[str, Runtime]) -> dict[str, str]:
    """By which id the control plane knows each runtime: the Hub's pages know the types of CLIs, so
    the first runtime of such a type goes by it, and any other by its own name."""
    from sidecar.runtimes.probe import TOOLS  # what it imports, few sidecars need

    found: dict[str, str] = {}
    for name, runtime in runtimes.items():
        taken = runtime.type in found or (runtime.type in runtimes and runtime.type != name)
        found[name if taken or runtime.type not in TOOLS else runtime.type] = name
    return found


def runtime_of(config: Config, wanted: str | None) -> str | None:
    """The name of the runtime that the control plane means; None where there is none such.

    Without a word from it, that of the default route, or else the first one.
    """
    if wanted is not None:
        found = runtime_ids(config.runtimes).get(wanted, wanted)
        return found if found in config.runtimes else None
    if config.default_route is not None:
        return config.default_route.runtime
    return next(iter(config.runtimes), None)


class Inventory:
    """Looks at the programs of runtimes, in a thread, and remembers what it found."""

    def __init__(self, channels: Channels, journal: Journal) -> None:
        self._channels = channels
        self._journal = journal
        self._probed: Mapping[str, Runtime] = {}
        self._found: dict[str, object] = {}
        self._at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def runtimes(self, config: Config) -> Mapping[str, object]:
        """The runtimes as `list_runtimes` and `runtime_snapshot` tell them."""
        async with self._one_at_a_time:
            age = time.monotonic() - self._at
            if not self._found or self._probed != config.runtimes or age > FRESH:
                self._found = await asyncio.to_thread(_probe_all, config.runtimes)
                self._probed, self._at = config.runtimes, time.monotonic()
            return self._found

    async def agents(self, names: Mapping[str, str]) -> list[dict[str, object]]:
        """The agents as `list_agents` tells them. `names` are those that the Hub has told; of
        others, those in their credentials count."""
        now, found = time.time(), []
        for channel, (account, status) in self._channels.statuses().items():
            agent = account or channel
            told: dict[str, object] = {
                "id": agent,
                "name": names.get(agent) or await self._name(channel) or agent,
                "online": status.state == "connected",
                "status": "stopped" if status.state == "stopped" else "running",
            }
            said = self._journal.said_since(channel, agent, now - RECENT)
            if said:
                told["lastMessageAt"] = int(said[0].at * 1000)
            found.append(told)
        return found

    async def _name(self, channel: str) -> str | None:
        config = self._channels.config(channel)
        path = None if config is None else config.options.get("credentials")
        return None if path is None else await asyncio.to_thread(_display_name, path)


def _probe_all(runtimes: Mapping[str, Runtime]) -> dict[str, object]:
    ids = list(runtime_ids(runtimes).items())[:MOST_RUNTIMES]
    wanted = [runtimes[name] for _, name in ids]
    programs = [
        one for at, one in enumerate(wanted) if not any(map(_same_program(one), wanted[:at]))
    ]
    # Threads of their own: what waits for a program must not hold up what waits for a file.
    with ThreadPoolExecutor(MOST_AT_ONCE, "probe") as pool:
        looked = list(zip(programs, pool.map(_look, programs), strict=True))
    told = [
        _told(id_, runtime, next(found for one, found in looked if _same_program(runtime)(one)))
        for (id_, _), runtime in zip(ids, wanted, strict=True)
    ]
    return {
        "runtimes": told,
        "probedAt": int(time.time() * 1000),
        "daemonVersion": f"sidecar {__version__}"[:64],
    }


def _same_program(runtime: Runtime) -> Callable[[Runtime], bool]:
    """Tells whether another runtime starts the same program in the same environment."""

    def facts(one: Runtime) -> tuple[object, ...]:
        return one.type, one.options.get("command"), one.inherit_env, one.env

    return lambda other: facts(other) == facts(runtime)


def _look(runtime: Runtime) -> "Found":
    from sidecar.runtimes.probe import probe

    return probe(runtime, os.environ, Path.cwd(), patience=PATIENCE)


def _told(id_: str, runtime: Runtime, found: "Found") -> dict[str, object]:
    told: dict[str, object] = {"id": id_, "available": found.path is not None}
    if found.path is None:
        told["error"] = found.warning or f"{found.program} is not found"
        return told
    told["path"] = found.path
    if found.version:
        told["version"] = found.version
    if runtime.model is not None:
        told["models"] = [{"id": runtime.model, "source": "config", "isDefault": True}]
    return told


def _display_name(credentials: object) -> str | None:
    """The name in the credentials of an agent; None without one. Blocks."""
    path = Path(str(credentials))
    try:
        return profile_text(parse_object(path, read_private(path).text), "displayName")
    except (ChannelStopped, ValueError):  # its channel tells what is wrong with it
        return None
