"""What a person types wrongly is told with what would be right; it is a usage error."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS, main

Told = Callable[..., str]


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Told:
    """Runs a command that ends with 2 and prints nothing else; what it tells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str) -> str:
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        return err

    return run


def test_alone_a_command_tells_what_can_follow_it(told: Told) -> None:
    text = told()
    assert [name for name in COMMANDS if not re.search(rf"^    {name}\b", text, re.MULTILINE)] == []
    text = told("turns")
    assert text.startswith("usage: sidecar turns ")
    for name in ("list", "show", "cancel", "retry"):
        assert f"\n    {name} " in text


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("stauts", "sidecar: error: 'stauts' is no command: did you mean 'status'?\n"),
        ("xyzzy -v", "sidecar: error: 'xyzzy' is no command: see `sidecar --help`\n"),
        ("turns shwo 1", "sidecar turns: error: 'shwo' is no action: did you mean 'show'?\n"),
        ("turns x", "sidecar turns: error: 'x' is no action: see `sidecar turns --help`\n"),
        ("--foo status", "sidecar: error: unrecognized arguments: --foo\n"),
        ("status --foo", "sidecar status: error: unrecognized arguments: --foo\n"),
        ("turns list a b", "sidecar turns list: error: unrecognized arguments: a b\n"),
    ],
)
def test_what_is_not_known_is_told_by_the_command_that_does_not_know_it(
    told: Told, line: str, end: str
) -> None:
    text = told(*line.split())
    assert text.endswith(f"\n{end}")
    assert text.startswith(f"usage: {end.partition(':')[0]} [-h]")


@pytest.mark.parametrize(
    ("line", "write"),
    [
        ("plan", "sidecar init"),
        ("config show x.yaml", "sidecar init x.yaml"),
        ("status", "sidecar init"),
        ("logs", "sidecar init"),
        ("migrate a'b", "sidecar init 'a'\"'\"'b'"),
        ("route remove x", "sidecar init"),
        ("route add x --runtime y --config k/x.yaml", "sidecar init k/x.yaml"),
    ],
)
def test_without_a_config_it_is_told_how_to_get_one(told: Told, line: str, write: str) -> None:
    assert told(*line.split()).endswith(
        f"`{write}` writes one to start from, `sidecar dev` needs none\n"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("schema", "Print the JSON Schema of a config."),
        ("dev", "Try it: a development Hub, the sidecar and a chat, all on this machine."),
        ("memory set", "Set the goal or a section."),
    ],
)
def test_the_help_of_a_command_says_what_it_is_for_with_names_as_they_are(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*line.split(), "--help"])
    assert sentence in " ".join(capsys.readouterr().out.split())
