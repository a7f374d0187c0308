"""Tables at a terminal: fitted to its width, with colours for states. Elsewhere they are plain."""

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Column
from rich.table import Table as Drawn
from rich.text import Text

from sidecar.cli.table import Table, cell, printable

STYLES = {
    "connected": "green", "running": "green", "answered": "green", "delivered": "green",
    "starting": "yellow", "connecting": "yellow", "waiting": "yellow", "queued": "yellow",
    "pending": "yellow", "stopped": "red", "failed": "red", "refused": "red",
    "cancelled": "dim", "dropped": "dim",
}  # fmt: skip
"""Of a cell below `STATE`."""
CUT = frozenset({"CONVERSATION", "TEXT"})
"""Columns whose cells are cut where there is no room for them."""
WRAPPED = frozenset({"SESSION", "ROUTE", "ERROR", "REASON", "MATCH", "FOLDER"})
"""Columns whose cells then take several lines. All others are as wide as they need to be."""
NARROW = 4
"""Characters that are left of these columns at least."""


def draw(parts: Iterable[str | Table]) -> str:
    """The text of lines and tables, for the terminal that standard output is."""
    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as captured:
        for part in parts:
            if isinstance(part, str):
                console.print(Text(printable(part)), soft_wrap=True)
            else:
                console.print(_drawn(part))
    return captured.get()


def _drawn(table: Table) -> Drawn:
    drawn = Drawn(
        *(_column(*column) for column in zip(table.head, *table.rows, strict=True)),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for row in table.rows:
        drawn.add_row(*map(_cell, table.head, row))
    if not table.rows:
        drawn.add_row(Text("(none)", style="dim"))
    return drawn


def _column(name: str, *cells: str) -> Column:
    yields = name in CUT | WRAPPED
    needed = max(map(len, (name, *cells)))
    least = min(NARROW, needed) if yields else None
    return Column(Text(name), no_wrap=not yields, min_width=least, header_style="bold")


def _cell(name: str, text: str) -> Text:
    style = STYLES.get(text, "") if name == "STATE" else ""
    return Text(
        cell(text),
        style=style,
        overflow="ellipsis" if name in CUT else "fold",
        no_wrap=name in CUT,
    )
