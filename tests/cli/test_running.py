"""Where a command looks for a sidecar and for what it recorded, and what it tells when it is not
there."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from sidecar.app.reloading.last_good import keep
from sidecar.cli import main
from sidecar.cli.running import NotRunning, Refused, ask
from sidecar.config.model import Config, Log, Server, State
from sidecar.store.lock import StateLock
from tests.held_port import held_port
from tests.privileges import as_an_ordinary_user


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("version: 1\nstate: {dir: state}\nserver: {listen: '127.0.0.1:0'}\n")
    (tmp_path / "state" / "dev").mkdir(parents=True)
    return path


class Answers(BaseHTTPRequestHandler):
    """Answers each request with an empty picture."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """What was asked is nobody's business."""


@pytest.fixture(autouse=True)
def _nothing_was_asked() -> None:
    Answers.asked.clear()


def test_one_that_was_killed_does_not_run_and_who_has_its_address_is_told_no_token(
    tmp_path: Path,
) -> None:
    config = Config(State(tmp_path), None, Server(token="s3cret"))
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        (tmp_path / "server.address").write_text(f"127.0.0.1:{server.server_port}")
        server.timeout = 0  # what was sent has come when it looks
        with pytest.raises(NotRunning, match=f"no sidecar runs with the state folder {tmp_path}"):
            ask(config, "GET /status")
        server.handle_request()
    assert Answers.asked == []


def test_one_that_does_not_answer_is_told_from_one_that_does_not_run(tmp_path: Path) -> None:
    config = Config(State(tmp_path), None)
    with StateLock(tmp_path), held_port() as port:
        with pytest.raises(NotRunning, match="tells no address"):
            ask(config, "GET /status")
        for place in (f"127.0.0.1:{port}", f"unix:{tmp_path / 'gone'}"):
            (tmp_path / "server.address").write_text(place)
            told = f"a sidecar runs, and does not answer at {place}: "
            with pytest.raises(NotRunning, match=re.escape(told)):
                ask(config, "GET /status")


def test_a_saved_config_without_a_server_hides_no_server_that_still_runs(tmp_path: Path) -> None:
    config = Config(State(tmp_path), None, server=None)
    with pytest.raises(NotRunning, match="`server` is null in the config"):
        ask(config, "GET /status")
    with HTTPServer(("127.0.0.1", 0), Answers) as server, StateLock(tmp_path):
        Thread(target=server.handle_request, daemon=True).start()
        (tmp_path / "server.address").write_text(f"127.0.0.1:{server.server_port}")
        assert ask(config, "GET /status") == {}
    assert Answers.asked == ["/status"]


class Guarded(Answers):
    """Answers who brings the right token. What the file tells is `then` after a refusal."""

    file: ClassVar[Path]
    then: ClassVar[str]

    def do_GET(self) -> None:
        if self.headers["Authorization"] == "Bearer right":
            super().do_GET()
            return
        self.asked.append("refused")
        self.file.write_text(self.then)
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"no\n")


@pytest.mark.parametrize(
    ("told", "then", "saved", "refusals"),
    [
        ("right", "right", "wrong", 0),
        ("former", "right", "wrong", 1),  # it changes just now
        ("", "", "right", 0),  # as for another user
        ("stale", "stale", "right", 2),  # as where the disk is full
        ("stale", "stale", "wrong", 3),
    ],
)
def test_a_command_brings_the_token_in_use_and_else_that_of_the_config(
    tmp_path: Path, told: str, then: str, saved: str, refusals: int
) -> None:
    Guarded.file, Guarded.then = tmp_path / "server.token", then
    Guarded.file.write_text(told)
    config = Config(State(tmp_path), None, Server(token=saved))
    with HTTPServer(("127.0.0.1", 0), Guarded) as server, StateLock(tmp_path):
        Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "server.address").write_text(f"127.0.0.1:{server.server_port}")
        if refusals < 3:
            assert ask(config, "GET /status") == {}
        else:
            with pytest.raises(Refused, match="401 no"):
                ask(config, "GET /status")
        server.shutdown()
    assert Answers.asked == ["refused"] * refusals + ["/status"] * (refusals < 3)


def test_whether_one_is_alive_is_asked_without_its_config(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(": : [")
    state = config.parent / "state"
    live = ["status", "--live", str(state)]
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        (state / "server.address").write_text(f"127.0.0.1:{server.server_port}")
        assert main(live) == 1
        assert f"no sidecar runs with the state folder {state}" in capsys.readouterr().err
        with StateLock(state):
            Thread(target=server.handle_request, daemon=True).start()
            assert main(live) == 0
            assert Answers.asked == ["/livez"]
    with StateLock(state):
        assert main(live) == 1  # what listened there has gone
        (state / "server.address").unlink()
        assert main(live) == 0  # with `server: null`


def test_a_config_that_is_no_yaml_is_looked_at_as_it_was_in_force_last(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(config.parent))
    config.write_text(": : [")
    assert main(["logs", str(config)]) == 2
    state, file = config.parent / "sidecar", config.parent / "log"
    state.mkdir(mode=0o700)
    file.write_text("hello\n")
    keep(state, config, Config(State(state), None, log=Log(file=file)), ())
    capsys.readouterr()
    assert main(["logs", str(config)]) == 0
    told = capsys.readouterr()
    assert told.out == "hello\n"
    assert "cannot be read; see `sidecar validate`" in told.err


@pytest.mark.parametrize(
    "command",
    [["turns", "retry"], ["sessions", "forget"], ["outbox", "drop"], ["agents", "forget"]],
)
def test_an_empty_text_is_no_name(
    config: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command, "", "--config", str(config)])
    assert "an empty text names nothing" in capsys.readouterr().err


@pytest.fixture
def not_ours(config: Path) -> Iterator[Path]:
    """The config of a state folder into which this user cannot look."""
    state = config.parent / "state"
    state.chmod(0)
    with as_an_ordinary_user():
        yield config
    state.chmod(0o700)


@pytest.mark.parametrize(
    "command",
    [
        ["status", "CONFIG"],
        ["reload", "CONFIG"],
        ["stop", "CONFIG"],
        ["turns", "list", "--config", "CONFIG"],
        ["turns", "retry", "t", "--config", "CONFIG"],
        ["outbox", "drop", "1", "--config", "CONFIG"],
    ],
)
def test_a_state_folder_of_another_user_is_told(
    not_ours: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = [str(not_ours) if word == "CONFIG" else word for word in command]
    assert main(told) == 1
    assert "state cannot be looked at: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["config.yaml", "-1", "nan"])
def test_a_wait_without_a_number_of_seconds_is_told(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["reload", f"--wait={wrong}"])
    assert f"'{wrong}' is no number of seconds; CONFIG goes before it" in capsys.readouterr().err


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
