"""Tables at a terminal: fitted to its width, with colours for states. Elsewhere they are plain."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column
from rich.table import Table as Drawn
from rich.text import Text

from sidecar.cli.table import NOTHING, Table, cell, printable

STYLES = {
    "connected": "green", "running": "green", "answered": "green", "delivered": "green",
    "starting": "yellow", "connecting": "yellow", "waiting": "yellow", "queued": "yellow",
    "pending": "yellow", "stopped": "red", "failed": "red", "refused": "red",
    "cancelled": "dim", "dropped": "dim",
}  # fmt: skip
"""Of a cell below `STATE`."""
NONE = Text("(none)", style="dim")
"""Stands where there are no rows."""
CUT = frozenset({"TEXT"})
"""Columns whose cells are cut where there is no room for them."""
WRAPPED = frozenset({"ERROR", "REASON", "MATCH", "FOLDER"})
"""Columns whose cells then take several lines. All others are as wide as they need to be: an id
that is cut is good for nothing."""
NARROW = 10
"""Characters that are left of these columns at least."""
GAP = 2
"""Characters between two columns."""
INDENT = 2
"""Characters before what goes on with a row."""


def draw(parts: Iterable[str | Table]) -> str:
    """The text of lines and tables, for the terminal that standard output is."""
    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as captured:
        for part in parts:
            if isinstance(part, str):
                console.print(Text(printable(part)), soft_wrap=True)
            else:
                _draw(part, console)
    return captured.get()


def _draw(table: Table, console: Console) -> None:
    """Print a table. Where it is too wide, columns that tell nothing are left out, then others
    yield; where that is not enough either, each row takes several lines."""
    if _width(table, _needed) > console.width:
        table = _telling(table)
    if _width(table, _least) <= console.width:
        console.print(_drawn(table))
    else:
        console.print(Text("\n").join(_stacked(table, console.width)), soft_wrap=True)


def _telling(table: Table) -> Table:
    """The table without the columns in which nothing is."""
    told = [any(cell not in ("", NOTHING) for cell in column) for _, *column in _columns(table)]
    kept = [tuple(compress(row, told)) for row in (table.head, *table.rows)]
    return Table(kept[0], kept[1:]) if table.rows else table


def _columns(table: Table) -> Iterator[tuple[str, ...]]:
    """Each column: its name and its cells."""
    return zip(table.head, *table.rows, strict=True)


def _width(table: Table, of: Callable[[tuple[str, ...]], int]) -> int:
    return sum(of(column) + GAP for column in _columns(table)) - GAP


def _needed(column: tuple[str, ...]) -> int:
    return max(cell_len(cell(text)) for text in column)


def _least(column: tuple[str, ...]) -> int:
    needed = _needed(column)
    return min(NARROW, needed) if column[0] in CUT | WRAPPED else needed


def _stacked(table: Table, width: int) -> Iterator[Text]:
    """The head and the rows with as many cells in a line as fit; further lines are indented."""
    widths = [_needed(column) for column in _columns(table)]
    head = [Text(name, style="bold") for name in table.head]
    rows = [list(map(_cell, table.head, row)) for row in table.rows]
    for cells in (head, *rows):
        for numbers in _shared_out(widths, width):
            line = Text(" " * (INDENT if numbers[0] else 0))
            for number in numbers:
                line.append_text(cells[number])
                line.append(" " * (widths[number] + GAP - cells[number].cell_len))
            line.rstrip()
            if table.head[numbers[-1]] in CUT:
                line.truncate(width, overflow="ellipsis")
            if line:
                yield line
    if not rows:
        yield NONE


def _shared_out(widths: Sequence[int], width: int) -> list[list[int]]:
    """The numbers of the columns that share each line."""
    lines: list[list[int]] = [[0]]
    used = widths[0]
    for number, needed in enumerate(widths[1:], 1):
        if used + GAP + needed <= width:
            lines[-1].append(number)
            used += GAP + needed
        else:
            lines.append([number])
            used = INDENT + needed
    return lines


def _drawn(table: Table) -> Drawn:
    drawn = Drawn(
        *map(_column, _columns(table)),
        box=box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for row in table.rows:
        drawn.add_row(*map(_cell, table.head, row))
    if not table.rows:
        drawn.add_row(NONE)
    return drawn


def _column(column: tuple[str, ...]) -> Column:
    name = column[0]
    yields = name in CUT | WRAPPED
    least = _least(column) if yields else None
    return Column(Text(name), no_wrap=not yields, min_width=least, header_style="bold")


def _cell(name: str, text: str) -> Text:
    style = STYLES.get(text, "") if name == "STATE" else ""
    return Text(
        cell(text),
        style=style,
        overflow="ellipsis" if name in CUT else "fold",
        no_wrap=name in CUT,
    )
