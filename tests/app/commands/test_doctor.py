"""What the check-up finds, each with the step that mends it."""

import asyncio
import base64
import json
import os
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.app.commands import doctor, doctor_state
from sidecar.app.commands.findings import Finding
from sidecar.control.login import mark_expired
from sidecar.store.lock import StateLock
from tests.app.connecting.forward_proxy import forward_proxy
from tests.held_port import held_port
from tests.patience import PATIENCE
from tests.privileges import as_an_ordinary_user
from tests.read_only import threads_that_cannot_write

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

    def __init__(self, folder: Path, hub: str, port: int) -> None:
        self.folder = folder
        self.hub = hub
        self.config = folder / "config.yaml"
        self.ahead = 0.0
        self.port = port
        self.text = CONFIG.format(port=port)
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

    async def status(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization")
        return web.json_response({}, status=200 if given == "Bearer s3cret" else 401)

    app = web.Application()
    app.router.add_get("/", root)
    app.router.add_get("/status", status)
    with held_port() as port:
        async with TestServer(app) as server:
            made.append(Machine(tmp_path, str(server.make_url("")).rstrip("/"), port))
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
    assert "does not run" in (await machine.look(dev=True))["sidecar"].text


async def test_a_sidecar_that_runs_is_asked_and_one_that_was_killed_is_not(
    machine: Machine,
) -> None:
    state = machine.folder / "state"
    state.mkdir(mode=0o700)
    (state / "server.address").write_text(machine.hub.removeprefix("http://"))
    with socket.create_server(("127.0.0.1", machine.port)):
        found = await machine.look()
    assert "does not run" in found["sidecar"].text
    assert found["server"].level == "failure"
    machine.text = machine.text.replace("listen:", "token: s3cret, listen:")
    lock = StateLock(state)
    await asyncio.to_thread(lock.acquire)
    found = await machine.look()
    assert (found["sidecar"].level, "server" in found) == ("ok", False)
    assert "answers at" in found["sidecar"].text
    machine.text = machine.text.replace("s3cret", "another")
    found = await machine.look()
    assert (found["sidecar"].level, "answers 401" in found["sidecar"].text) == ("failure", True)
    assert "server.token" in found["sidecar"].remedy
    (state / "server.address").write_text(f"unix:{state / 'gone'}")
    assert "does not answer" in (await machine.look())["sidecar"].text
    (state / "server.address").unlink()
    found = await machine.look()
    assert (found["sidecar"].level, "no address" in found["sidecar"].text) == ("warning", True)
    await asyncio.to_thread(lock.release)


async def test_an_address_of_ipv6_is_tried_as_such(machine: Machine) -> None:
    with ExitStack() as stack:
        try:
            port = stack.enter_context(held_port("::1"))
        except OSError:
            pytest.skip("this machine has no IPv6")
        machine.text = machine.text.replace(f"127.0.0.1:{machine.port}", f'"[::1]:{port}"')
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            assert "in use" in (await machine.look())["server"].text
        assert (await machine.look())["server"].text == f"[::1]:{port} is free"


async def test_a_state_folder_of_another_user_is_told(machine: Machine) -> None:
    state = machine.folder / "state"
    state.mkdir()
    state.chmod(0)
    with as_an_ordinary_user():  # what asyncio.to_thread starts from here on is one, too
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        found = await machine.look()
        state.chmod(0o700)
        (machine.folder / "above").mkdir()
        machine.text = machine.text.replace("{dir: state}", "{dir: above/state}")
        (machine.folder / "above").chmod(0)
        above = await machine.look()
        (machine.folder / "above").chmod(0o700)
    for one in (found, above):
        assert one["sidecar"].level == "failure"
        assert "cannot be looked at" in one["sidecar"].text
        assert f"run this as user {os.geteuid()}" in one["sidecar"].remedy


def test_a_folder_that_only_its_owner_can_close_has_another_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o775)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    found = [one for one in doctor_state.examine(tmp_path, None, dev=False) if one.remedy]
    assert [one.remedy for one in found] == [
        f"set `state.dir` to {tmp_path / 'state'}, which is made for this user alone"
    ]


def test_a_folder_that_is_mounted_read_only_is_told_as_such(tmp_path: Path) -> None:
    with threads_that_cannot_write(tmp_path) as pool:
        findings = pool.submit(list[Finding], doctor_state.examine(tmp_path / "s", None, dev=False))
        [found] = [one for one in findings.result() if one.level == "failure"]
    assert found.text == f"{tmp_path} is mounted read-only"
    assert "chown" not in found.remedy


async def test_a_hub_is_asked_by_the_way_that_its_channel_takes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.hub = "https://hub.test"
    machine.add("demo.json", "demo")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with forward_proxy("127.0.0.1", 0) as proxy:
        proxy.refuses = True
        monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
        found = (await machine.look())["channel demo"]
    assert [head.split("\r\n")[0] for head in proxy.heads] == ["CONNECT hub.test:443 HTTP/1.1"]
    assert "407" in found.text


async def test_a_clock_that_is_wrong_is_told(machine: Machine) -> None:
    machine.ahead = 3600.0
    found = (await machine.look())["channel demo"]
    assert found.level == "warning"
    told = re.search(r" by (\d+) s$", found.text)
    assert told is not None
    assert abs(int(told[1]) - machine.ahead) < PATIENCE  # the way takes some of it
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
    monkeypatch.setattr(doctor_state, "_file_system", lambda path: "nfs4")
    found = (await machine.look())["state"]
    assert (found.level, "nfs4" in found.text) == ("failure", True)
    monkeypatch.undo()
    monkeypatch.chdir(machine.folder)
    monkeypatch.setattr(doctor_state, "LEAST_SPACE", shutil.disk_usage(state).total + 1)
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
    login = machine.folder / "login.json"
    remedy = f"log in with `sidecar login --file {login}`"
    assert (found.level, found.remedy) == ("failure", remedy)
    login.write_text(json.dumps(LOGIN))
    login.chmod(0o600)
    found = (await machine.look())["control plane"]
    assert (found.level, "usr_1" in found.text) == ("ok", True)
    assert "secret" not in found.text
    await asyncio.to_thread(mark_expired, login)
    os.utime(login, ns=(0, 0))
    found = (await machine.look())["control plane"]
    assert (found.level, found.remedy) == ("failure", remedy)
    assert "taken the login" in found.text


async def test_a_channel_whose_credentials_are_anothers_or_open_is_told(machine: Machine) -> None:
    machine.add("demo.json", "ag_other")
    found = (await machine.look())["channel demo"]
    assert "is of agent ag_other, not of demo" in found.text
    machine.add("demo.json", "demo")
    (machine.folder / "demo.json").chmod(0o644)
    found = (await machine.look())["channel demo"]
    assert (found.level, "chmod 600" in found.text) == ("failure", True)
