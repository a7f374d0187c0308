"""What comes while a whole sidecar starts or stops."""

# ruff: noqa: TID251 -- a test's own tasks

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import plugins
from sidecar.api import RuntimeType
from sidecar.app.checking import load, overdue
from sidecar.app.checking.candidate import UNCHECKED
from sidecar.app.sidecar import Sidecar
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.snapshot import Snapshot, build
from sidecar.config.model import Channel, Runtime
from sidecar.config.reloading import Reloading
from sidecar.devhub import DevHub
from sidecar.errors import PartsFailed
from sidecar.model import Message
from sidecar.store.listing import reader, turns
from tests.app.reloading.test_reload import Closing, Rig, build_closing, held_by
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
        "sidecar.app.turns.snapshot.runtime_type",
        lambda name: kind if name == "closing" else real(name),
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


READS = """\
import pathlib, time
if pathlib.Path("{template}").read_text() == "hang":
    pathlib.Path("{reads}").touch()
    time.sleep(600)
"""


async def test_a_check_that_hangs_is_ended_by_a_save_of_any_file_that_is_watched(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, reads = rig.folder / "t.j2", rig.folder / "reads"
    template.write_text("hang")
    monkeypatch.setattr(load, "_PROGRAM", READS.format(template=template, reads=reads))
    rig.inputs = await held_by(template)
    await rig.reload()
    monkeypatch.setattr(overdue, "LOOK", 0.01)
    loader = rig.sidecar._loader
    loader._long = 0.0
    loader.begin()
    begun = loader.begun
    assert begun is not None
    await until(reads.exists)
    template.write_text("mended")
    async with asyncio.timeout(PATIENCE):
        assert [problem.code for problem in (await begun).problems] == [UNCHECKED]


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
    built: list[Snapshot] = []

    def noted(*of: Any) -> Snapshot:
        built.append(build(*of))
        return built[-1]

    monkeypatch.setattr("sidecar.app.reloading.reload.build", noted)
    reload = asyncio.ensure_future(rig.reload(runtimes=closing))
    await begun.wait()
    [new] = built
    await stop(reload, sidecar)
    assert new.runtimes["a"].retired
    assert not before.runtimes["a"].retired
    await sidecar._supervisor.close()
    assert Closing.closed == closed + 1


class Trial:
    """A reload whose channels are being checked, until somebody says what comes of that."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rig = rig
        self._begun, self._go = asyncio.Event(), asyncio.Event()
        self._go.set()
        self._fails = False
        monkeypatch.setattr(rig.sidecar.channels, "check", self._check)

    async def _check(self, must: object) -> None:
        self._begun.set()
        await self._go.wait()
        if self._fails:
            self._fails = False
            raise PartsFailed({("channels", "new"): "does not start"})

    async def begin(self, generation: int, **changes: object) -> None:
        self._begun.clear()
        self._go.clear()
        self._rig.generation(generation)
        self._reload = asyncio.ensure_future(self._rig.reload(**changes))
        await until(self._begun.is_set)

    async def end(self, result: str) -> None:
        self._fails = result == "rejected"
        self._go.set()
        assert (await self._reload).result == result


@pytest.fixture
def trial(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(rig, monkeypatch)


async def with_agent(rig: Rig, name: str) -> dict[str, Channel]:
    """The channels, and one of another agent of the Hub."""
    path, demo = rig.folder / f"{name}.json", rig.config.channels["demo"]
    path.touch(mode=0o600)
    await asyncio.to_thread(path.write_text, json.dumps(rig.hub.add_agent(name)))
    options = {**demo.options, "credentials": str(path), "agent": name}
    return {**rig.config.channels, name: replace(demo, id=name, options=options)}


def told(rig: Rig) -> list[tuple[str, str]]:
    """Who answered, and by which generation of the config."""
    return [(str(sent.envelope["from"]), sent.text.split()[-1]) for sent in rig.hub.sent]


HOLDS = """\
said="$(tail -n 1)"
case "$said" in *hold*) while [ ! -e {go} ]; do sleep 0.02; done;; esac
echo "$said" "$@"
"""


@pytest.mark.parametrize("pins", [False, True])
async def test_what_is_said_while_a_config_is_tried_is_answered_by_the_one_in_force(
    rig: Rig, trial: Trial, pins: bool
) -> None:
    go, dispatcher = rig.folder / "go", rig.sidecar.dispatcher
    command = {"command": ["sh", "-c", HOLDS.format(go=go), "sh"], "protocol": "text"}
    rig.config = replace(
        rig.config,
        runtimes={"a": Runtime("a", "command", command)},
        reload=Reloading(pin_queued=pins),
    )
    rig.generation(1)
    assert (await rig.reload()).result == "applied"
    await trial.begin(2, channels=await with_agent(rig, "new"))
    rig.hub.owner_says("demo", "go on meanwhile")
    await until(lambda: told(rig) == [("demo", "1")])
    rig.hub.owner_says("demo", "hold")
    await until(lambda: dispatcher.running)
    rig.hub.owner_says("demo", "later")
    await until(lambda: dispatcher.waiting)
    await trial.end("rejected")
    await asyncio.to_thread(go.touch)
    await until(lambda: len(told(rig)) == 3)
    assert told(rig) == [("demo", "1")] * 3


async def test_what_channels_on_trial_bring_is_taken_over_when_it_is_known_what_holds_for_them(
    rig: Rig, trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    """Others are not held up by that."""
    taking = rig.sidecar._intake._taking

    def are_held(*channels: str) -> bool:
        return {one.channel for messages in taking.values() for one in messages} == {*channels}

    await trial.begin(1, channels=await with_agent(rig, "same"))
    await trial.end("applied")
    channels = await with_agent(rig, "new")
    demo = channels["demo"]
    channels["demo"] = replace(demo, options={**demo.options, "stream": False})
    await trial.begin(2, channels=channels)
    for agent in channels:
        await until(lambda agent=agent: rig.hub.connected(agent))
        rig.hub.owner_says(agent, "on trial")
    await until(lambda: told(rig) == [("same", "1")] and are_held("demo", "new"))
    await trial.end("rejected")
    await until(lambda: not taking and len(told(rig)) == 2)
    assert told(rig)[1:] == [("demo", "1")]
    assert "channel new has been removed meanwhile" in caplog.text
    await trial.begin(3)
    await until(lambda: rig.hub.connected("new"))
    rig.hub.owner_says("new", "again")
    await until(lambda: are_held("new"))
    await trial.end("applied")
    await until(lambda: len(told(rig)) == 3)
    assert told(rig)[2:] == [("new", "3")]


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
