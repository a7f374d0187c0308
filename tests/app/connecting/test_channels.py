import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from sidecar.api import Accept, ChannelStatus, ChannelType, Host
from sidecar.app.connecting import channel_run, channels
from sidecar.app.connecting.channels import Channels
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.config import model as config
from sidecar.errors import ChannelStopped, ChannelUnavailable, PartsFailed
from sidecar.model import Reply
from sidecar.store.names import Names
from tests.patience import PATIENCE, until


class Line:
    """A channel that does what its options say: `fail`, `stop`, wait for a Hub that is `away`, else
    it stays connected. The first
    `reach` runs get through before that. It ends when all have come to its barrier `together`."""

    made: ClassVar[list["Line"]] = []

    def __init__(self, options: Mapping[str, object], host: Host) -> None:
        if options.get("unbuildable"):
            raise ValueError("no such line")
        self.options = options
        self._host = host
        self.account = host.name
        self.max_text = None
        self.status = ChannelStatus("starting", time.time())
        self.runs = 0
        self.closed = False
        self.made.append(self)

    async def run(self, accept: Accept) -> None:
        self.runs += 1
        if self.runs <= int(str(self.options.get("reach", 0))):
            self._host.reached()
        if self.options.get("stop"):
            raise ChannelStopped("revoked")
        if self.options.get("away"):
            self.status = ChannelStatus("waiting", time.time(), "not now")
            await asyncio.Event().wait()
        if self.runs <= int(str(self.options.get("fail", 0))):
            raise OSError("cut")
        self.status = ChannelStatus("connected", time.time(), connection=str(self.runs))
        try:
            await asyncio.Event().wait()
        finally:
            if isinstance(barrier := self.options.get("together"), asyncio.Barrier):
                await barrier.wait()

    async def send(self, reply: Reply) -> str | None:
        return None

    async def close(self) -> None:
        self.closed = True


class Rig:
    def __init__(self, tmp_path: Path, *, exclusive: bool) -> None:
        class Own(Line):
            made: ClassVar[list[Line]] = []

        self.lines = Own.made
        self.supervisor = Supervisor()
        kind = ChannelType("line", {}, Own, lambda name, _: name, exclusive)
        self.channels = Channels(
            self._accept,
            lambda name: Host(name, logging.getLogger("t"), tmp_path, self.supervisor.spawn, None),  # type: ignore[arg-type]
            self.supervisor.spawn,
            Names(),
            types=lambda _: kind,
            first_wait=0.01,
        )

    async def _accept(self, messages: object) -> None: ...

    def state(self, name: str) -> str:
        return self.channels.statuses()[name][1].state


