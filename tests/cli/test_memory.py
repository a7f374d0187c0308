"""What a person at the terminal does with what an agent has noted."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import main

CONFIG = """\
version: 1
state: {dir: state}
channels:
  demo: {type: botcord, credentials: demo.json}
runtimes: {shell: {type: command, command: [sh]}}
default_route: {runtime: shell, cwd: .}
"""
Memory = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def memory(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Memory:
    """Runs `sidecar memory`; the exit code, and what is printed to both streams."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        try:
            code = main(["memory", *arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_person_reads_and_changes_it_while_no_sidecar_runs(memory: Memory, folder: Path) -> None:
    assert memory("get") == (0, f"(empty) {folder}/state/memory/demo.json\n", "")
    assert memory("set", "todo", "ask Ann")[1] == "set todo of demo: 7 of 20000 characters\n"
    assert memory("set", "goal", "ship it")[0] == 0
    assert memory("get", "todo") == (0, "ask Ann\n", "")
    _, out, _ = memory("get")
    assert out.startswith("goal: ship it\n\n[todo]\nask Ann\n\nupdated 20")
    assert memory("delete", "todo") == (0, "deleted todo of demo\n", "")
    assert memory("delete", "todo") == (0, "the memory of demo has no 'todo', it has goal\n", "")
    assert memory("clear") == (0, "cleared the memory of demo\n", "")
    assert memory("get") == (0, f"(empty) {folder}/state/memory/demo.json\n", "")


@pytest.mark.parametrize("value", ["-x", "--json", "--help", "- a list: 1", "-5", "a=b"])
def test_a_value_is_taken_as_it_is(memory: Memory, value: str) -> None:
    assert memory("set", "--account", "demo", "notes", value)[0] == 0
    assert memory("get", "notes")[1] == f"{value}\n"
    assert memory("set", "notes", "--", value)[0] == 0
    assert memory("get", "notes")[1] == f"{value}\n"


def test_an_empty_value_deletes(memory: Memory) -> None:
    memory("set", "notes", "x")
    assert memory("set", "notes", "") == (0, "deleted notes of demo\n", "")
    memory("set", "notes", "x")
    assert memory("set", "notes", stdin="") == (0, "deleted notes of demo\n", "")


@pytest.mark.parametrize("arguments", [["todo"], ["todo", "-"]])
def test_a_value_can_come_from_standard_input(memory: Memory, arguments: list[str]) -> None:
    assert memory("set", *arguments, stdin="line 1\n--last\n")[0] == 0
    assert memory("get", "todo")[1] == "line 1\n--last\n"


def test_bytes_that_are_no_text_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8", "replace"))
    assert main(["memory", "set", "notes"]) == 2
    assert "standard input is no text in UTF-8" in capsys.readouterr().err


def test_programs_get_json(memory: Memory, folder: Path) -> None:
    file = str(folder / "state" / "memory" / "demo.json")
    assert json.loads(memory("get", "--json")[1]) == {
        "account": "demo", "file": file, "memory": None,
    }  # fmt: skip
    memory("set", "goal", "naïve")
    for arguments in (
        ["get", "--json"],
        ["set", "--json", "notes", "x"],
        ["delete", "--json", "notes"],
    ):
        record = json.loads(memory(*arguments)[1])
        assert (record["account"], record["memory"]["goal"]) == ("demo", "naïve")
    assert record["memory"]["updated_at"].startswith("20")
    assert json.loads(memory("get", "--json", "goal")[1])["text"] == "naïve"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["set", "goal", "x" * 501], 1, "the goal would have 501 characters, of at most 500"),
        (["set", "my notes", "x"], 1, "letters, digits and underscores"),
        (["set", "notes", "a", "b"], 2, "one VALUE is wanted, 2 are given: quote it"),
        (["get", "tood"], 1, "did you mean 'todo'?"),
        (["get", "--account", "dmo"], 2, "there is no account 'dmo'; did you mean 'demo'?"),
        (["get", "--config", "no.yaml"], 2, "there is no no.yaml: `sidecar init no.yaml` writes"),
        ([], 2, "    clear "),
    ],
)
def test_mistakes_are_told_with_what_to_do(
    memory: Memory, arguments: list[str], code: int, told: str
) -> None:
    memory("set", "todo", "x")
    found, out, err = memory(*arguments)
    assert (found, out) == (code, "")
    assert told in err


def test_with_several_accounts_it_asks_which(memory: Memory, folder: Path) -> None:
    more = "  second: {type: botcord, agent: ag_2, credentials: second.json}\nruntimes:"
    (folder / "config.yaml").write_text(CONFIG.replace("runtimes:", more))
    code, _, err = memory("get")
    assert code == 2
    assert "tell whose memory with --account; accounts: ag_2, demo" in err
    assert memory("set", "--account", "ag_2", "notes", "x")[0] == 0
    assert memory("get", "--account", "demo")[1].startswith("(empty)")
    assert memory("get", "--account", "ag_2", "notes")[1] == "x\n"


def test_the_memory_of_an_account_that_has_gone_can_still_be_read(
    memory: Memory, folder: Path
) -> None:
    memory("set", "notes", "x")
    (folder / "config.yaml").write_text(CONFIG.replace("demo:", "other:"))
    assert memory("get", "--account", "demo", "notes")[1] == "x\n"
    assert memory("get")[1].startswith("(empty)")


def test_a_config_that_is_broken_elsewhere_does_not_matter(memory: Memory, folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG + "rotues: []\n")
    assert memory("get")[0] == 0
    code, _, err = memory("get", "--account", "dmo")
    assert code == 2
    assert "the config has problems: see `sidecar validate`" in err


def test_the_memory_of_the_development_sidecar_is_another_one(memory: Memory, folder: Path) -> None:
    memory("set", "--dev", "notes", "x")
    assert (folder / "state" / "dev" / "memory" / "demo.json").exists()
    assert memory("get")[1].startswith("(empty)")
    assert memory("get", "--dev", "notes")[1] == "x\n"


def test_a_folder_that_cannot_be_written_is_told(memory: Memory, folder: Path) -> None:
    (folder / "state").write_text("no folder")
    code, _, err = memory("set", "notes", "x")
    assert code == 1
    assert f"{folder}/state" in err
