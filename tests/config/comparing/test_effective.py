"""`sidecar config show`: the config that takes effect, and never a secret."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import main
from sidecar.config.comparing.effective import effective, leaves
from sidecar.config.load import Loaded
from sidecar.config.problems import dotted
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.written import Written, block, plain

Check = Callable[[str], Loaded]
EXAMPLE = (Path(__file__).parents[3] / "config.example.yaml").read_text("utf-8")
CONFIG = """\
version: 1
include: [more/*.yaml]
server: {token: "${HUB_TOKEN}"}
limits: {turn_timeout: 20m}
channels: {demo: {type: botcord, credentials: demo.json}}
runtimes:
  script:
    type: command
    command: [claude]
    args: ["--key=${HUB_TOKEN}"]
    env: {PLAIN: very-plain, LAZY: "${file:secret.txt}", EMPTY: ""}
default_route: {runtime: script, cwd: ., user_turn: "a ${b}\\n{{ message.text }}\\n"}
"""
MORE = "log: {level: '${LEVEL:-debug}', file: x.log}\n"

Show = Callable[..., dict[str, Written]]


@pytest.fixture
def show(check: Check, machine: Any, schema: Schema) -> Show:
    machine.variables["HUB_TOKEN"] = "very-secret"
    (machine.folder / "secret.txt").write_text("file-secret\n")
    (machine.folder / "more").mkdir()
    (machine.folder / "more/log.yaml").write_text(MORE)

    def shown(text: str = CONFIG, *, resolved: bool = False) -> dict[str, Written]:
        found = check(text)
        assert found.config is not None, found.problems
        assert found.source is not None
        return effective(found.config, found.source, schema, resolved=resolved)

    return shown


def flat(values: dict[str, Written]) -> dict[str, tuple[object, str]]:
    return {dotted(place): (plain(one), one.origin) for place, one in leaves(values)}


def test_no_secret_is_shown_wherever_it_stands(show: Show) -> None:
    for resolved in (False, True):
        text = block(show(resolved=resolved), origins=bool)
        for secret in ("very-secret", "file-secret", "very-plain"):
            assert secret not in text
        found = flat(show(resolved=resolved))
        assert found["server.token"][0] == "***"
        assert found["runtimes.script.args[0]"][0] == "***"
        assert found["runtimes.script.env.LAZY"][0] == "***"
        assert found["runtimes.script.env.EMPTY"][0] == ""


def test_each_value_tells_where_it_comes_from(show: Show, machine: Any) -> None:
    found = flat(show())
    assert found["version"] == (1, "config.yaml:1")
    assert found["limits.turn_timeout"] == ("20m", "config.yaml:4")
    assert found["limits.idle_timeout"] == ("10m", "default")
    assert found["server.token"] == ("***", "config.yaml:3, environment HUB_TOKEN")
    assert found["log.level"] == ("***", "more/log.yaml:1, default of LEVEL")
    file = machine.folder / "secret.txt"
    assert found["runtimes.script.env.LAZY"][1] == f"config.yaml:11, file {file}"
    assert found["channels.demo.agent"] == ("demo", "default")
    assert found["channels.demo.send_rate.total"] == ("20/1m", "default")
    assert found["channels.demo.rate_limit.per_sender"] == ("20/1m", "default")


def test_what_is_resolved_has_absolute_paths_and_what_is_taken_over(
    show: Show, machine: Any
) -> None:
    found, plainly = flat(show(resolved=True)), flat(show())
    assert found["log.file"] == (f"{machine.folder}/more/x.log", "more/log.yaml:1")
    assert found["default_route.cwd"][0] == str(machine.folder)
    assert found["state.dir"] == (f"{machine.home}/.local/state/sidecar", "default")
    assert found["default_route.turn_timeout"] == ("20m", "limits.turn_timeout")
    assert found["default_route.idle_timeout"] == ("10m", "limits.idle_timeout")
    assert plainly["log.file"][0] == "x.log"
    assert plainly["state.dir"][0] == "~/.local/state/sidecar"
    assert "default_route.turn_timeout" not in plainly


def test_the_folder_of_the_state_follows_the_environment(show: Show, machine: Any) -> None:
    machine.variables["XDG_STATE_HOME"] = "/var/state"
    assert flat(show())["state.dir"] == ("/var/state/sidecar", "environment XDG_STATE_HOME")


def test_what_is_switched_off_stays_off(show: Show) -> None:
    found = flat(show("version: 1\nserver: null\n"))
    assert found["server"] == (None, "config.yaml:2")
    assert not any(path.startswith(("server.", "default_route")) for path in found)


@pytest.mark.parametrize("resolved", [False, True])
def test_what_is_shown_is_a_config_with_the_same_meaning(
    check: Check, schema: Schema, resolved: bool
) -> None:
    # What is taken over from `limits` becomes the route's own: both are the same time.
    own = "  trust: public\n  turn_timeout: 10m\n  idle_timeout: 10m\n"
    text = EXAMPLE.replace("${SIDECAR_TOKEN:-}", '""').replace("  trust: public\n", own)
    found = check(text)
    assert found.config is not None
    assert found.source is not None
    again = check(block(effective(found.config, found.source, schema, resolved=resolved)))
    assert again.config == found.config


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_TOKEN", "very-secret")
    (tmp_path / "config.yaml").write_text(
        'version: 1\nserver: {token: "${A_TOKEN}"}\n'
        "runtimes: {s: {type: command, command: [sh]}}\ndefault_route: {runtime: s, cwd: .}\n"
    )
    return tmp_path


def test_the_command_prints_yaml_or_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    assert 'server:\n  listen: 127.0.0.1:8787\n  token: "***"\n' in capsys.readouterr().out
    assert main(["config", "show", "config.yaml", "--origin"]) == 0
    assert "# config.yaml:2, environment A_TOKEN\n" in capsys.readouterr().out
    assert main(["config", "show", "--json", "--resolved"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["default_route"]["cwd"] == str(folder)
    assert main(["config", "show", "--json", "--origin"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["limits.output"] == {"value": "1MiB", "origin": "default"}


def test_an_invalid_config_is_not_shown_but_its_problems_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.yaml").write_text("version: 1\nlimts: {}\n")
    assert main(["config", "show"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "unknown key 'limts'" in err


def test_keys_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "explain", "server.token"]) == 0
    assert capsys.readouterr().out == (
        "server.token\n"
        "  The bearer token that `/status` asks for. It is required when listening beyond loopback;"
        " empty is none. Together with another `listen`, it waits for the next start.\n"
        "\n"
        "  value       a text\n"
        '  default     ""\n'
        "  change      at once (hot)\n"
        "  secret      yes\n"
        '  example     "${SIDECAR_TOKEN:-}"\n'
    )
    assert main(["config", "explain", "log"]) == 0
    assert "  keys\n    level   The least severe level" in capsys.readouterr().out
    assert main(["config", "explain", "log.level", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["reload"] == "hot"
    assert main(["config", "explain", "log.levle"]) == 2
    assert "did you mean 'level'?" in capsys.readouterr().err
