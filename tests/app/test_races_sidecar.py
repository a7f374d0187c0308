"""What comes while a whole sidecar starts or stops."""

# ruff: noqa: TID251 -- a test's own tasks

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import plugins
from sidecar.api import RuntimeType
from sidecar.app import load
from sidecar.app.candidate import UNCHECKED
from sidecar.app.dispatch import Dispatcher
from sidecar.app.sidecar import Sidecar
from sidecar.config.model import Runtime
from sidecar.devhub import DevHub
from sidecar.errors import PartsFailed
from sidecar.model import Message
from sidecar.store.listing import reader, turns
from tests.app.test_reload import Closing, Rig, build_closing
from tests.patience import PATIENCE, until


@pytest.fixture
async def hub() -> AsyncIterator[DevHub]:
    found = DevHub()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def rig(tmp_path: Path, hub: DevHub) -> AsyncIterator[Rig]:
    """A sidecar that runs, whose config can have a runtime of the type `closing`."""
    found = Rig(tmp_path, hub)
    await found.start()
    yield found
    await found.sidecar.__aexit__()


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> dict[str, Runtime]:
    real, kind = plugins.runtime_type, RuntimeType("closing", {}, build_closing)
    monkeypatch.setattr(
        "sidecar.app.snapshot.runtime_type", lambda name: kind if name == "closing" else real(name)
    )
    return {"a": Runtime("a", "closing")}


async def test_a_reload_under_way_connects_nothing_while_the_sidecar_drains(rig: Rig) -> None:
    rig.gate.clear()
    reload = asyncio.ensure_future(rig.sidecar.reloader.reload("SIGHUP"))
    await until(lambda: rig.loads)
    await rig.sidecar._drain()
    rig.gate.set()
    outcome = await reload
    assert (outcome.result, outcome.problems) == ("rejected", ("the sidecar stops",))
    assert rig.sidecar.channels.statuses()["demo"][1].state == "stopped"
    assert rig.hub.connects("demo") == 1


async def test_a_check_that_hangs_holds_up_no_stop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_PROGRAM", "import time; time.sleep(600)")
    loader = rig.sidecar._loader
    loader.begin()
    assert loader.begun is not None
    await until(lambda: loader._running)
    await rig.sidecar._drain()
    async with asyncio.timeout(PATIENCE):
        begun, later = await loader.begun, await loader.load(rig.sidecar.reloader.path)
    assert begun.config is later.config is None
    assert [problem.code for problem in (*begun.problems, *later.problems)] == [UNCHECKED] * 2
    assert not loader._running


async def cut(reload: "asyncio.Future[object]", sidecar: Sidecar) -> None:
    """The watch ends, and with it what it does."""
    reload.cancel()
    await asyncio.wait([reload])


async def fail(reload: "asyncio.Future[object]", sidecar: Sidecar) -> None:
    """The channels end, so that neither the new ones nor those before can be had."""
    await sidecar.channels.stop_receiving()
    sidecar.channels.go.set()  # type: ignore[attr-defined]
    await asyncio.wait([reload])


@pytest.mark.parametrize("stop", [cut, fail])
async def test_what_a_reload_has_built_is_closed_when_the_sidecar_stops_in_it(
    rig: Rig,
    closing: dict[str, Runtime],
    stop: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sidecar, closed = rig.sidecar, Closing.closed
    begun, go = asyncio.Event(), asyncio.Event()

    async def check(must: object) -> None:
        begun.set()
        await go.wait()
        raise PartsFailed({("channels", "demo"): "does not start"})

    monkeypatch.setattr(sidecar.channels, "check", check)
    monkeypatch.setattr(sidecar.channels, "go", go, raising=False)
    before = sidecar.reloader.snapshot
    reload = asyncio.ensure_future(rig.reload(runtimes=closing))
    await begun.wait()
    new = sidecar.dispatcher._snapshot
    assert new is not before
    await stop(reload, sidecar)
    assert new.runtimes["a"].retired
    assert not before.runtimes["a"].retired
    await sidecar._supervisor.close()
    assert Closing.closed == closed + 1


def only_turn(state: Path) -> str:
    with reader(state) as db:
        [found] = turns(db, state=None, conversation=None, most=9)
    return str(found["turn"])


async def test_what_is_asked_for_while_the_sidecar_starts_is_done_once_and_afterwards(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, runs = tmp_path / "works", tmp_path / "runs"
    script = f"[ -e {works} ] || exit 1; echo run >> {runs}; echo again"
    command = {"command": ["sh", "-c", script, "sh"], "protocol": "text"}
    await rig.reload(runtimes={"a": Runtime("a", "command", command)})
    rig.hub.owner_says("demo", "one")
    await until(lambda: rig.hub.sent and not rig.sidecar.outbox.waiting)
    turn = await asyncio.to_thread(only_turn, tmp_path / "state")
    await rig.sidecar.__aexit__()
    await asyncio.to_thread(works.touch)
    rig.config = replace(rig.config, server=None)
    asked: list[asyncio.Future[Any]] = []
    offered: list[str] = []
    serve, offer = Sidecar._serve, Dispatcher.offer

    def noted(dispatcher: Dispatcher, turn: str, *messages: Message, **how: bool) -> None:
        offered.append(turn)
        offer(dispatcher, turn, *messages, **how)

    async def then_somebody_asks(sidecar: Sidecar, stack: AsyncExitStack) -> None:
        await serve(sidecar, stack)
        sidecar.reloader._load = rig.load
        rig.config = replace(rig.config, secrets=frozenset({"hunter2hunter2"}))
        retry = sidecar.status.act("turns", "retry", turn)
        asked.extend(map(asyncio.ensure_future, (retry, sidecar.status.reload())))
        waiters = sidecar.status.started._waiters
        await until(lambda: len(waiters) + sum(task.done() for task in asked) == len(asked))

    monkeypatch.setattr(Sidecar, "_serve", then_somebody_asks)
    monkeypatch.setattr(Dispatcher, "offer", noted)
    sidecar = await rig.start()
    retried, reloaded = await asyncio.gather(*asked)
    assert offered == [retried["turn"]]
    assert reloaded["result"] == "applied"
    assert sidecar.dispatcher._snapshot is sidecar.reloader.snapshot
    await until(lambda: len(rig.hub.sent) == 2 and not sidecar.outbox.waiting)
    assert not sidecar.dispatcher.running
    assert not sidecar.dispatcher.waiting
    assert await asyncio.to_thread(runs.read_text) == "run\n"
