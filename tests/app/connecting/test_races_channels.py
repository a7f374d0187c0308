"""Channels that are to be started when the sidecar does not receive any more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.api import Accept
from sidecar.app.connecting import channels
from sidecar.errors import PartsFailed
from tests.app.connecting.test_channels import Line, Rig, wanted
from tests.patience import PATIENCE, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    found = Rig(tmp_path, exclusive=False)
    yield found
    await found.channels.close()
    await found.supervisor.close()


async def test_what_is_applied_later_is_not_started(rig: Rig) -> None:
    await rig.channels.apply(wanted("a"))
    await until(lambda: rig.state("a") == "connected")
    await rig.channels.stop_receiving()
    await rig.channels.apply(wanted("a", "b"))
    assert [rig.state(name) for name in "ab"] == ["stopped", "stopped"]
    assert [line.runs for line in rig.lines] == [1, 0, 0]


async def test_one_that_is_just_being_restarted_goes_on_with_neither_connection(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "START_WITHIN", PATIENCE)
    await rig.channels.apply(wanted("a"))
    await until(lambda: rig.state("a") == "connected")
    begun = asyncio.Event()

    async def run(line: Line, accept: Accept) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def restart() -> None:
        with pytest.raises(PartsFailed, match="the sidecar stops"):
            await rig.channels.restart("a")

    monkeypatch.setattr(Line, "run", run)
    task = rig.supervisor.spawn(restart(), "restart")
    await begun.wait()
    await rig.channels.stop_receiving()
    await task
    assert rig.channels.get("a") is rig.lines[0]
    assert rig.state("a") == "stopped"
