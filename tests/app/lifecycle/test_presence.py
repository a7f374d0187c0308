"""A sidecar whose state folder is deleted while it runs is found again."""

import asyncio
import logging
import os
import stat
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.lifecycle.presence import Presence
from sidecar.app.reloading.last_good import FILE, recall
from sidecar.app.sidecar import Sidecar
from sidecar.config.model import Config, Server, State
from sidecar.server import address
from sidecar.store.lock import StateLock, holder
from tests.patience import until


async def test_with_the_journal_all_that_others_look_for_comes_back(tmp_path: Path) -> None:
    state, listen = tmp_path / "state", f"unix:{tmp_path / 's'}"
    config = Config(State(state), None, Server(listen, "s3cret"))
    path = tmp_path / "config.yaml"
    async with Sidecar(path, config, {}) as sidecar:
        await until(lambda: asyncio.to_thread((state / FILE).exists))
        await asyncio.to_thread(state.rename, tmp_path / "gone")  # all of it at once
        await sidecar.journal.forget_account("none", "none")
        assert await asyncio.to_thread(holder, state) == os.getpid()
        assert await asyncio.to_thread(address.find, state) == listen
        assert await asyncio.to_thread(address.find_token, state) == "s3cret"
        assert await asyncio.to_thread(recall, state, path) == (config, set())
    assert await asyncio.to_thread(holder, state) is None
    assert not {address.FILE, address.TOKEN_FILE} & {one.name for one in state.iterdir()}


async def test_what_has_not_gone_stays_and_what_belongs_to_another_sidecar_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    presence, lock = Presence(tmp_path), tmp_path / "lock"

    def work() -> None:
        address.write(tmp_path, "127.0.0.1:3")  # as one leaves it that was killed
        address.write_token(tmp_path, "s3cret")
        presence.begin()
        presence.renew()
        assert address.find(tmp_path) + address.find_token(tmp_path) == ""  # none was told yet
        presence.tell("127.0.0.1:1", "")
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


def test_the_token_is_told_to_this_user_alone_as_long_as_there_is_one(tmp_path: Path) -> None:
    presence, file = Presence(tmp_path), tmp_path / address.TOKEN_FILE
    presence.tell_token("early")
    assert not file.exists()
    presence.tell("127.0.0.1:1", "first")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("first", 0o600)
    presence.tell_token("second")
    assert address.find_token(tmp_path) == "second"
    presence.tell_token("")
    assert not file.exists()
    presence.tell_token("third")
    presence.take_back()
    presence.tell_token("late")
    assert not file.exists()


def test_a_token_that_cannot_be_told_keeps_nobody_from_finding_the_sidecar(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / address.TOKEN_FILE / "x").mkdir(parents=True)  # which no file replaces
    before = metrics.value("state_folder_failures_total")
    Presence(tmp_path).tell("127.0.0.1:1", "s3cret")
    assert metrics.value("state_folder_failures_total") == before + 1
    assert (address.find(tmp_path), address.find_token(tmp_path)) == ("127.0.0.1:1", "")
    assert "the one in use cannot be told: " in caplog.text
    assert "s3cret" not in caplog.text
