"""A person who logs out or in while the login is refreshed or refused."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.api import Host
from sidecar.control import login as logins
from sidecar.control import token
from sidecar.control.link import ControlLink
from sidecar.control.token import LoginToken
from sidecar.devhub import DevHub
from sidecar.errors import ChannelStopped
from sidecar.store.journal import Journal
from tests.control.conftest import QUICK, write_login
from tests.patience import PATIENCE


@pytest.fixture
def another(login: Path) -> dict[str, object]:
    """A login of somebody else."""
    mine = json.loads(login.read_text())
    return mine | {"userId": "bert", "accessToken": "other", "refreshToken": "drt_other"}


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens after the Hub has answered a refresh, and before anybody has heard it."""
    todo: list[Any] = []
    request = token.request

    async def late(*args: Any, **how: Any) -> Any:
        answer = await request(*args, **how)
        await asyncio.to_thread(*todo)
        return answer

    monkeypatch.setattr(token, "request", late)
    return todo


async def refresh(login: Path, host: Host) -> logins.Login:
    ours = LoginToken(login, host)
    return await ours.replace((await ours.get()).access)


async def test_who_logs_out_while_the_login_is_refreshed_is_logged_out(
    hub: DevHub, host: Host, login: Path, meanwhile: list[Any]
) -> None:
    meanwhile += (logins.remove, login)
    with pytest.raises(ChannelStopped):
        await refresh(login, host)
    assert hub.requests["/daemon/auth/refresh"] == 1
    assert not await asyncio.to_thread(login.exists)


async def test_who_logs_in_while_the_login_is_refreshed_is_logged_in(
    hub: DevHub, host: Host, login: Path, meanwhile: list[Any], another: dict[str, object]
) -> None:
    meanwhile += (write_login, login, another)
    found = await refresh(login, host)
    assert hub.requests["/daemon/auth/refresh"] == 1
    assert (found.user, found.access) == ("bert", "other")
    assert json.loads(await asyncio.to_thread(login.read_text)) == another


def as_it_is_written(host: Host, act: Callable[..., object], *what: object) -> Host:
    """A host at which somebody acts, once, when a refreshed login is about to be in its place."""
    todo = [lambda: act(*what)]
    return replace(host, wrote=lambda before, after: todo and todo.pop()() and None)


async def test_who_logs_out_as_a_refreshed_login_is_written_is_logged_out(
    host: Host, login: Path
) -> None:
    with pytest.raises(ChannelStopped):
        await refresh(login, as_it_is_written(host, logins.remove, login))
    assert not await asyncio.to_thread(login.exists)


async def test_who_logs_in_as_a_refreshed_login_is_written_is_logged_in(
    host: Host, login: Path, another: dict[str, object]
) -> None:
    found = await refresh(login, as_it_is_written(host, write_login, login, another))
    assert (found.user, found.access) == ("bert", "other")
    assert json.loads(await asyncio.to_thread(login.read_text)) == another


async def test_what_a_person_writes_beside_the_tokens_meanwhile_stays_and_they_are_kept(
    hub: DevHub, host: Host, login: Path, meanwhile: list[Any]
) -> None:
    former = json.loads(await asyncio.to_thread(login.read_text))
    meanwhile += (write_login, login, former | {"label": "lab"})
    host = as_it_is_written(host, write_login, login, former | {"label": "lab 2", "more": 1})
    found = await refresh(login, host)
    saved = json.loads(await asyncio.to_thread(login.read_text))
    [machine] = hub.control.instances.values()
    assert saved["refreshToken"] == machine.refresh == found.refresh
    assert (saved["label"], saved["more"], found.label) == ("lab 2", 1, "lab 2")


async def test_a_login_that_others_can_read_meanwhile_is_kept_for_its_owner_only(
    hub: DevHub, host: Host, login: Path, meanwhile: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    meanwhile += (login.chmod, 0o644)
    await refresh(login, host)
    [machine] = hub.control.instances.values()
    assert (await asyncio.to_thread(logins.read, login)).refresh == machine.refresh
    assert f"other users of this machine had access to {login}" in caplog.text


async def test_a_file_that_is_half_written_meanwhile_loses_no_login(
    hub: DevHub, host: Host, login: Path, meanwhile: list[Any]
) -> None:
    former = await asyncio.to_thread(login.read_bytes)
    ours = LoginToken(login, host)
    used = (await ours.get()).access
    meanwhile += (login.write_bytes, b"{")
    with pytest.raises(ChannelStopped, match="not valid JSON"):
        await ours.replace(used)
    await asyncio.to_thread(login.write_bytes, former)
    [machine] = hub.control.instances.values()
    assert (await ours.replace(used)).refresh == machine.refresh
    assert machine.refreshes == 1


async def refuse(link: ControlLink) -> None:
    await asyncio.wait_for(link._wait_for_login("the Hub refuses it", expired=True), PATIENCE)


@pytest.mark.parametrize("end", [refuse, ControlLink._revoke])
async def test_who_logs_in_while_the_login_is_marked_as_expired_is_logged_in(
    host: Host,
    login: Path,
    another: dict[str, object],
    end: Callable[[ControlLink], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = ControlLink(login, host, keys=tuple, ledger=cast(Journal, None), waits=QUICK)
    link._tried = await link._stamp()
    mark = logins.mark_expired

    def late(path: Path) -> None:
        write_login(path, another)
        logins.clear_expired(path)
        mark(path)
        flag, moment = path.with_name(logins.FLAG), path.stat().st_mtime_ns + 1
        os.utime(flag, ns=(moment, moment))  # for clocks that tick slowly

    monkeypatch.setattr(logins, "mark_expired", late)
    await end(link)
    assert not await asyncio.to_thread(logins.is_expired, login)
    assert (await asyncio.to_thread(logins.read, login)).user == "bert"
