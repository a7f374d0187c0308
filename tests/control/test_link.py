"""How a link is kept: connects, tokens, and a Hub that does not want it."""

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.api import Host
from sidecar.control import login as logins
from sidecar.control.login import FLAG, Login, remove
from sidecar.control.socket import Limits
from sidecar.control.token import LoginRefused, LoginToken
from sidecar.devhub import DevHub
from sidecar.devhub.control import Instance
from tests.control.conftest import QUICK, Acted, Running, write_login
from tests.held_port import held_port
from tests.patience import PATIENCE, until


def saved(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def machine(hub: DevHub) -> Instance:
    """The only machine that has a login."""
    return next(iter(hub.control.instances.values()))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def set_mode(path: Path, bits: int) -> None:
    path.chmod(bits)


def put_behind_a_link(path: Path) -> Path:
    """Move a file elsewhere and leave a link to it; where it is now."""
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)
    return target


def age(path: Path) -> None:
    """Let the token in a login file be about to end."""
    write_login(path, {**saved(path), "expiresAt": int((time.time() + 30) * 1000)})


async def test_it_tells_who_it_is_connected_as(hub: DevHub, running: Running, acted: Acted) -> None:
    link = await running(acted, label="build server")
    instance = hub.control.only()
    assert link.status.instance == instance.id
    assert link.status.hub == hub.url
    assert link.status.connection
    assert instance.labels == ["build server"]


