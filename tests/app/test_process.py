"""Why a process cannot start is told where a person looks."""

import asyncio
import gc
import signal
import socket
import sys
from pathlib import Path

import pytest

from sidecar.app.checking.candidate import NO_MEMORY
from sidecar.app.process import ONE_PRESS, StopSignals, serve, until_stopped
from sidecar.app.sidecar import Sidecar
from sidecar.app.watching.digests import NOTHING
from sidecar.config.model import Config, Log, Server, State
from tests.patience import PATIENCE, until


def test_why_it_does_not_start_is_on_the_screen_also_where_the_log_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    def start(log: Path, state: Path, server: Server | None = None) -> str:
        config = Config(State(state), None, server, log=Log(file=log))
        assert serve(tmp_path / "config.yaml", config, NOTHING, NO_MEMORY) == 1
        return capsys.readouterr().err

    told = start(tmp_path / "file" / "log", tmp_path / "state")
    assert told.startswith("sidecar: cannot start: the log file cannot be opened: [Errno ")
    told = start(tmp_path / "log", tmp_path / "file" / "state")
    assert told.startswith("sidecar: cannot start: the state folder cannot be used: [Errno ")
    assert "cannot start" in (tmp_path / "log").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        told = start(tmp_path / "log", tmp_path / "state", Server(listen))
        assert told.startswith(f"sidecar: cannot start: {listen} is in use: ")


async def test_what_was_made_at_the_start_is_no_garbage_and_memory_is_looked_after(
    tmp_path: Path,
) -> None:
    tasks: set[str] = set()
    before = gc.get_freeze_count()  # what this test run made

    async def frozen() -> None:
        await until(lambda: gc.get_freeze_count() > before)
        tasks.update(task.get_name() for task in asyncio.all_tasks())

    config = Config(State(tmp_path / "state"), None)
    sidecar, interval = Sidecar(tmp_path / "config.yaml", config, NOTHING), sys.getswitchinterval()
    try:
        async with asyncio.timeout(PATIENCE):
            assert await until_stopped(sidecar, frozen) == 0
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()
    assert "memory" in tasks


def test_a_key_press_that_arrives_twice_counts_once_and_a_second_one_counts() -> None:
    told = StopSignals()
    assert told.count(signal.SIGINT, 10.0) == 1
    assert told.count(signal.SIGINT, 10.0) == 1
    assert told.count(signal.SIGINT, 10.0 + ONE_PRESS * 0.9) == 1
    assert told.count(signal.SIGINT, 10.0 + ONE_PRESS * 1.1) == 2


def test_any_other_second_signal_counts_at_once() -> None:
    for first, second in (
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGINT, signal.SIGTERM),
    ):
        told = StopSignals()
        assert [told.count(first, 0.0), told.count(second, 0.0)] == [1, 2]
