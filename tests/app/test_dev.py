"""What `sidecar dev` keeps between two runs."""

import asyncio
import json
from pathlib import Path

import pytest

from sidecar.app.dev import Development
from sidecar.config.model import Channel, Config, State
from sidecar.devhub import DevHub
from sidecar.errors import StateLocked
from sidecar.store.lock import StateLock


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
