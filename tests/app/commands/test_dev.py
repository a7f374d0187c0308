"""What `sidecar dev` keeps between two runs."""

import asyncio
import json
from pathlib import Path

import pytest

from sidecar import events
from sidecar.app.commands.dev import Development
from sidecar.config.model import Channel, Config, State
from sidecar.devhub import DevHub
from sidecar.devhub.records import Settled
from sidecar.errors import StateLocked
from sidecar.store.lock import StateLock
from tests.patience import PATIENCE


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"privateKey": "eA=="}', "\0"])
async def test_an_identity_stays_and_a_damaged_one_is_made_anew(
    tmp_path: Path, damaged: str
) -> None:
    channels = {"demo": Channel("demo", "botcord", options={})}
    config = Config(State(tmp_path), None, channels=channels)
    file = tmp_path / "dev" / "credentials" / "demo.json"
    hub = DevHub()
    await hub.start()
    try:
        await Development(hub).adapt(config)
        first = file.read_bytes()
        await Development(hub).adapt(config)
        assert file.read_bytes() == first
        assert file.stat().st_mode & 0o777 == 0o600
        file.write_text(damaged)
        await Development(hub).adapt(config)
        assert json.loads(file.read_bytes())["agentId"] == "demo"
        assert [one.name for one in file.parent.iterdir()] == ["demo.json"]
    finally:
        await hub.stop()


async def test_a_second_one_changes_nothing_of_the_first(tmp_path: Path) -> None:
    lock, hub = StateLock(tmp_path / "dev"), DevHub()
    await asyncio.to_thread(lock.acquire)
    await hub.start()
    try:
        with pytest.raises(StateLocked, match="another sidecar"):
            await Development(hub).adapt(Config(State(tmp_path), None))
    finally:
        await hub.stop()
        lock.release()
    assert [one.name for one in (tmp_path / "dev").iterdir()] == ["lock"]


async def test_it_is_told_in_words_why_no_reply_comes() -> None:
    hub, heard = DevHub(), asyncio.Queue[events.Event]()
    for outcome in (
        {"reason": "not_allowed", "messages": ["h_1"], "replies": 0},
        {"reason": "of_a_kind", "messages": ["h_2", "h_3"], "replies": 0},
        {"outcome": "cancelled", "messages": [], "replies": 0},  # another turn answers its message
        {"outcome": "cancelled", "messages": ["h_4"], "replies": 0},
        {"outcome": "answered", "messages": ["h_4"], "replies": 1},
    ):
        name = "turn.dropped" if "reason" in outcome else "turn.ended"
        heard.put_nowait((name, outcome))
    with hub.state.watch() as told:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            telling = group.create_task(Development(hub).tell(heard))
            assert [await told.get() for _ in range(5)] == [
                Settled("h_1", "the channel's `allow` leaves this out"),
                Settled("h_2", "of a kind"),
                Settled("h_3", "of a kind"),
                Settled("h_4", "its turn was stopped"),
                Settled("h_4"),
            ]
            telling.cancel()
