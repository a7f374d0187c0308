"""Why a process cannot start is told where a person looks."""

import socket
from pathlib import Path

import pytest

from sidecar.app.candidate import NO_MEMORY
from sidecar.app.digests import NOTHING
from sidecar.app.process import serve
from sidecar.config.model import Config, Log, Server, State


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
