"""A sidecar whose state folder is deleted while it runs is found again."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.presence import Presence
from sidecar.app.sidecar import Sidecar
from sidecar.config.model import Config, Server, State
from sidecar.server import address
from sidecar.store.lock import StateLock, holder


async def test_with_the_journal_the_lock_and_the_address_come_back(tmp_path: Path) -> None:
    state, listen = tmp_path / "state", f"unix:{tmp_path / 's'}"
    config = Config(State(state), None, Server(listen))
    async with Sidecar(tmp_path / "config.yaml", config, {}) as sidecar:
        await asyncio.to_thread(state.rename, tmp_path / "gone")  # all of it at once
        await sidecar.journal.forget_account("none", "none")
        assert await asyncio.to_thread(holder, state) == os.getpid()
        assert await asyncio.to_thread(address.find, state) == listen
    assert await asyncio.to_thread(holder, state) is None
    assert await asyncio.to_thread(address.find, state) == ""


async def test_what_has_not_gone_stays_and_what_belongs_to_another_sidecar_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    presence, lock = Presence(tmp_path), tmp_path / "lock"

    def work() -> None:
        address.write(tmp_path, "127.0.0.1:3")  # as one leaves it that was killed
        presence.begin()
        presence.renew()
        assert address.find(tmp_path) == ""  # none was told yet
        presence.tell("127.0.0.1:1")
        address.write(tmp_path, "127.0.0.1:2")
        presence.renew()
        assert address.find(tmp_path) == "127.0.0.1:2"
        lock.unlink()
        address.remove(tmp_path)
        with StateLock(tmp_path):
            presence.renew()
        assert address.find(tmp_path) == ""
        presence.end()

    before = metrics.value("state_folder_failures_total")
    await asyncio.to_thread(work)
    assert metrics.value("state_folder_failures_total") == before + 1
    [told] = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert "until it is restarted: another sidecar (pid" in told
