"""Facts as text for people at a terminal."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

NOTHING = "-"
"""Stands for what is not known."""
LONGEST_ID = 128
"""Characters of an id from outside that are shown; one that is cut is good for nothing."""


class Table(NamedTuple):
    """Rows of cells below a head."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """As plain lines, with one that says so where there are no rows."""
        rows = [tuple(map(cell, row)) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.head, *rows, strict=True)]
        for row in (self.head, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield "  ".join(cells).rstrip()
        if not rows:
            yield "(none)"


def cell(text: str) -> str:
    """A text in one line that does nothing to a terminal."""
    return printable(" ".join(text.split()))


def age(seconds: float) -> str:
    """A span of time in its largest unit, such as `3h`."""
    whole = max(0, int(seconds))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= unit:
            return f"{whole // unit}{name}"
    return f"{whole}s"


def one_line(text: str | None, width: int = 60) -> str:
    """The beginning of a text from outside, in one line that does nothing to a terminal."""
    words = cell(text or "")
    return words if len(words) <= width else f"{words[: width - 1]}…"


def printable(text: str) -> str:
    """A text from outside without what would act on a terminal; lines and tabs stay."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


def tokens(of_input: int | None, of_output: int | None) -> str:
    """Tokens of input and output, such as `1200+34`."""
    if of_input is None and of_output is None:
        return NOTHING
    return f"{of_input or 0}+{of_output or 0}"


def dollars(usd: float | None) -> str:
    """A cost in US dollars; small ones with more digits."""
    return NOTHING if usd is None else f"${usd:.2f}" if usd >= 1 else f"${usd:.4f}"
