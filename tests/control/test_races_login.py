"""A person who logs out or in while the login is refreshed or refused."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
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
    return {**json.loads(login.read_text()), "userId": "bert", "accessToken": "other"}


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