def wanted(*names: str, **options: object) -> dict[str, config.Channel]:
    return {name: config.Channel(name, "line", options) for name in names}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that is slow to tell that it cannot start is heard, too."""
    monkeypatch.setattr(channels, "START_WITHIN", PATIENCE)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    found = Rig(tmp_path, exclusive=True)
    yield found
    await found.channels.close()
    await found.supervisor.close()


async def test_channels_are_added_and_removed_and_the_others_are_not_touched(rig: Rig) -> None:
    await rig.channels.apply(wanted("a", "b"))
    await until(lambda: rig.state("a") == rig.state("b") == "connected")
    first = rig.channels.get("a")
    await rig.channels.apply(wanted("a", "c"))
    await until(lambda: rig.state("c") == "connected")
    assert rig.channels.get("a") is first
    assert rig.channels.get("b") is None
    assert [line.closed for line in rig.lines] == [False, True, False]
    assert [line.runs for line in rig.lines] == [1, 1, 1]


async def test_a_changed_exclusive_channel_is_closed_before_its_successor_opens(rig: Rig) -> None:
    await rig.channels.apply(wanted("a"))
    await until(lambda: rig.state("a") == "connected")
    await rig.channels.apply(wanted("a", speed=2))
    await until(lambda: rig.state("a") == "connected")
    old, new = rig.lines
    assert old.closed
    assert new.options == {"speed": 2}


async def test_changed_rules_of_a_channel_do_not_touch_its_connection(rig: Rig) -> None:
    await rig.channels.apply(wanted("a"))
    changed = config.Channel("a", "line", {}, rate_limit=None)
    await rig.channels.apply({"a": changed})
    assert len(rig.lines) == 1


async def test_a_channel_that_fails_is_started_again_until_it_works(rig: Rig) -> None:
    await rig.channels.apply(wanted("a", fail=2))
    await until(lambda: rig.state("a") == "connected")
    [line] = rig.lines
    assert line.runs == 3


async def test_a_channel_that_stops_for_good_tells_why_and_a_save_tries_again(rig: Rig) -> None:
    await rig.channels.apply(wanted("a", stop=True))
    await until(lambda: rig.state("a") == "stopped")
    assert rig.channels.statuses()["a"][1].reason == "revoked"
    assert rig.lines[0].runs == 1
    await rig.channels.apply(wanted("a", stop=True))
    await until(lambda: len(rig.lines) == 2 and rig.state("a") == "stopped")


async def test_a_channel_that_cannot_be_built_is_shown_and_hurts_no_other(rig: Rig) -> None:
    broken = {"x": config.Channel("x", "line", {"unbuildable": True})}
    await rig.channels.apply({**broken, **wanted("a")})
    await until(lambda: rig.state("a") == "connected")
    status = rig.channels.statuses()["x"][1]
    assert status.state == "stopped"
    assert "no such line" in status.reason


async def test_rules_and_connections_follow_each_for_itself(rig: Rig) -> None:
    before, after = wanted("a", "b"), wanted("a", speed=2)
    await rig.channels.apply(before)
    assert rig.channels.config("a") is None
    rig.channels.use(before)
    assert rig.channels.new_rules({**before, **after, **wanted("c")}) == ["a", "c"]
    rig.channels.use(after)
    assert rig.channels.config("a") == config.Channel("a", "line", {"speed": 2})
    assert rig.channels.config("b") is None
    assert len(rig.lines) == 2


async def test_channels_that_are_slow_to_end_are_slow_together(rig: Rig) -> None:
    names = [f"c{number}" for number in range(20)]
    await rig.channels.apply(wanted(*names, together=asyncio.Barrier(len(names))))
    await until(lambda: all(rig.state(name) == "connected" for name in names))
    async with asyncio.timeout(PATIENCE):
        await rig.channels.stop_receiving()
    assert {rig.state(name) for name in names} == {"stopped"}


async def test_a_channel_that_worked_is_tried_once_more_before_it_stops(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_run, "HEALTHY_AFTER", 0.0)
    await rig.channels.apply(wanted("a", stop=True))
    await until(lambda: rig.lines[0].runs >= 2)
    monkeypatch.setattr(channel_run, "HEALTHY_AFTER", 30.0)
    await until(lambda: rig.state("a") == "stopped")


@pytest.mark.parametrize(("reach", "runs"), [(0, 2), (3, 5)])
async def test_a_channel_that_takes_long_to_stop_is_tried_again_while_it_gets_through(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, reach: int, runs: int
) -> None:
    monkeypatch.setattr(channel_run, "HEALTHY_AFTER", 0.0)
    await rig.channels.apply(wanted("a", stop=True, reach=reach))
    await until(lambda: rig.state("a") == "stopped")
    assert rig.lines[0].runs == runs


async def test_no_reason_tells_a_secret(rig: Rig) -> None:
    rig.channels.hide({"hunter2-hunter2"})
    await rig.channels.apply(wanted("a"))
    await until(lambda: rig.state("a") == "connected")
    [line] = rig.lines
    reason = "GET http://hub/?token=abc hunter2-hunter2, Bearer 0123456789"
    line.status = ChannelStatus("waiting", 0.0, reason)
    [(_, status)] = rig.channels.statuses().values()
    assert status.reason == "GET http://hub/?token=*** ***, Bearer ***"
    assert status.state == "waiting"


async def test_a_channel_that_waits_is_not_replaced_by_one_that_waits_too(rig: Rig) -> None:
    await rig.channels.apply(wanted("a", away=True))
    await until(lambda: rig.state("a") == "waiting")
    with pytest.raises(ChannelUnavailable, match="not now"):
        await rig.channels.restart("a")
    assert rig.channels.get("a") is rig.lines[0]


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_channel_that_is_restarted_goes_on_as_it_was_where_it_does_not_start_anew(
    tmp_path: Path, exclusive: bool
) -> None:
    rig = Rig(tmp_path, exclusive=exclusive)
    refuses: list[str] = []
    away: list[str] = []
    await rig.channels.apply(wanted("a", stop=refuses, away=away))
    await until(lambda: rig.state("a") == "connected")
    await rig.channels.restart("a")
    old, first = rig.lines
    assert old.closed
    assert rig.channels.get("a") is first
    refuses.append("from now on")
    with pytest.raises(PartsFailed, match="revoked"):
        await rig.channels.restart("a")
    assert rig.lines[2].closed
    assert rig.channels.get("a") is first
    refuses.clear()
    await until(lambda: first.runs == 1 + exclusive and rig.state("a") == "connected")
    away.append("for now")
    with pytest.raises(ChannelUnavailable, match="not now"):
        await rig.channels.restart("a")
    away.clear()
    assert rig.channels.get("a") is first
    await until(lambda: first.runs == 1 + 2 * exclusive and rig.state("a") == "connected")
    assert not first.closed
    await rig.channels.close()
    await rig.supervisor.close()
