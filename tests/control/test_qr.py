"""The QR code that `sidecar login` shows, at terminals of several sizes."""

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest
import segno

from sidecar.cli.qr import qr_code

PAGE = "https://www.botcord.chat/activate?code=9RC5-9P2X"
DARK = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
"""Which of the two modules of a character are dark; the terminal is made black."""


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream
    os.close(ours)


def size(terminal: TextIO, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def modules(shown: str) -> list[list[int]]:
    """What a reader sees: 1 for each dark module, the light border taken away."""
    rows: list[list[int]] = []
    for line in shown.splitlines():
        assert line.startswith("\x1b[40;97m")
        assert line.endswith("\x1b[0m")
        pairs = [DARK[one] for one in line[len("\x1b[40;97m") : -len("\x1b[0m")]]
        rows += [[top for top, _ in pairs], [bottom for _, bottom in pairs]]
    rows.pop()  # below an odd number of modules
    assert not any(map(any, (*rows[:2], *rows[-2:])))
    return [row[2:-2] for row in rows[2:-2]]


def test_the_code_stands_for_the_page_and_fits_a_common_terminal(terminal: TextIO) -> None:
    size(terminal, 80, 24)
    wanted = [list(row) for row in segno.make_qr(PAGE, error="l").matrix]
    assert modules(qr_code(PAGE, terminal, below=5)) == wanted


@pytest.mark.parametrize(("columns", "lines"), [(30, 24), (80, 20)])
def test_a_terminal_that_is_too_small_shows_none(
    terminal: TextIO, columns: int, lines: int
) -> None:
    size(terminal, columns, lines)
    assert qr_code(PAGE, terminal, below=5) == ""


def test_a_page_that_is_too_long_for_a_code_shows_none(terminal: TextIO) -> None:
    assert qr_code("https://x/" + "y" * 5000, terminal, below=5) == ""


def test_a_terminal_without_the_characters_shows_none(terminal: TextIO) -> None:
    with os.fdopen(os.dup(terminal.fileno()), "w", encoding="ascii") as plain:
        assert qr_code(PAGE, plain, below=5) == ""
