"""What is told of an installed program."""

from functools import partial
from pathlib import Path

import pytest

from sidecar.config.model import FileText, Runtime
from sidecar.runtimes import probe as probing
from sidecar.runtimes.probe import Found
from tests.patience import PATIENCE

probe = partial(probing.probe, patience=PATIENCE)


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def look(tmp_path: Path, script: str, type_: str = "claude-code", **env: str) -> Found:
    path = program(tmp_path, "tool", script)
    runtime = Runtime("it", type_, {"command": str(path)})
    return probe(runtime, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **env}, tmp_path)


def test_the_version_is_what_the_program_says(tmp_path: Path) -> None:
    found = look(tmp_path, 'test "$1" = --version && echo "2.1.330 (Claude Code)"')
    assert (found.version, found.warning) == ("2.1.330", "")
    assert found.path == str(tmp_path / "tool")


@pytest.mark.parametrize(
    ("version", "told"), [("2.1.9", "older than 2.1.197"), ("3.0.0", "newer than 2.1.330")]
)
def test_a_version_that_nobody_tried_is_told(tmp_path: Path, version: str, told: str) -> None:
    assert told in look(tmp_path, f"echo {version}").warning


@pytest.mark.parametrize("script", ["exit 1", "echo hello", "kill -9 $$"])
def test_a_program_without_a_version_is_there_all_the_same(tmp_path: Path, script: str) -> None:
    found = look(tmp_path, script)
    assert found.path is not None
    assert found.warning == "it does not tell its version"


def test_a_missing_program_is_nowhere(tmp_path: Path) -> None:
    runtime = Runtime("it", "codex", {"command": "no-such-program"})
    assert probe(runtime, {"PATH": "/bin"}, tmp_path) == Found("no-such-program", None)


def test_a_key_in_the_environment_or_a_file_is_a_login(tmp_path: Path) -> None:
    assert look(tmp_path, "echo 2.1.330").login == "no"
    assert look(tmp_path, "echo 2.1.330", ANTHROPIC_API_KEY="k").login == "yes"
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/.credentials.json").write_text("{}")
    assert look(tmp_path, "echo 2.1.330").login == "yes"
    assert look(tmp_path, "echo 2.1.330", CLAUDE_CONFIG_DIR=str(tmp_path)).login == "no"


def test_a_login_of_gemini_is_looked_for_where_the_cli_keeps_it(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    for folder in (tmp_path, home):
        (folder / ".gemini").mkdir(parents=True)
    (home / "oauth_creds.json").write_text("{}")
    assert look(tmp_path, "echo 0.61.0", "gemini", GEMINI_CLI_HOME=str(home)).login == "no"
    (home / ".gemini/oauth_creds.json").write_text("{}")
    assert look(tmp_path, "echo 0.61.0", "gemini", GEMINI_CLI_HOME=str(home)).login == "yes"
    assert look(tmp_path, "echo 0.61.0", "gemini").login == "no"
    (tmp_path / ".gemini/oauth_creds.json").write_text("{}")
    assert look(tmp_path, "echo 0.61.0", "gemini").login == "yes"


@pytest.mark.parametrize(
    ("type_", "name"),
    [("gemini", "GOOGLE_GENAI_USE_VERTEXAI"), ("claude-code", "CLAUDE_CODE_USE_BEDROCK")],
)
@pytest.mark.parametrize(
    ("value", "login"), [("True", "yes"), ("1", "yes"), ("false", "no"), ("0", "no"), ("", "no")]
)
def test_a_switch_for_another_login_counts_when_it_is_on(
    tmp_path: Path, type_: str, name: str, value: str, login: str
) -> None:
    assert look(tmp_path, "echo 1.0", type_, **{name: value}).login == login


def test_what_the_config_gives_counts_and_what_the_sidecar_keeps_does_not(tmp_path: Path) -> None:
    path = program(tmp_path, "tool", "echo 0.169.0")
    key = tmp_path / "key"
    key.write_text("k\n")
    env = {"OPENAI_API_KEY": FileText((key,))}
    base = {"PATH": "/bin", "HOME": str(tmp_path), "ANTHROPIC_API_KEY": "of another tool"}
    codex = Runtime("it", "codex", {"command": str(path)}, env=env)
    assert probe(codex, base, tmp_path).login == "yes"
    assert look(tmp_path, "echo 0.169.0", "codex", ANTHROPIC_API_KEY="k").login == "no"
    key.unlink()
    assert "cannot be made" in probe(codex, base, tmp_path).warning


HELP = (
    "--include-partial-messages --restricted --permission-prompts <mode> "
    "--system-prompt-snapshot <on|off>"
)


def test_flags_that_a_version_does_not_know_are_told_with_what_is_done_instead(
    tmp_path: Path,
) -> None:
    script = 'case $1 in --version) echo {};; --help) echo "{}";; esac'
    assert look(tmp_path, script.format("2.1.330", HELP)).warning == ""
    older = look(tmp_path, script.format("2.1.330", HELP.replace("--restricted ", "")))
    assert older.warning == "does not know --restricted; using no tools at all in public turns"


@pytest.mark.parametrize("place", [".local/bin", ".claude/local", "npm/bin"])
def test_a_program_outside_of_path_is_found_where_installers_put_it(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / ".npmrc").write_text("; mine\nprefix = ${HOME}/npm\n")
    (tmp_path / place).mkdir(parents=True)
    path = program(tmp_path / place, "claude-of-mine", "echo 2.1.330")
    runtime = Runtime("it", "claude-code", {"command": "claude-of-mine"})
    base = {"PATH": "/bin", "HOME": str(tmp_path)}
    assert probe(runtime, base, tmp_path).path == str(path)


def test_of_other_programs_only_the_place_is_told_and_they_are_not_run(tmp_path: Path) -> None:
    found = look(tmp_path, f"touch {tmp_path}/ran", "command")
    assert found == Found(str(tmp_path / "tool"), str(tmp_path / "tool"))
    assert not (tmp_path / "ran").exists()
