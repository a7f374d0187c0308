"""Facts as text for people at a terminal."""

from collections.abc import Iterator, Sequence

NOTHING = "-"
"""Stands for what is not known."""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table, with a line that says so where there is nothing in it."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    if not rows:
        yield "(none)"


def age(seconds: float) -> str:
    """A span of time in its largest unit, such as `3h`."""
    whole = max(0, int(seconds))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= unit:
            return f"{whole // unit}{name}"
    return f"{whole}s"


def one_line(text: str | None, width: int = 60) -> str:
    """The beginning of a text from outside, in one line that does nothing to a terminal."""
    words = printable(" ".join((text or "").split()))
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
