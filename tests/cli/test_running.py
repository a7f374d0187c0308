"""Where a command looks for a sidecar and for what it recorded, and what it tells when it is not
there."""

import re
import socket
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.cli.running import NotRunning, ask
from sidecar.config.model import Config, State


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\nstate: {dir: state}\nserver: {listen: '127.0.0.1:0'}\n")
    (tmp_path / "state" / "dev").mkdir(parents=True)
    return path


def test_one_that_was_killed_does_not_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for place in (f"127.0.0.1:{port}", f"unix:{tmp_path / 'gone'}"):
        (tmp_path / "server.address").write_text(place)
        told = f"no sidecar runs: nobody answers at {place}, where the last one did"
        with pytest.raises(NotRunning, match=re.escape(told)):
            ask(Config(State(tmp_path), None), "GET /status")


def test_what_only_the_development_sidecar_has_is_hinted_at(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = (
        ["turns", "list", "--config", str(config)],
        ["outbox", "drop", "1", "--config", str(config)],
        ["logs", str(config)],
    )
    for command in commands:
        assert main(command) == 1
        assert "--dev" not in capsys.readouterr().err
    (config.parent / "state/dev/journal.db").touch()
    (config.parent / "state/dev/sidecar.log").write_text("hello\n")
    for command in commands:
        assert main(command) == 1
        assert capsys.readouterr().err.endswith("; that of `sidecar dev` is meant with --dev\n")
    assert main(["logs", "--dev", str(config)]) == 0
    assert capsys.readouterr().out == "hello\n"
