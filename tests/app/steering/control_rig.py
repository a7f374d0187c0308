"""A whole sidecar in this process, with a real Hub and agents, that frames are given to."""

import asyncio
import json
import math
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar import plugins
from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.sidecar import Sidecar
from sidecar.app.steering import agents
from sidecar.codecs.hub.control import Ack, Done, Failed, Frame
from sidecar.config.reading.managed import FILE
from sidecar.core.managed import Managed, read
from sidecar.devhub import DevHub, Generation, HubLimits
from tests.patience import PATIENCE, until

# Importing a type reads its schema, which a test on a loop must not.
LOADED = (plugins.runtime_type("command"), plugins.channel_type("botcord"))

CONFIG = """\
version: 1
state: {{dir: {folder}/state}}
server: null
limits: {{stop_grace: 500ms, drain_timeout: 2s}}
channels:
  demo: {{type: botcord, credentials: {folder}/demo.json}}
control_plane: {{credentials: {folder}/login.json, roots: [{folder}/work]}}
runtimes:
  first: {{type: command, command: [sh, -c, 'echo "first: $(tail -n 1)"'], protocol: text}}
  second:
    type: command
    command: [sh, -c, 'case "$(cat)" in *sleep*) exec sleep 60;; *) echo "second in $PWD";; esac']
    protocol: text
{more}
"""
DEFAULT = "default_route: {{runtime: first, cwd: {folder}}}"


class Rig:
    """A sidecar with a config file, and what the control plane asks of it."""

    def __init__(self, folder: Path, hub: DevHub) -> None:
        self.hub = hub
        self.folder = folder
        self.state = folder / "state"
        self.work = folder / "work"
        self.work.mkdir()
        (folder / "demo.json").touch(mode=0o600)
        (folder / "demo.json").write_text(json.dumps(hub.add_agent("demo")))
        self.path = folder / "config.yaml"
        self.write(DEFAULT)
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.frames = 0

    def write(self, more: str) -> None:
        self.path.write_text(
            CONFIG.format(folder=self.folder, more=more.format(folder=self.folder))
        )

    def log_in(self, **changes: object) -> None:
        """Put a login of the Hub into its file."""
        path = self.folder / "login.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({**self.hub.control.login(self.hub.url), **changes}))

    async def start(self) -> Sidecar:
        found = await self._load(self.path)
        assert found.config is not None, found.problems
        self.sidecar = Sidecar(self.path, found.config, found.inputs)
        await self.sidecar.__aenter__()
        self.sidecar.reloader._load = self._load
        self.sidecar.control.tell = self._tell
        self.sidecar._intake._attention._patience = PATIENCE  # a slow answer is one, too
        return self.sidecar

    async def _load(self, path: Path, begun: object = None) -> Candidate:
        """Checked in this process: another one would take most of a test's time."""
        return await asyncio.to_thread(check, path, inside=str(self.state))

    async def _tell(self, type_: str, params: Mapping[str, object]) -> None:
        self.told.append((type_, params))

    async def act(
        self, type_: str, params: Mapping[str, object] | None = None, due: float = math.inf
    ) -> Ack:
        self.frames += 1
        frame = Frame(f"f{self.frames}", type_, params or {}, 0.0, due)
        return await self.sidecar.control.act(frame)

    async def done(self, type_: str, params: Mapping[str, object] | None = None) -> Any:
        ack = await self.act(type_, params)
        assert isinstance(ack, Done), ack
        return ack.result

    async def refused(self, type_: str, params: Mapping[str, object] | None = None) -> str:
        """The code of a refusal."""
        ack = await self.act(type_, params)
        assert isinstance(ack, Failed), ack
        return ack.code

    async def code(self, type_: str, params: Mapping[str, object] | None = None) -> str:
        """The code of a refusal that changes nothing."""
        before = self.managed, sorted(self.state.rglob("credentials/*.json"))
        code = await self.refused(type_, params)
        assert before == (self.managed, sorted(self.state.rglob("credentials/*.json")))
        return code

    def agent(self, name: str = "ag_new", **more: object) -> dict[str, object]:
        """What a Hub sends to have an agent provisioned."""
        return {"name": name, "credentials": {**self.hub.add_agent(name)}, **more}

    @property
    def managed(self) -> Managed:
        path = self.state / FILE
        return read(path.read_text()) if path.exists() else Managed()

    async def answer(self, agent: str, text: str) -> str:
        before = len(self.hub.sent)
        self.hub.owner_says(agent, text)
        await until(lambda: len(self.hub.sent) > before)
        return self.hub.sent[-1].text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@asynccontextmanager
async def running(
    folder: Path,
    generation: Generation = "today",
    begin: Callable[[Rig], None] = lambda rig: None,
) -> AsyncIterator[Rig]:
    """A sidecar that runs, in a folder of its own. `begin` is called before it starts."""
    limits = HubLimits(sends_per_minute=100_000, sends_per_pair=100_000)
    hub = DevHub(limits=limits, generation=generation)
    await hub.start()
    found = Rig(folder, hub)
    begin(found)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(agents, "END_SLACK", PATIENCE)  # turns that are slow to end have ended, too
        await found.start()
        yield found
        await found.sidecar.__aexit__(None, None, None)
    await hub.stop()
