"""What a person reads of a log, and what a program does."""

import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.cli.logs import _for_people

LINE = (
    '{"ts": "2026-11-29T11:34:35.696Z", "level": "error", "msg": "it failed\\u001b[2J",'
    ' "context": {"turn": "abc"}, "exc": "Traceback\\nOSError"}\n'
)


@pytest.fixture
def logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    config = tmp_path / "config.yaml"
    config.write_text(f"version: 1\nlog: {{file: {tmp_path / 'log'}}}\n")
    for name, lines in (("log", "e f g"), ("log.1", "c d"), ("log.2", "a b"), ("log.old", "x")):
        (tmp_path / name).write_text("".join(f"{line} turn={line}\n" for line in lines.split()))

    def run(*arguments: str) -> list[str]:
        assert main(["logs", str(config), *arguments]) == 0
        return [line[0] for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.mark.parametrize(("count", "told"), [("2", "fg"), ("4", "defg"), ("50", "abcdefg")])
def test_the_last_lines_are_taken_from_as_many_files_as_it_takes(
    logs: Callable[..., list[str]], count: str, told: str
) -> None:
    assert "".join(logs("-n", count)) == told


def test_the_lines_of_a_turn_are_found_in_all_files(logs: Callable[..., list[str]]) -> None:
    assert logs("--turn", "b", "-n", "1") == ["b"]


def test_the_lines_of_a_turn_come_in_the_order_in_which_they_were_written(
    logs: Callable[..., list[str]], tmp_path: Path
) -> None:
    for number, name in enumerate(("log.2", "log.1", "log"), start=1):
        with (tmp_path / name).open("a") as file:
            file.write(f"{number} turn=q\n")
    assert logs("--turn", "q") == ["1", "2", "3"]


def test_a_terminal_shows_json_as_text_that_cannot_steer_it_and_a_program_gets_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert _for_people(LINE) == LINE
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        told = _for_people(LINE)
        assert told.splitlines()[1:] == ["  Traceback", "  OSError"]
        assert "\x1b[31merror   \x1b[0m it failed�[2J turn=abc\n" in told
        for strange in ("{}\n", "{\x1b[2J\n", '{"ts": 1}\n', "plain\x1b\n"):
            assert _for_people(strange) == strange.replace("\x1b", "�")
    os.close(leader)
