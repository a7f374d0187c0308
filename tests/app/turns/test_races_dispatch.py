"""What comes between the steps of the way of a message."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from sidecar import metrics
from sidecar.app.turns import intake
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.app.turns.intake import Intake
from sidecar.config import model as config
from sidecar.core.wording import STOPPED
from sidecar.errors import JournalError
from sidecar.model import Attention
from tests.app.conftest import Line
from tests.patience import PATIENCE, until


async def test_a_stop_without_time_sees_that_nothing_runs(
    rig: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await rig.dispatcher.drain(0.0)
    assert not caplog.records


class Asked(Line):
    """A channel that is asked for the attention of a room, and answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def attention(self, conversation: str) -> Attention:
        self.asked.set()
        await self.go.wait()
        return Attention()


@pytest.fixture
def line(rig: Any) -> Asked:
    found = rig.lines["demo"] = Asked()
    attention = AttentionPolicies(rig.lines.get, patience=PATIENCE)
    spawn = rig.supervisor.spawn
    rig.intake = Intake(rig.journal, rig.dispatcher, rig.channels.get, spawn, attention)
    return found


async def stopped(rig: Any, line: Asked) -> None:
    """The channel offers a message, and is stopped meanwhile."""
    channel = rig.supervisor.spawn(rig.say("wait", "human"), "channel")
    await line.asked.wait()
    channel.cancel()
    await asyncio.wait([channel])


async def test_a_message_of_a_channel_that_is_removed_meanwhile_is_not_taken_over(
    rig: Any, line: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    await stopped(rig, line)
    del rig.channels["demo"]
    line.go.set()
    await rig.intake.settled("demo")
    assert not rig.dispatcher.running
    assert not await rig.journal.unfinished()
    assert "channel demo has been removed meanwhile" in caplog.text


async def test_what_is_being_taken_over_can_be_waited_for(rig: Any, line: Asked) -> None:
    await stopped(rig, line)
    await rig.intake.settled("other")
    settled = rig.supervisor.spawn(rig.intake.settled("demo"), "settled")
    await asyncio.wait([settled], timeout=0)
    assert not settled.done()
    line.go.set()
    await asyncio.wait([settled], timeout=PATIENCE)
    assert len(rig.dispatcher.running) == 1


async def test_what_is_held_meets_the_rules_of_its_time(rig: Any) -> None:
    rig.lines["other"] = rig.line
    rig.channels["other"] = config.Channel("other", "line")
    with rig.intake.holding(["demo"]):
        held = rig.supervisor.spawn(rig.say("hello", "human"), "held")
        await rig.say("one", channel="other")
        await rig.quiet()
    with rig.intake.holding(["demo"]):  # before it has woken up
        await rig.say("two", channel="other")
        await rig.quiet()
        owners = config.Allow(senders=("a-owner",))
        rig.channels["demo"] = replace(rig.channels["demo"], allow=owners)
    await asyncio.wait([held])
    await rig.quiet()
    assert [job.message["channel"] for job in rig.agent.jobs] == ["other", "other"]


async def test_a_channel_that_hands_over_what_it_has_before_it_ends_is_not_waited_for_without_end(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_HELD", 0.0)
    with rig.intake.holding(["demo"]), pytest.raises(JournalError, match="still being changed"):
        await rig.say("hello")
    assert not await rig.journal.unfinished()


_FULL = """
    create trigger full before update on turn when new.state = 'running'
    begin select raise(abort, 'full'); end"""


async def test_turns_that_were_to_be_merged_end_with_the_one_that_is_stopped_before_it_began(
    rig: Any,
) -> None:
    rig.reroute(queue="coalesce")
    await rig.say("wait")
    await until(lambda: rig.agent.jobs)
    await rig.say("one")
    await rig.say("two")
    await rig.journal._writer.submit(lambda db: db.execute(_FULL))
    failures = metrics.value("journal_failures_total")
    rig.agent.go.set()
    await until(lambda: metrics.value("journal_failures_total") > failures)
    [turn] = rig.dispatcher.running
    assert rig.dispatcher.cancel(turn, "operator", tell=STOPPED)
    await rig.quiet()
    assert rig.texts == ["answer 1", STOPPED]
    retried = await rig.journal.retry(turn, now=0.0)
    assert [message.text for message in retried.messages] == ["one", "two"]
