"""Opens the file of the journal: private, durable, migrated. A damaged one is set aside, and what
can still be read of it is saved."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sidecar import metrics
from sidecar.errors import JournalError
from sidecar.store.migrations import migrate
from sidecar.store.salvage import salvage

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another program that writes to the file, such as the sqlite3 shell."""

RESTORED = ".restored"
"""The end of the name of a copy that is to take the place of the file."""
COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside the file."""


class _Damaged(JournalError):
    """The file is not a database, or its pages contradict each other."""


def open_database(path: Path, *, now: float) -> tuple[sqlite3.Connection, Path | None]:
    """Open the journal, or make a new one; and tell where a damaged one was moved.

    The folder is made with mode 0700, the file has mode 0600. Blocks.

    Raises:
        JournalError: it cannot be opened, or a newer version wrote it.
    """
    try:
        if not path.exists() and (left := beside(path, RESTORED)).exists():
            left.rename(path)  # a sidecar was killed that was about to do this
        try:
            return _connect(path), None
        except _Damaged as damage:
            aside = set_aside(path, now)
            metrics.count("journal_set_aside_total")
            log.error(  # noqa: TRY400  # the reason is in the line, a traceback says nothing more
                "the journal %s is damaged (%s): it was moved to %s and a new one was begun,"
                " with what can still be read",
                path,
                damage,
                aside,
            )
            return _saved(path, aside), aside
    except (OSError, sqlite3.Error, JournalError) as error:
        raise JournalError(f"the journal {path} cannot be used: {error}") from error


def connect_reader(path: Path) -> sqlite3.Connection:
    """A second connection, for reading only, to be used by one thread at a time. It sees what is
    committed and delays no writer."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )


def is_sound(path: Path) -> bool:
    """Whether the file is a journal whose pages do not contradict each other. Blocks."""
    try:
        with closing(connect_reader(path)) as connection:
            (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
            (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
            return bool(tables and verdict == "ok")
    except sqlite3.DatabaseError as error:
        if tells_damage(error):
            return False
        raise


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _lost_its_base(path):
        raise _Damaged("its write-ahead log is there, but the file is empty or gone")
    # SQLite gives the files beside it the mode of this one.
    path.touch(mode=0o600)
    path.chmod(0o600)
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if tells_damage(error):
            raise _Damaged(str(error)) from error
        raise
    except JournalError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise _Damaged(verdict)
    connection.execute("pragma journal_mode = wal")
    # Only FULL survives the loss of power: a commit is on the disk before it is answered.
    connection.execute("pragma synchronous = full")
    connection.execute("pragma wal_autocheckpoint = 0")  # the writer chooses the moment
    # Of 2 MiB as it comes: without the rest it is as quick.
    connection.execute("pragma cache_size = -512")
    connection.execute("pragma foreign_keys = on")
    migrate(connection)


def tells_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite has found that the file is damaged."""
    # The low byte is the primary code, https://www.sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _lost_its_base(path: Path) -> bool:
    """SQLite would delete such a log, and what was committed to it."""
    return _size(path) == 0 and _size(beside(path, "-wal")) > 0


def _saved(path: Path, aside: Path) -> sqlite3.Connection:
    """A new journal with what can be read of a damaged one."""
    connection = _connect(path)
    try:
        rows = salvage(aside, connection)
    except sqlite3.Error:  # the disk is full, for one; the next start is to try it again
        connection.close()
        _move(aside, path)
        raise
    log.warning("%d row(s) of the damaged journal were saved", rows)
    return connection


def set_aside(path: Path, now: float) -> Path:
    """Move the file and its companions, where there are any, to a name that is free; that name."""
    stem = f"{path.name}.damaged-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    aside = path.with_name(stem)
    number = 1
    while any(beside(aside, end).exists() for end in ("", *COMPANIONS)):
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    _move(path, aside)
    return aside


def _move(path: Path, to: Path) -> None:
    for end in ("", *COMPANIONS):
        if beside(path, end).exists():
            beside(path, end).rename(beside(to, end))


def beside(path: Path, end: str) -> Path:
    """A file beside another one: its name has more at the end."""
    return path.with_name(path.name + end)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
