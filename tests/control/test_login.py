"""`sidecar login` and `sidecar logout`, as processes, and the file that they write."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession

from sidecar.control import login as logins
from sidecar.control.device import Invitation, log_in, redeem
from sidecar.control.login import FLAG
from sidecar.devhub import DevHub
from sidecar.errors import ChannelStopped, ChannelUnavailable
from tests import starting
from tests.patience import until


def nobody(_: Invitation) -> None:
    """Nobody looks at the code."""


class Result:
    """What a command printed, and its exit code."""

    def __init__(self) -> None:
        self.text = ""
        self.code: int | None = None


async def command(
    *arguments: str, home: Path, terminal: bool = True, when: Callable[[Result], None] | None = None
) -> Result:
    """Run a command, with its screen a terminal; `when` sees what is printed as it comes."""
    result = Result()
    env = {**os.environ, "PYTHONPATH": str(starting.ROOT), "HOME": str(home)}
    given = ("-m", "sidecar", *arguments)
    if not terminal:
        result.code, out = await starting.run(*given, cwd=home, env=env)
        result.text = out.decode()
        return result
    ours, theirs = os.openpty()
    process = await starting.start(*given, output=theirs, cwd=home, env=env)
    os.close(theirs)
    os.set_blocking(ours, False)

    def read() -> bool:
        with suppress(OSError):  # nothing yet, or no more
            while told := os.read(ours, 65536):  # a part of what is there
                result.text += told.decode(errors="replace")
        if when is not None:
            when(result)
        return process.returncode is not None

    await until(read)
    read()
    os.close(ours)
    result.code = process.returncode
    return result


async def test_a_person_logs_in_at_a_terminal_and_the_file_has_the_daemons_form(
    hub: DevHub, tmp_path: Path
) -> None:
    found = await command("login", "--hub", hub.url, "--label", "lab", home=tmp_path)
    assert found.code == 0, found.text
    code = next(iter(hub.control.codes.values()))
    assert code.user in found.text
    assert f"{hub.url}/activate?code={code.user}" in found.text
    assert "\u2588" in found.text  # the page as a QR code
    path = tmp_path / ".botcord/daemon/user-auth.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    saved = json.loads(path.read_text())
    assert set(saved) == {
        *("version", "userId", "daemonInstanceId", "hubUrl", "accessToken", "refreshToken"),
        *("expiresAt", "loggedInAt", "label"),
    }
    assert (saved["version"], saved["label"], saved["hubUrl"]) == (1, "lab", hub.url)
    assert saved["accessToken"] not in found.text
    assert abs(saved["expiresAt"] / 1000 - time.time() - 3600) < 60
    assert [entry.name for entry in path.parent.iterdir()] == ["user-auth.json"]


async def test_the_wait_for_a_person_is_shown(hub: DevHub, tmp_path: Path) -> None:
    hub.control.approves, hub.control.interval = False, 0.1

    def approve(result: Result) -> None:
        if "waiting for you" in result.text and hub.control.codes:
            hub.control.approve(next(iter(hub.control.codes.values())).user)

    found = await command("login", "--hub", hub.url, home=tmp_path, when=approve)
    assert found.code == 0, found.text
    assert "left" in found.text


async def test_a_new_login_takes_the_flag_of_the_old_one_away(hub: DevHub, tmp_path: Path) -> None:
    path = tmp_path / ".botcord/daemon/user-auth.json"
    path.parent.mkdir(parents=True)
    path.with_name(FLAG).write_text("{}")
    token = hub.control.add_install_token()
    arguments = ("login", "--hub", hub.url, "--install-token", token)
    found = await command(*arguments, home=tmp_path, terminal=False)
    assert found.code == 0, found.text
    assert not path.with_name(FLAG).exists()
    again = await command(*arguments, home=tmp_path, terminal=False)
    assert again.code == 1
    assert "does not know the install token" in again.text


async def test_a_token_is_not_used_up_for_a_login_that_cannot_be_kept(
    hub: DevHub, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    token = hub.control.add_install_token()
    arguments = ("login", "--hub", hub.url, "--install-token", token, "--file")
    for path, why in ((tmp_path / "file/login.json", "Not a directory"),
                      (tmp_path / "folder", "Is a directory")):  # fmt: skip
        found = await command(*arguments, str(path), home=tmp_path, terminal=False)
        assert found.code == 1
        assert found.text == f"sidecar: not logged in: {path} cannot be written: {why}\n"
    assert token in hub.control.install_tokens
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_command_that_mends_a_login_names_its_file_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert logins.command(tmp_path / ".botcord/daemon/user-auth.json") == "sidecar login"
    assert logins.command(Path("/x y/login.json")) == "sidecar login --file '/x y/login.json'"


async def test_without_a_terminal_it_tells_which_file_to_mount(tmp_path: Path) -> None:
    found = await command("login", "--hub", "http://127.0.0.1:1", home=tmp_path, terminal=False)
    assert found.code == 1
    assert str(tmp_path / ".botcord/daemon/user-auth.json") in found.text
    assert "mount" in found.text


async def test_an_address_that_is_not_safe_is_refused(tmp_path: Path) -> None:
    found = await command("login", "--hub", "http://example.com", home=tmp_path)
    assert found.code == 2
    assert "https" in found.text


async def test_logout_forgets_the_login_and_its_flag(hub: DevHub, tmp_path: Path) -> None:
    path = tmp_path / ".botcord/daemon/user-auth.json"
    path.parent.mkdir(parents=True)
    for file in (path, path.with_name(FLAG)):
        file.write_text("{}")
    assert (await command("logout", home=tmp_path)).code == 0
    assert list(path.parent.iterdir()) == []
    assert "nobody is logged in" in (await command("logout", home=tmp_path)).text


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"status": "pending"}),
        (200, {"status": "authorization_pending"}),
        (200, {"state": "pending"}),
        (400, {"error": "authorization_pending"}),
        (428, {"error": "authorization_pending"}),
        (500, {}),
    ],
)
async def test_it_waits_as_long_as_the_hub_says_so(
    hub: DevHub, status: int, body: dict[str, object]
) -> None:
    hub.control.interval = 0.01
    hub.control.answers = [(status, body)] if status != 500 else []
    if status == 500:
        hub.control.answers = [(200, {"status": "slow_down", "interval": 0.01})]
    async with ClientSession() as session:
        found = await log_in(session, hub.url, label=None, invite=nobody, least=0.01)
    assert found.hub == hub.url
    assert hub.requests["/daemon/auth/device-token"] == 2


@pytest.mark.parametrize("status", [200, 400, 428])
async def test_a_hub_that_asks_for_patience_gets_it(hub: DevHub, status: int) -> None:
    hub.control.interval = 0.01
    name = "status" if status == 200 else "error"
    hub.control.answers = [(status, {name: "slow_down", "interval": 0.3})]
    began = time.monotonic()
    async with ClientSession() as session:
        await log_in(session, hub.url, label=None, invite=nobody, least=0.01)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "invalid_device_code", "does not know the code"),
        (400, "device_code_already_consumed", "used already"),
        (403, "device_code_denied", "refused"),
        (410, "device_code_expired", "in time"),
        (404, "not_found", "refuses"),
    ],
)
async def test_what_cannot_become_better_ends_it_at_once(
    hub: DevHub, status: int, code: str, told: str
) -> None:
    hub.control.answers = [(status, {"detail": code, "error": code})]
    async with ClientSession() as session:
        with pytest.raises(ChannelStopped, match=told):
            await log_in(session, hub.url, label=None, invite=nobody)
    assert hub.requests["/daemon/auth/device-token"] == 1


async def test_a_code_that_nobody_approves_ends_in_time(hub: DevHub) -> None:
    hub.control.approves, hub.control.code_ttl, hub.control.interval = False, 0.2, 0.05
    async with ClientSession() as session:
        with pytest.raises(ChannelStopped, match="in time"):
            await log_in(session, hub.url, label=None, invite=nobody, least=0.05)


async def test_what_is_shown_cannot_steer_the_terminal(hub: DevHub) -> None:
    hub.state.url = hub.url
    shown: list[Invitation] = []
    hub.faults.add(
        "/daemon/auth/device-code",
        status=200,
        body=json.dumps(
            {
                "device_code": "dc_0123456789",
                "user_code": "A\x1b[2JB",
                "verification_uri": "https://x/\x07",
            }
        ).encode(),
    )
    hub.control.answers = [(403, {"detail": "device_code_denied"})]
    async with ClientSession() as session:
        with pytest.raises(ChannelStopped):
            await log_in(session, hub.url, label=None, invite=shown.append)
    assert shown[0].code == "A[2JB"
    assert shown[0].page == "https://x/"


@pytest.mark.parametrize("hub_url", ["http://evil.example", "ftp://x", "https://user@x"])
async def test_a_login_is_not_led_to_an_address_that_is_not_safe(hub_url: str) -> None:
    body = {"accessToken": "a", "refreshToken": "r", "userId": "u", "daemonInstanceId": "d"}
    assert logins.granted(body, "https://h", 1.0).hub == "https://h"
    with pytest.raises(ChannelUnavailable):
        logins.granted({**body, "hubUrl": hub_url}, "https://h", 1.0)


@pytest.mark.parametrize("lost", ["access_token", "refresh_token", "user_id", "daemon_instance_id"])
async def test_an_answer_that_lacks_something_is_no_login(hub: DevHub, lost: str) -> None:
    given = hub.control.grant(hub.control.add_instance(), hub.url)
    with pytest.raises(ChannelUnavailable):
        logins.granted({**given, lost: ""}, hub.url, 1.0)


async def test_an_unknown_install_token_is_refused(hub: DevHub) -> None:
    async with ClientSession() as session:
        with pytest.raises(ChannelStopped, match="install token"):
            await redeem(session, hub.url, "dit_x", label=None)


WRITER = """
import sys, time
from pathlib import Path
from sidecar.control import login
path = Path(sys.argv[1])
found = login.read(path)
print("ready", flush=True)
while True:
    login.write(path, found, now=time.time())
"""


async def test_a_kill_at_any_moment_leaves_a_whole_file(hub: DevHub, tmp_path: Path) -> None:
    path = tmp_path / "user-auth.json"
    document = hub.control.login(hub.url) | {"padding": "x" * 200_000}
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
    for moment in range(6):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, str(path)), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(0.003 * moment)  # anywhere within its writes
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert logins.read(path).document["padding"] == document["padding"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"userId": "u", "daemonInstanceId": "d", "hubUrl": "https://x", "accessToken": "a"}',
        '{"userId": "u", "daemonInstanceId": "d", "hubUrl": "https://x", "accessToken": "a",'
        ' "refreshToken": "r", "expiresAt": "soon"}',
        '{"userId": "u", "daemonInstanceId": "d", "hubUrl": "http://x.example",'
        ' "accessToken": "a", "refreshToken": "r", "expiresAt": 1}',
        '{"userId": "u", "daemonInstanceId": "d", "hubUrl": "https://x", "accessToken": "a\\nb",'
        ' "refreshToken": "r", "expiresAt": 1}',
    ],
)
def test_a_damaged_login_is_told_without_what_is_in_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "user-auth.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(ChannelStopped) as told:
        logins.read(path)
    assert str(path) in str(told.value)
