"""What a config would change, at the terminal."""

import json
import os
import stat
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import unquote

import pytest

from sidecar.cli import main
from sidecar.cli.running import HINT
from sidecar.store.lock import StateLock


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\nstate: {dir: state}\nserver: {listen: '127.0.0.1:0'}\n")
    (tmp_path / "state").mkdir()
    return path


def test_no_plan_of_a_start_is_made_while_a_sidecar_runs_that_cannot_be_asked(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("version: 1\nstate: {dir: state}\nserver: null\n")
    assert main(["plan", str(config)]) == 0
    with StateLock(config.parent / "state"):
        assert main(["plan", str(config)]) == 1
    assert "`server` is null in the config: there is nobody to ask" in capsys.readouterr().err


def test_a_plan_of_a_start_tells_where_no_sidecar_runs(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with config.open() as text:
        monkeypatch.setattr("sys.stdin", text)
        monkeypatch.chdir(config.parent)
        assert main(["plan", "-"]) == 0
    told = f"no sidecar runs with the state folder {config.parent}/state{HINT}; this would start:"
    assert capsys.readouterr().out == f"{told}\n+ server\n"


def test_a_plan_tells_the_warnings_of_the_config(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--json", str(config)]) == 0
    told = capsys.readouterr()
    [warning] = json.loads(told.out)["warnings"]
    assert warning.startswith(f"{config}:1:1: ")
    assert ": warning: " in told.err


class Plans(BaseHTTPRequestHandler):
    """Notes what the file that it is asked about holds, and who may read it."""

    noted: ClassVar[list[str]]

    def do_GET(self) -> None:
        file = Path(unquote(self.path.partition("=")[2]))
        self.noted.append(file.read_text())
        status = file.stat()
        self.noted.append(f"{status.st_uid} {stat.S_IMODE(status.st_mode):o}")
        self.send_response(409)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """What was asked is nobody's business."""


def test_standard_input_can_be_read_by_the_user_of_the_sidecar_alone(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, user = config.parent / "state", 4321 if os.geteuid() == 0 else os.geteuid()
    monkeypatch.chdir(config.parent)
    Plans.noted = []
    with (
        HTTPServer(("127.0.0.1", 0), Plans) as server,
        StateLock(state),
        config.open() as text,
    ):
        os.chown(state / "lock", user, -1)
        Thread(target=server.handle_request, daemon=True).start()
        (state / "server.address").write_text(f"127.0.0.1:{server.server_port}")
        monkeypatch.setattr("sys.stdin", text)
        assert main(["plan", "-"]) == 1
    assert Plans.noted == [config.read_text(), f"{user} 600"]
    assert {one.name for one in state.iterdir()} == {"lock", "server.address"}