async def test_the_hub_hears_a_beat_in_json_and_answers_it(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    link = await running(acted, limits=Limits(beat=0.02))
    await until(lambda: len(hub.control.only().events) >= 3)
    beat = hub.control.only().events[0]
    assert beat["type"] == "pong"
    assert str(beat["id"]).startswith("hb_")
    assert link.status.refused == ""


async def test_a_connection_that_is_lost_is_made_again(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    link = await running(acted)
    for code in (1006, 1012, 1000):
        before = link.status.connection
        hub.control.drop(code)
        await until(
            lambda b=before: (
                link.status.state == "connected" != b and link.status.connection not in (None, b)
            )
        )
    assert link.status.reconnects == 3
    assert (await hub.control.ask("ping", timeout=PATIENCE))["ok"] is True


async def test_a_hub_that_answers_no_ping_is_left(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    hub.control.pongs = False
    link = await running(acted, limits=Limits(ping=0.1))
    hub.control.pongs = True
    await until(lambda: link.status.reconnects >= 1 and link.status.state == "connected")


async def test_a_hub_that_is_away_is_waited_for(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    await hub.stop()
    with held_port() as port:
        write_login(login, {**saved(login), "hubUrl": f"http://127.0.0.1:{port}"})
        link = await running(acted, state="waiting")
        assert "no connection" in link.status.reason
        await hub.start(port=port)
    await until(lambda: link.status.state == "connected")


async def test_a_displaced_link_does_not_fight(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    first, second = await running(acted), await running(acted)
    await until(lambda: first.status.state == "displaced")
    assert second.status.state == "connected"
    await asyncio.sleep(0.2)
    assert hub.control.only().connects == 2
    assert not login.with_name(FLAG).exists()


async def test_a_displaced_link_takes_up_a_login_of_its_own_and_not_a_refreshed_one(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    link = await running(acted)
    elsewhere = write_login(login.with_name("other.json"), saved(login))
    await running(acted, path=elsewhere)
    await until(lambda: link.status.state == "displaced")
    instance = hub.control.only()
    seen = link._tried
    await LoginToken(login, link._host).replace(str(saved(login)["accessToken"]))
    await until(lambda: link._tried != seen)
    assert (link.status.state, instance.connects) == ("displaced", 2)
    write_login(login, hub.control.login(hub.url))
    await until(lambda: link.status.state == "connected")
    assert link.status.instance != instance.id


async def test_a_displaced_link_comes_back_when_the_other_may_be_gone(
    hub: DevHub, running: Running, acted: Acted
) -> None:
    first = await running(acted, waits=replace(QUICK, displaced=0.05))
    await running(acted, state=None)  # it may be displaced before anybody has seen it connected
    instance = next(iter(hub.control.instances.values()))
    await until(lambda: instance.connects == 3)
    await until(lambda: first.status.state == "connected")


async def test_a_link_that_is_displaced_again_stays_away_for_longer(
    hub: DevHub, running: Running, acted: Acted, caplog: pytest.LogCaptureFixture
) -> None:
    await running(acted, waits=replace(QUICK, displaced=0.05))
    instance = machine(hub)
    for connects in (3, 5, 7):
        await running(acted, state=None)
        await until(lambda count=connects: instance.connects == count)
    waits = [record.args[0] for record in caplog.records  # type: ignore[index]
             if "given up for" in record.msg and isinstance(record.args, tuple)
             and float(str(record.args[0])) < 15.0]  # fmt: skip
    assert len(waits) == 3
    assert float(str(waits[0])) < float(str(waits[2]))  # at most 0.05, at least 0.1


async def test_a_token_that_is_about_to_end_is_replaced_before_it_is_used(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    before = {**saved(login), "label": "lab", "extra": {"kept": 1}}
    write_login(login, before)
    age(login)
    await running(acted)
    after = saved(login)
    assert after["accessToken"] != before["accessToken"]
    assert after["refreshToken"] == hub.control.only().refresh
    kept = ("userId", "daemonInstanceId", "hubUrl", "label", "extra", "version")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert mode(login) == 0o600
    assert hub.control.only().labels == ["lab"]


async def test_a_refused_token_is_replaced_once_and_the_link_goes_on(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    write_login(login, {**saved(login), "accessToken": "wrong"})
    await running(acted)
    assert hub.control.only().refreshes == 1
    assert not login.with_name(FLAG).exists()


async def test_a_refused_refresh_asks_for_a_new_login_and_does_not_hammer(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    instance = next(iter(hub.control.instances.values()))
    instance.revoked = True
    link = await running(acted, state="login")
    assert "daemon_revoked" in link.status.reason
    assert "expiredAt" in json.loads(login.with_name(FLAG).read_text())
    await until(lambda: hub.requests["/daemon/auth/refresh"])
    counts = dict(hub.requests)
    await asyncio.sleep(0.3)  # many times what it waits between two tries
    assert dict(hub.requests) == counts


@pytest.mark.parametrize("status", [401, 403])
async def test_a_hub_that_refuses_every_fresh_token_is_not_asked_for_ever(
    hub: DevHub, running: Running, acted: Acted, login: Path, status: int
) -> None:
    hub.faults.add("/daemon/ws", status=status, times=1000)
    await running(acted, state="login")
    assert hub.requests["/daemon/ws"] == 3
    assert login.with_name(FLAG).exists()


async def test_a_refused_token_and_then_a_hub_that_is_away_lead_to_no_storm(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    write_login(login, {**saved(login), "accessToken": "wrong"})
    hub.faults.add("/daemon/ws", status=403)
    hub.faults.add("/daemon/ws", status=503, times=1000)
    await running(acted, state="waiting", waits=replace(QUICK, first=30.0, longest=30.0))
    assert hub.requests["/daemon/ws"] == 2
    assert not login.with_name(FLAG).exists()


async def test_a_new_login_is_taken_up_at_once(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    next(iter(hub.control.instances.values())).revoked = True
    link = await running(acted, state="login")
    other = hub.control.add_instance()
    write_login(login, hub.control.login(hub.url, other))
    await until(lambda: link.status.state == "connected")
    assert link.status.instance == other.id


async def test_a_revoked_machine_acknowledges_it_and_stops(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    link = await running(acted)
    await hub.control.revoke()
    await until(lambda: link.status.state == "login")
    assert login.with_name(FLAG).exists()
    assert acted.types == []


async def test_a_revoked_login_is_not_tried_again_after_a_restart(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    flag(login, later=1)
    link = await running(acted, state="login")
    assert "before" in link.status.reason
    assert hub.requests["/daemon/ws"] == 0


async def test_a_login_of_the_moment_in_which_the_old_one_was_refused_is_tried(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    flag(login, later=0)
    await running(acted)


def flag(login: Path, *, later: int) -> None:
    """Mark a login as refused, so many nanoseconds after it was written."""
    path = login.with_name(FLAG)
    path.write_text('{"expiredAt": "2026-01-01T00:00:00.000Z"}')
    moment = login.stat().st_mtime_ns + later
    os.utime(path, ns=(moment, moment))


async def test_another_login_is_taken_up_that_comes_while_the_former_is_read(
    hub: DevHub, running: Running, acted: Acted, login: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await running(acted)
    other = hub.control.add_instance()
    looked = logins.is_of

    def is_of(path: Path, instance: str) -> bool:
        found = looked(path, instance)
        monkeypatch.setattr(logins, "is_of", looked)
        write_login(login, hub.control.login(hub.url, other))
        return found

    monkeypatch.setattr(logins, "is_of", is_of)
    await LoginToken(login, link._host).replace(str(saved(login)["accessToken"]))
    await until(lambda: (link.status.state, link.status.instance) == ("connected", other.id))


async def test_logging_out_ends_the_link_and_another_login_takes_its_place(
    hub: DevHub, running: Running, acted: Acted, login: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = await running(acted)
    await LoginToken(login, link._host).replace(str(saved(login)["accessToken"]))
    other = hub.control.add_instance()
    write_login(login, hub.control.login(hub.url, other))
    await until(lambda: (link.status.state, link.status.instance) == ("connected", other.id))
    assert [one.connects for one in hub.control.instances.values()] == [1, 1]
    await asyncio.to_thread(remove, login)
    await until(lambda: link.status.state == "login")
    assert "somebody has logged out" in caplog.text
    assert f"log in again with `sidecar login --file {login}`" in caplog.text
    assert other.socket is None
    assert not login.with_name(FLAG).exists()


async def test_close_codes_that_refuse_the_login_end_it(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    for code in (4401, 4403, 1008):
        link = await running(acted)
        hub.control.drop(code)
        await until(lambda one=link: one.status.state == "login")
        assert link.status.reason == f"the Hub has taken it away (code {code})"
        assert login.with_name(FLAG).exists()
        login.with_name(FLAG).unlink()
        write_login(login, saved(login))
        await until(lambda one=link: one.status.state == "connected")


async def test_an_unusable_file_is_told_and_taken_up_when_it_is_mended(
    hub: DevHub, running: Running, acted: Acted, login: Path
) -> None:
    set_mode(login, 0o644)
    link = await running(acted, state="login")
    assert "chmod 600" in link.status.reason
    assert not login.with_name(FLAG).exists()
    set_mode(login, 0o600)
    await until(lambda: link.status.state == "connected")


async def test_many_who_need_a_token_cause_one_refresh(
    hub: DevHub, host: Host, login: Path
) -> None:
    age(login)
    token = LoginToken(login, host)
    found = await asyncio.gather(*(token.get() for _ in range(8)))
    assert len({one.access for one in found}) == 1
    assert hub.requests["/daemon/auth/refresh"] == 1


async def test_a_login_that_another_process_refreshed_is_used_as_it_is(
    hub: DevHub, host: Host, login: Path
) -> None:
    ours, theirs = LoginToken(login, host), LoginToken(login, host)
    used = (await ours.get()).access
    other = await theirs.replace(used)
    assert (await ours.replace(used)).access == other.access
    assert hub.requests["/daemon/auth/refresh"] == 1


async def test_a_refresh_that_another_process_made_in_this_moment_is_taken_up(
    hub: DevHub, host: Host, login: Path
) -> None:
    ours = LoginToken(login, host)
    read, stale = ours._read, await ours._read()
    other = await LoginToken(login, host).replace(stale.access)
    found = [stale]

    async def late() -> Login:
        return found.pop() if found else await read()

    ours._read = late  # type: ignore[method-assign]
    assert (await ours.replace(stale.access)).access == other.access
    assert hub.requests["/daemon/auth/refresh"] == 2


async def test_a_refresh_that_nobody_waits_for_any_more_is_kept(
    hub: DevHub, host: Host, login: Path
) -> None:
    hub.faults.add("/daemon/auth/refresh", delay=0.2, after=True)
    before = saved(login)

    async def refresh() -> None:
        await LoginToken(login, host, grace=PATIENCE).replace(str(before["accessToken"]))

    task = host.spawn(refresh(), "test")
    await until(lambda: machine(hub).refreshes)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert saved(login)["refreshToken"] == machine(hub).refresh
    assert saved(login) != before


async def test_a_hub_that_fails_a_refresh_is_asked_again_and_nothing_is_lost(
    hub: DevHub, host: Host, running: Running, acted: Acted, login: Path
) -> None:
    age(login)
    hub.faults.add("/daemon/auth/refresh", status=500, times=2)
    before = saved(login)
    link = await running(acted)
    assert link.status.reconnects == 0
    assert saved(login) != before
    assert hub.requests["/daemon/auth/refresh"] == 3


async def test_a_refresh_does_not_lead_to_another_hub(hub: DevHub, host: Host, login: Path) -> None:
    write_login(login, {**saved(login), "hubUrl": hub.url.replace("127.0.0.1", "localhost")})
    age(login)
    found = await LoginToken(login, host).get()
    assert "localhost" in found.hub
    assert "localhost" in str(saved(login)["hubUrl"])


async def test_a_login_behind_a_link_stays_behind_it(hub: DevHub, host: Host, login: Path) -> None:
    age(login)
    token = LoginToken(login, host)
    target = put_behind_a_link(login)
    assert (await token.get()).access == saved(target)["accessToken"]
    assert saved(login) == saved(target)


async def test_a_refused_login_tells_so(hub: DevHub, host: Host, login: Path) -> None:
    write_login(login, {**saved(login), "refreshToken": "drt_other"})
    try:
        await LoginToken(login, host).replace(str(saved(login)["accessToken"]))
    except LoginRefused as error:
        assert "invalid_refresh_token" in str(error)  # noqa: PT017 -- its text is the point
    else:
        raise AssertionError
