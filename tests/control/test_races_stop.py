"""A sidecar that stops while its login is refreshed, and the Hub has not answered yet."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.api import Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.control import token
from sidecar.control.token import LoginToken
from sidecar.devhub import DevHub
from tests.patience import PATIENCE, until


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The Hub takes a refresh, and its answer comes when this is set."""
    comes = asyncio.Event()
    request = token.request

    async def late(*args: Any, **how: Any) -> Any:
        answer = await request(*args, **how)
        await comes.wait()
        return answer

    monkeypatch.setattr(token, "request", late)
    return comes


async def give_up(hub: DevHub, host: Host, login: Path) -> None:
    """Refresh a login, and stop waiting for that when the Hub has made a new one."""

    async def refresh() -> None:
        await LoginToken(login, host, grace=0.0).replace(saved(login)["accessToken"])

    task = host.spawn(refresh(), "test")
    [machine] = hub.control.instances.values()
    await until(lambda: machine.refreshes)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.done()


def saved(login: Path) -> Any:
    return json.loads(login.read_text())


async def test_an_answer_that_comes_before_the_end_is_kept(
    hub: DevHub, host: Host, login: Path, answer: asyncio.Event
) -> None:
    await give_up(hub, host, login)
    answer.set()
    [machine] = hub.control.instances.values()
    await until(lambda: saved(login)["refreshToken"] == machine.refresh)


async def test_a_hub_that_does_not_answer_holds_up_no_stop_and_that_is_told(
    hub: DevHub,
    host: Host,
    login: Path,
    answer: asyncio.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor, before = Supervisor(), saved(login)
    counted = metrics.value("control_failures_total", what="refresh")
    await give_up(hub, replace(host, spawn=supervisor.spawn), login)
    await asyncio.wait_for(supervisor.close(), PATIENCE)
    assert saved(login) == before
    assert f"`sidecar login --file {login}`" in caplog.text
    assert metrics.value("control_failures_total", what="refresh") == counted + 1
