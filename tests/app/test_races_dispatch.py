"""What comes between the steps of the way of a message."""

import asyncio
import logging
from typing import Any

import pytest

from sidecar.app.attention import AttentionPolicies
from sidecar.app.intake import Intake
from sidecar.model import Attention
from tests.app.conftest import Line
from tests.patience import PATIENCE


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
