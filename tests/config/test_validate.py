"""`sidecar validate` in words, as JSON and as annotations, and its exit codes."""

import json
import re
from pathlib import Path

import pytest

from sidecar.cli import main

GOOD = """\
version: 1
runtimes: {script: {type: command, command: [sh]}}
default_route: {runtime: script, cwd: .}
"""
WARNING = "version: 1\n"
BAD = GOOD + "limts: {}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_valid_config_is_said_to_be_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.yaml").write_text(GOOD)
    assert main(["validate"]) == 0
    assert main(["validate", "--strict"]) == 0
    assert capsys.readouterr().out == "config.yaml is valid\n" * 2


def test_an_invalid_config_is_shown_with_its_problems(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other.yaml").write_text(BAD)
    assert main(["validate", "other.yaml"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("other.yaml:4:1: error: unknown key 'limts'\n    4 | limts: {}\n")
    assert "\x1b" not in out


def test_warnings_count_only_when_it_is_strict(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.yaml").write_text(WARNING)
    assert main(["validate"]) == 0
    assert main(["validate", "--strict"]) == 1
    assert capsys.readouterr().out.count("warning: messages that no route matches") == 2


def test_a_file_that_is_not_there_is_a_problem(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate"]) == 2
    assert "config.yaml cannot be read" in capsys.readouterr().out


def test_programs_can_read_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.yaml").write_text(BAD)
    assert main(["validate", "--json"]) == 2
    [problem] = json.loads(capsys.readouterr().out)
    assert problem["path"] == "limts"
    (folder / "config.yaml").write_text(GOOD)
    assert main(["validate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_github_can_read_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.yaml").write_text(BAD)
    assert main(["validate", "--github"]) == 2
    assert capsys.readouterr().out.startswith("::error file=config.yaml,line=4,col=1,")
    (folder / "config.yaml").write_text(GOOD)
    assert main(["validate", "--github"]) == 0
    assert capsys.readouterr().out == ""


def test_templates_are_checked_where_they_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "x.j2").write_text("hello\n{{ messsage.text }}\n")
    (folder / "config.yaml").write_text(
        GOOD + "routes:\n"
        "  - runtime: script\n"
        "    cwd: .\n"
        "    match: {kind: group}\n"
        "    system_context: {file: x.j2}\n"
        "    user_turn: |\n"
        "      one\n"
        "      {{ mesage.text }}\n"
    )
    assert main(["validate"]) == 2
    out = capsys.readouterr().out
    assert re.search(r"^x\.j2:2:\d+: error: .*messsage", out, re.MULTILINE)
    assert re.search(r"^config\.yaml:11:\d+: error: .*mesage", out, re.MULTILINE)
