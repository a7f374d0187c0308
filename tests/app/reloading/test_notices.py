"""What owners are told of reloads, and how often."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.app.reloading.notices import Notices
from sidecar.app.reloading.outcome import Outcome
from sidecar.config.comparing.plan import Change, Plan
from sidecar.config.model import Channel, Config, State
from sidecar.errors import ChannelStopped, ChannelUnavailable
from tests.patience import until

APPLIED = Outcome(
    0.0, "file", "applied", 2, "a", "b", 0.1, Plan((Change("changed", "routes.ops.trust", "hot"),)),
    (), (),
)  # fmt: skip
REJECTED = replace(APPLIED, result="rejected", plan=Plan(), problems=("config.yaml:3:5: oh", "two"))
UNCHANGED = replace(APPLIED, result="unchanged", plan=Plan())


class Told:
    """A channel that can tell its owner something. `failures` are what it does first; each call
    begins with `called`, and waits for `free`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failures: list[Exception] = []
        self.called: Callable[[], None] = lambda: None
        self.free = asyncio.Event()
        self.free.set()

    async def tell_owner(self, text: str) -> None:
        self.called()
        await self.free.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.texts.append(text)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.config = Config(State(folder), None)
        self.channels: dict[str, Any] = {"demo": Told(), "quiet": Told()}
        self.use("demo")
        self.notices = self.new(0.0)

    def use(self, *wanted: str) -> None:
        channels = {id_: Channel(id_, "x", notices=id_ in wanted) for id_ in ("demo", "quiet")}
        self.config = replace(self.config, channels=channels)

    def new(self, pause: float) -> Notices:
        return Notices(lambda: self.config, self.channels.get, pause=pause, first_wait=0.001)

    async def tell(self, *outcomes: Outcome) -> list[str]:
        """What the owner is told of these, each after the one before."""
        told = self.channels["demo"].texts
        for outcome in outcomes:
            self.notices.note(outcome)
            if any(self.notices._owed.values()):
                before = len(told)
                await until(lambda before=before: len(told) > before)  # type: ignore[misc]
        return list(told)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    found = Rig(tmp_path)
    task = asyncio.create_task(found.notices.run())  # noqa: TID251 -- of a test
    yield found
    task.cancel()


async def test_what_became_of_a_save_is_told_and_what_is_no_news_is_not(rig: Rig) -> None:
    waits = replace(APPLIED, pending=("server.listen",))
    told = await rig.tell(UNCHANGED, APPLIED, REJECTED, REJECTED, UNCHANGED, UNCHANGED, waits)
    assert [text.split("\n")[0] for text in told] == [
        "Config applied, no restart needed.",
        "⚠️ Config rejected, the previous one is in force:",
        "The config is valid again; nothing in it differs from what is in force.",
        "Config applied, these wait for a restart: server.listen.",
    ]
    assert told[0].endswith("~ routes.ops.trust")
    assert told[1].split("\n")[1:] == [
        "config.yaml:3:5: oh", "(1 more: `sidecar status` tells them)",
    ]  # fmt: skip
    assert rig.channels["quiet"].texts == []


async def test_other_things_are_told_too_in_one_notice_with_a_reload(rig: Rig) -> None:
    told = rig.channels["demo"].texts
    rig.notices.warn("claude", "not logged in")
    rig.notices.note(APPLIED)
    rig.notices.note(REJECTED)
    rig.notices.warn("claude", "not logged in at all")
    await until(lambda: told and not rig.notices._owed)
    [text] = told
    first, second = text.split("\n\n")
    assert first == "⚠️ not logged in at all"
    assert second.startswith("The config was saved 2 times. ⚠️ Config rejected")
    assert rig.channels["quiet"].texts == []


async def test_what_was_applied_in_part_is_told_once(rig: Rig) -> None:
    partly = replace(APPLIED, result="degraded", problems=("channel x: no such file",))
    told = await rig.tell(partly, replace(partly, plan=Plan()), UNCHANGED)
    assert told == [
        "⚠️ Config applied in part, no restart needed.\n~ routes.ops.trust\n"
        "The rest stays as it was:\nchannel x: no such file",
        "The config is valid again; nothing in it differs from what is in force.",
    ]


async def test_a_start_with_the_last_good_config_is_told(rig: Rig) -> None:
    [told] = await rig.tell(replace(REJECTED, trigger="start"))
    assert told.startswith("⚠️ Config rejected, the last good one is in force:\nconfig.yaml:3:5")


async def test_of_reloads_in_quick_succession_the_last_one_is_told_and_how_many_there_were(
    rig: Rig,
) -> None:
    told = rig.channels["demo"].texts
    slow = rig.new(3600.0)
    task = asyncio.create_task(slow.run())  # noqa: TID251 -- of a test
    slow.note(APPLIED)
    await until(lambda: told)
    for outcome in (REJECTED, UNCHANGED, REJECTED):
        slow.note(outcome)
    await asyncio.sleep(0)
    assert len(told) == 1
    task.cancel()
    third = asyncio.create_task(slow.run())  # noqa: TID251 -- of a test
    await until(lambda: len(told) == 2)
    assert told[1].startswith("The config was saved 3 times. ⚠️ Config rejected")
    third.cancel()


async def test_a_channel_that_cannot_now_is_asked_again_and_one_that_never_can_is_told_of(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    demo = rig.channels.pop("demo")
    rig.notices.note(APPLIED)
    caplog.set_level(logging.INFO)
    await until(lambda: "it does not run" in caplog.text)
    demo.failures = [ChannelUnavailable("the Hub is away", 0.0)]
    rig.channels["demo"] = demo
    await until(lambda: demo.texts)
    for failure in (ChannelStopped("no such agent"), ValueError("a defect"), None):
        before = metrics.value("notices_lost_total", channel="demo")
        demo.failures = [failure] if failure else []
        if failure is None:
            rig.channels["demo"] = object()
        rig.notices.note(APPLIED)
        await until(
            lambda before=before: metrics.value("notices_lost_total", channel="demo") > before  # type: ignore[misc]
        )
    assert "no such agent" in caplog.text
    assert "ValueError: a defect" in caplog.text
    assert "cannot tell its owner" in caplog.text
    assert len(demo.texts) == 1


async def test_a_channel_that_no_longer_wants_notices_gets_none(rig: Rig) -> None:
    rig.notices.note(APPLIED)
    rig.use()
    await until(lambda: not rig.notices._owed)
    rig.notices.note(REJECTED)
    rig.use("demo")
    [told] = await rig.tell(replace(APPLIED, pending=("state",)))
    assert told.startswith("Config applied, these wait for a restart: state.")


async def test_a_slow_channel_does_not_hold_up_what_others_are_told(rig: Rig) -> None:
    demo, slow = rig.channels["demo"], rig.channels["quiet"]
    rig.use("demo", "quiet")
    slow.free.clear()
    await rig.tell(APPLIED, REJECTED)
    assert (len(demo.texts), slow.texts) == (2, [])
    slow.free.set()
    await until(lambda: len(slow.texts) == 2)
    assert slow.texts == demo.texts


async def test_a_notice_that_is_tried_again_tells_what_has_happened_since(rig: Rig) -> None:
    demo = rig.channels["demo"]
    demo.failures = [ChannelUnavailable("the Hub is away", 0.0)]
    demo.called = lambda: rig.notices.note(REJECTED)  # which is news once
    rig.notices.note(APPLIED)
    await until(lambda: demo.texts and not rig.notices._owed)
    [told] = demo.texts
    assert told.startswith("The config was saved 2 times. ⚠️ Config rejected")
