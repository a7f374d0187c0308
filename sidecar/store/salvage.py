"""What can still be read of a damaged journal goes into a new one. Blocks."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

BATCH = 500
"""Rows that are held at once."""

_TABLES = ("turn", "message", "reply", "session", "activity", "spending", "name", "control_frame")
_COLUMNS = "select name from pragma_table_info('{}')"
_ORPHANS = """
    delete from message where turn not in (select seq from turn);
    delete from reply where turn not in (select seq from turn);
    delete from turn where ended_at is null and seq not in (select turn from message);"""


def salvage(damaged: Path, into: sqlite3.Connection) -> int:
    """Copy what is readable of a damaged journal into an empty one; the number of rows.

    The damaged one is not changed. Of a table that cannot be read to its end, the rows before the
    damage are taken, and those behind it.

    Raises:
        sqlite3.Error: the new one cannot be written.
    """
    if not damaged.exists() or not damaged.stat().st_size:
        return 0  # SQLite would delete the write-ahead log beside it
    # Beside one that has no write-ahead log, none is to be made.
    options = "mode=ro" if damaged.with_name(f"{damaged.name}-wal").exists() else "immutable=1"
    into.execute("pragma foreign_keys = off")
    try:
        with closing(
            sqlite3.connect(f"{damaged.absolute().as_uri()}?{options}", uri=True)
        ) as source:
            source.text_factory = lambda text: text.decode("utf-8", "replace")
            rows = sum(_copy(source, into, table) for table in _TABLES)
        into.executescript(f"begin immediate; {_ORPHANS} commit")
    finally:
        into.execute("pragma foreign_keys = on")
    return rows


def _copy(source: sqlite3.Connection, into: sqlite3.Connection, table: str) -> int:
    """Copy the readable rows of a table; how many."""
    before = into.total_changes
    known = {name for (name,) in into.execute(_COLUMNS.format(table))}
    found = [row for rows in _readable(source, _COLUMNS.format(table)) for row in rows]
    columns = [name for (name,) in found if name in known]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    for order in ("", "desc") if columns else ():
        # Each table is stored in the order of its first column.
        select = f"select {names} from {table} order by {columns[0]} {order}"  # noqa: S608 -- ours
        for rows in _readable(source, select):
            into.execute("begin immediate")
            into.executemany(f"insert or ignore into {table}({names}) values({marks})", rows)
            into.commit()
    return into.total_changes - before


def _readable(source: sqlite3.Connection, select: str) -> Iterator[list[tuple[Any, ...]]]:
    """The rows before the first that cannot be read, some at a time."""
    rows = []
    with suppress(sqlite3.DatabaseError):
        for row in source.execute(select):
            rows.append(row)
            if len(rows) == BATCH:
                yield rows
                rows = []
    yield rows
