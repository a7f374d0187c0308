"""`sidecar validate` in words, as JSON and as annotations, and its exit codes."""

import json
import os
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sidecar.cli import main
from sidecar.config.schemas.mistakes import MOST
from tests import starting

ROOT = Path(__file__).parents[2]

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
    out = capsys.readouterr().out
    assert out.count("warning: messages that no route matches") == 2
    assert out.count("\nconfig.yaml is valid, with 1 warning\n") == 2


def test_a_file_that_is_not_there_is_a_problem(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate"]) == 2
    out = capsys.readouterr().out
    assert "config.yaml cannot be read" in out
    assert out.endswith("`sidecar init` writes one to start from, `sidecar dev` needs none\n")


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
    assert "= used by routes[0].system_context\n" in out
    assert re.search(r"^config\.yaml:11:\d+: error: .*mesage", out, re.MULTILINE)


def test_several_files_are_checked_and_the_worst_decides(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").write_text(WARNING)
    (folder / "c.yaml").write_text(BAD)
    assert main(["validate", "a.yaml", "b.yaml"]) == 0
    assert main(["validate", "--strict", "a.yaml", "b.yaml"]) == 1
    capsys.readouterr()
    assert main(["validate", "a.yaml", "c.yaml", "b.yaml"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("a.yaml is valid\nc.yaml:4:1: error")
    assert "b.yaml:1:1: warning" in out
    assert main(["validate", "--json", "b.yaml", "c.yaml"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in found] == ["b.yaml", "c.yaml"]
    assert main(["validate", "--github", "b.yaml", "c.yaml"]) == 2
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["::warning", "::error f"]


def validate(folder: Path, text: bytes, *more: str) -> tuple[int, bytes]:
    """The exit code, and what it prints."""
    command = ("-m", "sidecar", "validate", "-", *more)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    code, out, _ = starting.said(*command, given=text, cwd=folder, env=env)
    return code, out


def test_a_config_can_come_from_standard_input(folder: Path) -> None:
    assert validate(folder, GOOD.encode()) == (0, b"standard input is valid\n")
    code, out = validate(folder, BAD.encode())
    assert code == 2
    assert out.startswith(b"<stdin>:4:1: error: unknown key 'limts'\n    4 | limts: {}\n")
    code, out = validate(folder, b"version: 1\na: \xff\n")
    assert code == 2
    assert out.startswith(b"<stdin>:2:4: error: <stdin> is not UTF-8")


def test_paths_in_standard_input_start_at_the_present_folder(folder: Path) -> None:
    (folder / "more.yaml").write_text("limits: {queue_depth: 5}\n")
    text = b"include: [more.yaml]\n" + GOOD.encode()
    assert validate(folder, text, "--strict")[0] == 0


def test_other_repositories_can_check_their_configs_before_a_commit(folder: Path) -> None:
    [hook] = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert (hook["id"], hook["language"]) == ("sidecar-validate", "python")
    for name, taken in {
        "config.yaml": True,
        "deploy/config.yml": True,
        "myconfig.yaml": False,
        "config.yaml.md": False,
        ".circleci/config.yml": False,
        "part/.github/ISSUE_TEMPLATE/config.yml": False,
    }.items():
        left_out = re.search(hook["exclude"], name)
        assert bool(re.search(hook["files"], name) and not left_out) is taken
    assert main(["init", "--template", "kubernetes", "config.yaml"]) == 0
    (folder / "config.yml").write_text(GOOD)
    program, *arguments = hook["entry"].split()
    assert program == "sidecar"
    assert main(["validate", "config.yaml", "config.yml"]) == 2
    assert main([*arguments, "--strict", "config.yaml", "config.yml"]) == 0


ELSEWHERE = """\
version: 1
state: {dir: state}
server: {token: "${TOKEN}"}
channels: {demo: {type: botcord, credentials: "${file:no-file}"}}
runtimes:
  script: {type: command, command: [no-such-command], env: {KEY: "${file:no-key}"}}
default_route: {runtime: script, cwd: no-folder}
"""


def test_what_a_machine_lacks_is_left_out_where_the_config_is_for_another_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.yaml").write_text(ELSEWHERE)
    monkeypatch.delenv("TOKEN", raising=False)
    assert main(["validate", "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)) == 5
    assert main(["validate", "--no-env", "--strict"]) == 0
    told = "config.yaml is valid, as far as it does not depend on its machine\n"
    assert capsys.readouterr().out == told
    assert main(["validate", "--no-env", "--json", "--strict"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_for_another_machine_neither_variables_nor_the_state_of_this_one_count(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.yaml").write_text(GOOD + "state: {dir: state}\nlimits: {output: '${SIZE}'}\n")
    monkeypatch.setenv("SIZE", "huge")
    assert main(["validate"]) == 2
    (folder / "state/managed").mkdir(parents=True)
    (folder / "state/managed/managed.yaml").write_text("channels: {x: {type: no}}\n")
    assert main(["validate", "--no-env", "--strict"]) == 0
    monkeypatch.setenv("SIZE", "1MiB")
    assert main(["validate", "--strict"]) == 1
    capsys.readouterr()


def test_for_another_machine_all_else_is_a_mistake_however_much_this_one_lacks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = "".join(
        f"  - {{name: r{number}, match: {{sender: h{number}}}, runtime: script, cwd: no-folder}}\n"
        for number in range(MOST + 1)
    )
    text = f"{ELSEWHERE}routes:\n{routes}"
    (folder / "config.yaml").write_text(text)
    assert main(["validate", "--no-env"]) == 0
    wrong = "  - {name: w, runtime: scirpt, cwd: no-folder, user_turn: {file: no.j2}}\n"
    (folder / "config.yaml").write_text(text + wrong)
    capsys.readouterr()
    assert main(["validate", "--no-env", "--json"]) == 2
    told = [one["code"] for one in json.loads(capsys.readouterr().out)]
    assert sorted(told) == ["unknown-runtime", "unreadable"]
