"""What becomes of a command whose standard output does not take what it prints."""

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.cli.output import printing

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is of Linux")
@pytest.mark.parametrize("line", ["schema", "version", "version --help"])
@pytest.mark.parametrize("buffering", [-1, 1])
def test_a_full_one_is_told_in_one_line(
    line: str, buffering: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FULL.open("w", buffering=buffering) as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert main(line.split()) == 1
    assert capsys.readouterr().err == "sidecar: standard output: No space left on device\n"


def test_a_reader_who_has_gone_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        assert main(["schema"]) == 1
    assert capsys.readouterr().err == ""


def test_another_failure_is_not_taken_for_it() -> None:
    def command() -> int:
        raise OSError(errno.ENOSPC, "of a file")

    with pytest.raises(OSError, match="of a file"):
        printing(command)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_cannot_be_encoded_is_replaced(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> int:
        sys.stdout.write("→ é \udcff\n")
        return 0

    printed = io.BytesIO()
    with io.TextIOWrapper(printed, encoding) as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        assert printing(command) == 0
        expected = {"ascii": "? ? ?\n", "latin-1": "? é ?\n", "utf-8": "→ é ?\n"}
        assert printed.getvalue().decode(encoding) == expected[encoding]


def test_one_that_was_closed_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> int:
        sys.stdout.write("nothing")
        sys.stderr.write("to nobody")
        return 3

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        patch.setattr(sys, "stderr", None)
        assert printing(command) == 3
        sys.stdout.close()
        sys.stderr.close()
