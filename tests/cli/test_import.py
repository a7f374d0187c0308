"""The config of a daemon on this machine, with what the daemon kept beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sidecar.cli import main

SEED = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
Import = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with two agents, whose programs are there."""
    for name in ("BOTCORD_HUB_CONTROL_PUBLIC_KEYS", "BOTCORD_HUB_CONTROL_PUBLIC_KEY"):
        monkeypatch.delenv(name, raising=False)
    for program in ("claude", "codex"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        monkeypatch.setenv(f"BOTCORD_{program.upper()}_BIN", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / ".botcord/agents/ag_b/workspace").mkdir(parents=True)
    agent(tmp_path, "ag_a", runtime="codex", cwd="~/project")
    agent(tmp_path, "ag_b")
    return tmp_path


@pytest.fixture
def imported(home: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    """Imports such a config, which has to be valid; the config and the report."""

    def run(**source: Any) -> tuple[dict[str, Any], str]:
        default = {"defaultRoute": {"adapter": "claude-code", "cwd": str(home)}}
        file = home / ".botcord/daemon/config.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({**default, **source}))
        assert main(["import", "-o", "made.yaml"]) == 0
        report = capsys.readouterr().err
        code = main(["validate", "--strict", "made.yaml"])
        assert (code, capsys.readouterr().out) == (0, "made.yaml is valid\n")
        return YAML(typ="safe").load(Path("made.yaml")), report

    return run


def agent(home: Path, name: str, mode: int = 0o600, **more: str) -> Path:
    """The credentials file of an agent."""
    record = {"hubUrl": "http://localhost:1", "agentId": name, "keyId": "k", "privateKey": SEED}
    path = home / f".botcord/credentials/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | more))
    path.chmod(mode)
    return path


def places(config: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Which agent works with what, and where."""
    return [(one["match"]["account"], one["runtime"], one.get("cwd")) for one in config["routes"]]


@pytest.mark.parametrize("listed", [{"agents": ["ag_a", "ag_b"]}, {}])
def test_listed_and_found_agents_work_where_they_did(
    imported: Import, listed: dict[str, Any]
) -> None:
    config, report = imported(**listed)
    assert places(config) == [
        ("ag_a", "codex", "~/project"),
        ("ag_b", "claude-code", "~/.botcord/agents/ag_b/workspace"),
    ]
    assert config["default_route"] == {"runtime": "claude-code", "trust": "trusted"}
    assert set(config["runtimes"]) == {"claude-code", "codex"}
    assert "(agent ag_a): routes: ag_a: codex in ~/project\n" in report


def test_a_found_file_that_others_can_read_is_told(imported: Import, home: Path) -> None:
    path = agent(home, "ag_a", 0o644, runtime="codex")
    config, report = imported()
    assert [one for one, _, _ in places(config)] == ["ag_b"]
    assert f"mend it with: chmod 600 {path}\n" in report
    assert "(credentials): an agent whose file cannot be used" in report


def test_a_listed_file_that_is_none_is_told(imported: Import, home: Path) -> None:
    agent(home, "ag_a").write_text("{")
    config, report = imported(agents=["ag_a", "ag_b"])
    assert places(config)[0] == ("ag_a", "claude-code", None)
    assert "ag_a.json: is not valid JSON\n" in report


def test_an_id_that_is_no_name_of_a_file_is_refused_as_the_daemon_does(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "daemon.json").write_text(json.dumps({"agents": ["../ag_a"]}))
    assert main(["import", "daemon.json"]) == 1
    told = "sidecar: daemon.json: agents: '../ag_a' cannot be the id of an agent\n"
    assert capsys.readouterr().err == told


def test_a_login_switches_the_control_plane_on_if_it_can_be_used(
    imported: Import, home: Path
) -> None:
    login = home / ".botcord/daemon/user-auth.json"
    login.parent.mkdir()
    names = ("userId", "daemonInstanceId", "accessToken", "refreshToken")
    record = {**dict.fromkeys(names, "x"), "hubUrl": "http://localhost:1", "expiresAt": 1}
    login.write_text(json.dumps(record))
    login.chmod(0o644)
    config, report = imported()
    assert config["control_plane"] == {"enabled": False}
    assert f"mend it with: chmod 600 {login}\n" in report
    login.chmod(0o600)
    (home / "made.yaml").unlink()
    config, report = imported()
    assert config["control_plane"] == {"enabled": True}
    assert "user-auth.json: control_plane: the daemon always used it\n" in report
