"""What becomes of messages, turns and replies whose channel gets another id, or is removed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.api import ChannelType
from sidecar.app.connecting.speakers import Speakers
from sidecar.app.turns.recover import recover
from sidecar.config import model as config
from sidecar.devhub import DevHub, HubLimits
from sidecar.errors import ChannelUnavailable
from sidecar.model import Conversation, SessionStarted, TurnEnded
from sidecar.store.names import Names
from tests.app.conftest import LINE
from tests.app.reloading import test_reload
from tests.patience import until

OTHER = config.Channel("demo", "line", {"agent": "other"}, rate_limit=None)
"""A channel with the former id, of another account."""


def remove(rig: Any) -> tuple[Any, Any]:
    """Remove the channel from the config; the config and the line that it had."""
    removed = rig.channels.pop("demo"), rig.lines.pop("demo")
    rig.reroute()
    return removed


def rename(rig: Any, removed: tuple[Any, Any] | None = None) -> None:
    """Have the channel, or one that was removed, as `renamed`."""
    channel, line = removed or (rig.channels.pop("demo"), rig.lines.pop("demo"))
    rig.channels["renamed"], rig.lines["renamed"] = replace(channel, id="renamed"), line
    rig.reroute()
    rig.outbox.retry()


async def test_what_runs_and_what_waits_goes_on(rig: Any) -> None:
    rig.line.max_text = 8
    await rig.say("wait")
    await rig.say("two")
    await until(lambda: rig.agent.jobs)
    rename(rig)
    rig.channels["demo"], rig.lines["demo"] = OTHER, type(rig.line)()
    rig.reroute()
    await rig.say("three", channel="renamed")
    assert [len(rig.dispatcher.running), len(rig.dispatcher.waiting)] == [1, 2]
    assert {work.trust for work in rig.dispatcher.waiting.values()} == {"owner"}
    rig.agent.go.set()
    await rig.quiet()
    assert [job.trust for job in rig.agent.jobs] == ["owner"] * 3
    assert "".join(rig.texts) == "answer 1answer 2answer 3"
    assert max(map(len, rig.texts)) <= 8
    assert not rig.lines["demo"].taken


async def test_what_waits_for_a_slot_keeps_waiting_for_it(rig: Any) -> None:
    most = rig.snapshot.config.limits.concurrent_turns
    for number in range(most + 1):
        await rig.say("wait", conversation=Conversation(f"room {number}", "group"))
    assert [len(rig.dispatcher.running), len(rig.dispatcher.waiting)] == [most, 1]
    rename(rig)
    rig.agent.go.set()
    await rig.quiet()
    assert len(rig.texts) == most + 1
    await until(lambda: not rig.dispatcher.running)
    assert rig.dispatcher._slots.running == 0


async def test_what_is_left_of_an_earlier_run_goes_on(make_rig: Callable[[], Any]) -> None:
    first, second = make_rig(), make_rig()
    first.dispatcher.fill = lambda: None
    await first.say("one")
    rename(second)
    second.dispatcher.fill, fill = lambda: None, second.dispatcher.fill
    recover(await first.journal.unfinished(), second.dispatcher, second.speakers.find)
    await second.say("two", channel="renamed", id="m2")
    second.dispatcher.fill = fill
    second.dispatcher.fill()
    assert len(second.dispatcher.running) == 1  # of one conversation
    await second.quiet()
    told = [(job.message["channel"], job.trust) for job in second.agent.jobs]
    assert told == [("renamed", "owner")] * 2


async def test_a_reply_goes_out_by_the_channel_that_speaks_as_its_account(
    make_rig: Callable[[], Any],
) -> None:
    first, second = make_rig(), make_rig()
    lines = [first.lines.pop("demo"), second.lines.pop("demo")]
    await first.say("hello")
    await until(lambda: first.outbox.waiting)
    for rig, line in zip((first, second), lines, strict=True):
        rig.channels["demo"], rig.lines["demo"] = OTHER, type(line)()
        rig.lines["demo"].account = "other"
        rig.reroute()
    second.outbox.add(await second.journal.pending_replies())  # as after a restart
    for rig, line in zip((first, second), lines, strict=True):
        rig.outbox.retry()
        await asyncio.sleep(0)
        rename(rig, (config.Channel("demo", "line", rate_limit=None), line))
        await rig.outbox.drained()
        assert rig.texts == ["answer 1"]
        assert not rig.lines["demo"].taken


async def test_a_turn_waits_while_nobody_speaks_as_its_account(
    make_rig: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    rig, later = make_rig(), make_rig()
    await rig.say("wait")
    await rig.say("two")
    await until(lambda: rig.agent.jobs)
    with caplog.at_level(logging.WARNING):
        removed = remove(rig)
    assert "1 turn(s) wait until a channel speaks as 'ag'" in caplog.text
    rig.agent.go.set()
    await until(lambda: not rig.dispatcher.running)
    rig.reroute()
    assert len(rig.agent.jobs) == len(rig.dispatcher.waiting) == 1
    there = remove(later)
    recover(await rig.journal.unfinished(), later.dispatcher, later.speakers.find)
    assert "waits until a channel speaks as 'ag'" in caplog.text
    assert not later.dispatcher.running
    rename(later, there)
    assert len(later.dispatcher.running) == 1
    await later.dispatcher.drain(0.0)
    rename(rig, removed)
    await rig.quiet()
    assert [job.trust for job in rig.agent.jobs] == ["owner"] * 2
    assert rig.texts == ["answer 1", "answer 2"]


async def test_turns_of_several_ids_keep_to_one_lane_when_their_account_is_back(
    make_rig: Callable[[], Any],
) -> None:
    rig, later = make_rig(), make_rig()
    rig.dispatcher.fill = later.dispatcher.fill = lambda: None
    await rig.say("one")
    rename(rig)
    await rig.say("two", channel="renamed")
    there = remove(later)
    recover(await rig.journal.unfinished(), later.dispatcher, later.speakers.find)
    del later.dispatcher.fill
    later.channels["third"], later.lines["third"] = replace(there[0], id="third"), there[1]
    later.reroute()
    await later.quiet()
    assert [job.message["id"] for job in later.agent.jobs] == ["m1", "m2"]


async def test_what_is_known_of_a_conversation_stays_known(make_rig: Callable[[], Any]) -> None:
    first, second = make_rig(), make_rig()
    message = first.message("hello")
    await first.intake.accept([message])
    await first.quiet()
    first.agent.script = [[SessionStarted("s1"), TurnEnded("done", "s1")]]
    await first.say("begin")
    await first.quiet()
    for rig in (first, second):  # at once, and after a restart
        rename(rig)
        await rig.intake.accept([replace(message, channel="renamed")])
        await rig.say("go on", channel="renamed", id=f"go on {id(rig)}")
        await rig.quiet()
    assert [job.session for job in first.agent.jobs] == [None, None, "s1"]
    assert [job.session for job in second.agent.jobs] == ["s1"]


async def test_a_reply_is_tried_when_the_channel_that_has_it_now_gets_through(rig: Any) -> None:
    refuses = True

    async def send(reply: object) -> None:
        nonlocal refuses
        if refuses:
            refuses = False
            raise ChannelUnavailable("away", 3600.0)
        rig.line.taken.append(reply)

    rig.line.send = send
    await rig.say("hello")
    await until(lambda: rig.outbox._due)
    rig.channels["renamed"], rig.lines["renamed"] = rig.channels.pop("demo"), rig.line
    rig.channels["renamed"] = replace(rig.channels["renamed"], id="renamed")
    rig.reroute()
    rig.outbox.retry("another")
    rig.outbox.retry("renamed")
    await rig.quiet()
    assert rig.texts == ["answer 1"]


def speakers(names: Names, **types: ChannelType) -> Speakers:
    return Speakers(names, lambda name: types[name])


def test_equal_accounts_of_two_types_are_two() -> None:
    found = speakers(names := Names(), line=LINE, wire=replace(LINE, name="wire"))
    found.use({"demo": config.Channel("demo", "line")})
    wire = config.Channel("other", "wire")
    found.use({"other": wire})
    assert found.find("other", "ag") is wire
    assert found.find("demo", "ag") is None
    assert names.of("demo", "ag") == ("demo",)


def test_an_account_that_channels_may_share_is_not_followed() -> None:
    found = speakers(names := Names(), line=replace(LINE, options={}))
    found.use({"demo": config.Channel("demo", "line")})
    found.use({"other": config.Channel("other", "line")})
    assert found.find("demo", "ag") is None
    assert names.of("other", "ag") == ("other",)


def test_a_channel_that_cannot_tell_its_account_is_known_by_its_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def account(id_: str, options: Mapping[str, object]) -> str:
        raise ValueError("no such agent")

    found = speakers(Names(), line=replace(LINE, account=account))
    demo = config.Channel("demo", "line")
    found.use({"demo": demo})
    assert found.find("demo", "ag") is demo
    assert "cannot tell its account" in caplog.text


WAITS = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done; tail -n 1']


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[test_reload.Rig]:
    """A sidecar that runs, and looks all the time for agents."""
    monkeypatch.setattr("sidecar.app.sidecar.interval", lambda _: 0.02)
    hub = DevHub(limits=HubLimits(sends_per_minute=100_000, sends_per_pair=100_000))
    await hub.start()
    found = test_reload.Rig(tmp_path, hub)
    await found.start()
    yield found
    await found.sidecar.__aexit__()
    await hub.stop()


async def test_a_sidecar_answers_by_the_channel_that_an_agent_has_by_then(
    whole: test_reload.Rig,
) -> None:
    folder, hub = whole.folder / "found", whole.hub
    go, dispatcher = whole.folder / "go", whole.sidecar.dispatcher
    await asyncio.to_thread(folder.mkdir)
    options = {"command": [*WAITS, str(go)], "protocol": "text"}
    outcome = await whole.reload(
        runtimes={"a": config.Runtime("a", "command", options)},
        discovery=config.Discovery(folder),
    )
    assert outcome.result == "applied"
    for text in ("one", "two"):
        hub.owner_says("demo", text)
    await until(lambda: dispatcher.running and dispatcher.waiting)
    demo = whole.config.channels["demo"]
    await whole.reload(channels={"renamed": replace(demo, id="renamed")})
    await whole.reload(channels={})
    await asyncio.to_thread(go.touch)
    await until(lambda: not dispatcher.running)
    assert dispatcher.waiting
    assert not hub.sent
    found = folder / "demo.json"
    text = await asyncio.to_thread((whole.folder / "demo.json").read_text)
    await asyncio.to_thread(found.touch, 0o600)
    await asyncio.to_thread(found.write_text, text)
    await until(lambda: not dispatcher.waiting)
    await until(lambda: len(hub.sent) == 2)
    assert {sent.text for sent in hub.sent} == {"one", "two"}
