"""What the check-up finds, each with the step that mends it."""

import base64
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.app import doctor
from sidecar.app.findings import Finding

CONFIG = """\
version: 1
state: {{dir: state}}
server: {{listen: 127.0.0.1:{port}}}
channels: {{demo: {{type: botcord, credentials: demo.json}}}}
runtimes: {{shell: {{type: command, command: [sh]}}}}
default_route: {{runtime: shell, cwd: .}}
"""


KEY = base64.b64encode(bytes(32)).decode()
LOGIN = {
    "userId": "usr_1",
    "daemonInstanceId": "dm_1",
    "hubUrl": "https://hub.example",
    "accessToken": "secret-access",
    "refreshToken": "secret-refresh",
    "expiresAt": 4_000_000_000_000,
}


class Machine:
    """A folder with a config and the credentials of an agent, whose Hub answers with a clock."""

    def __init__(self, folder: Path, hub: str) -> None:
        self.folder = folder
        self.hub = hub
        self.config = folder / "config.yaml"
        self.ahead = 0.0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.text = CONFIG.format(port=self.port)
        self.add("demo.json", "demo")

    def add(self, name: str, agent: str) -> None:
        """The credentials file of an agent."""
        path = self.folder / name
        told = {"hubUrl": self.hub, "agentId": agent, "keyId": "k_1", "privateKey": KEY}
        path.write_text(json.dumps({"version": 1, **told}))
        path.chmod(0o600)

    async def look(self, *, dev: bool = False) -> dict[str, Finding]:
        """The findings by their part; of several, the worst."""
        self.config.write_text(self.text)
        worst = {"ok": 0, "warning": 1, "failure": 2}
        found: dict[str, Finding] = {}
        async for one in doctor.examine(self.config, dev=dev):
            if one.part not in found or worst[one.level] > worst[found[one.part].level]:
                found[one.part] = one
        assert all(one.remedy or one.level == "ok" for one in found.values())
        return found


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    made: list[Machine] = []

    async def root(_: web.Request) -> web.Response:
        date = formatdate(time.time() + made[0].ahead, usegmt=True)
        return web.Response(status=404, headers={"Date": date})

    app = web.Application()
    app.router.add_get("/", root)
    async with TestServer(app) as server:
        made.append(Machine(tmp_path, str(server.make_url("")).rstrip("/")))
        yield made[0]


async def test_each_part_that_is_well_has_its_line(machine: Machine) -> None:
    found = await machine.look()
    assert {one.level for one in found.values()} == {"ok"}
    parts = ["config", "sidecar", "state", "server", "watch", "channel demo", "runtime shell"]
    assert list(found) == parts
    assert found["server"].text == f"127.0.0.1:{machine.port} is free"


async def test_what_the_development_sidecar_does_not_use_is_not_its_worry(machine: Machine) -> None:
    (machine.folder / "demo.json").unlink()
    (machine.folder / "state" / "dev").mkdir(mode=0o700, parents=True)
    machine.text += "control_plane: {enabled: true, credentials: none.json}\n"
    with socket.create_server(("127.0.0.1", machine.port)):
        assert (await machine.look())["server"].level == "failure"
        found = await machine.look(dev=True)
    assert {one.level for one in found.values()} == {"ok"}
    assert list(found) == ["config", "sidecar", "state", "watch", "channel demo", "runtime shell"]
    assert found["state"].text.startswith(f"{machine.folder / 'state' / 'dev'}, ")
    (machine.folder / "state" / "dev").chmod(0o755)
    assert (await machine.look(dev=True))["state"].level == "warning"
    (machine.folder / "state" / "server.address").write_text(machine.hub.removeprefix("http://"))
    assert "answers at" in (await machine.look())["sidecar"].text
    assert "does not run" in (await machine.look(dev=True))["sidecar"].text


async def test_a_clock_that_is_wrong_is_told(machine: Machine) -> None:
    machine.ahead = 3600.0
    found = (await machine.look())["channel demo"]
    assert found.level == "warning"
    assert "by 3600 s" in found.text or "by 3599 s" in found.text
    assert "NTP" in found.remedy


async def test_a_port_that_is_taken_by_another_program_is_told(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.port)):
        found = (await machine.look())["server"]
    assert (found.level, "in use" in found.text) == ("failure", True)


async def test_a_state_folder_that_is_open_remote_or_full_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = machine.folder / "state"
    state.mkdir(mode=0o700)
    state.chmod(0o755)
    found = (await machine.look())["state"]
    assert (found.level, found.remedy) == ("warning", f"chmod 700 {state}")
    state.chmod(0o700)
    monkeypatch.setattr(doctor, "_file_system", lambda path: "nfs4")
    found = (await machine.look())["state"]
    assert (found.level, "nfs4" in found.text) == ("failure", True)
    monkeypatch.undo()
    monkeypatch.chdir(machine.folder)
    monkeypatch.setattr(doctor, "LEAST_SPACE", shutil.disk_usage(state).total + 1)
    found = (await machine.look())["state"]
    assert (found.level, found.remedy) == ("warning", "make room")


async def test_files_that_cannot_be_watched_are_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr("watchfiles.watch", refuse)
    found = (await machine.look())["watch"]
    assert (found.level, "fs.inotify" in found.remedy) == ("warning", True)


async def test_agents_of_the_discovery_folder_are_examined_too(machine: Machine) -> None:
    (machine.folder / "found").mkdir()
    machine.add("found/other.json", "ag_other")
    (machine.folder / "found" / "broken.json").write_text("{")
    machine.text += "discovery: {botcord: {credentials_dir: found}}\n"
    found = await machine.look()
    assert found["channel ag_other"].level == "ok"
    assert found["discovery"].level == "warning"
    assert "broken.json" in found["discovery"].text


async def test_the_login_of_the_control_plane_is_looked_at(machine: Machine) -> None:
    machine.text += "control_plane: {enabled: true, credentials: login.json}\n"
    found = (await machine.look())["control plane"]
    assert (found.level, found.remedy) == ("failure", "log in with `sidecar login`")
    login = machine.folder / "login.json"
    login.write_text(json.dumps(LOGIN))
    login.chmod(0o600)
    found = (await machine.look())["control plane"]
    assert (found.level, "usr_1" in found.text) == ("ok", True)
    assert "secret" not in found.text


async def test_a_channel_whose_credentials_are_anothers_or_open_is_told(machine: Machine) -> None:
    machine.add("demo.json", "ag_other")
    found = (await machine.look())["channel demo"]
    assert "is of agent ag_other, not of demo" in found.text
    machine.add("demo.json", "demo")
    (machine.folder / "demo.json").chmod(0o644)
    found = (await machine.look())["channel demo"]
    assert (found.level, "chmod 600" in found.text) == ("failure", True)
