"""Looks after the file of the journal while it is used: it may be deleted, replaced or damaged.

A file that was deleted lives on for whoever has it open: what is written to it would be gone with
the process. So its place is looked at before each commit, and what the connection still holds is
written there again; from a copy without a name, until it is seen to be there: who deletes one file
may be about to delete the next.
"""

import asyncio
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from sidecar import metrics
from sidecar.errors import JournalError
from sidecar.store import outbox
from sidecar.store import turns as turn_rows
from sidecar.store.database import (
    COMPANIONS,
    RESTORED,
    beside,
    is_sound,
    open_database,
    set_aside,
    tells_damage,
)
from sidecar.store.records import PendingReply, UnfinishedTurn

log = logging.getLogger(__name__)

_SETTLES = 0.05
"""Seconds in which those who wait for a commit have taken over what it is about."""
_MOST_TRIES = 5
"""Times that what is deleted again as soon as it is written is written at once."""


class _Seen(NamedTuple):
    """The file as it was last seen, and by `wal` its write-ahead log."""

    file: tuple[int, int]
    wal: tuple[int, int]
    written: tuple[int, int]


class _Held(NamedTuple):
    """What a connection held, in a file without a name, and the number of its newest turn."""

    content: IO[bytes]
    newest: int


class UnderWay(NamedTuple):
    """What has been accepted and has no outcome yet, as those know it who work on it."""

    turns: Sequence[UnfinishedTurn] = ()
    replies: Sequence[PendingReply] = ()


class Keeper:
    """The file of the journal at a path, made on the event loop. All methods block, and belong to
    one other thread at a time.

    `under_way` is asked, on the loop, when a damaged journal was set aside: what it tells is
    written into the new one. `renewed` is called when another file has taken the place of the one
    that was used, and then `beside`, for what else was in the folder.
    """

    def __init__(self, path: Path, renewed: Callable[[], None]) -> None:
        self.under_way: Callable[[], UnderWay] = UnderWay
        self.beside: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()
        self._path = path
        # Asked for with each commit: a Path would cost several times as much.
        self._file, self._wal = os.fspath(path), os.fspath(beside(path, "-wal"))
        self._renewed = renewed
        self._is_open = False
        self._is_damaged = False
        self._seen: _Seen | None = None
        self._held: _Held | None = None  # until it is at its place

    def open(self, now: float) -> tuple[sqlite3.Connection, Path | None]:
        """A connection to the journal, and where a damaged one was moved.

        Raises:
            JournalError: it cannot be used.
        """
        connection, aside = open_database(self._path, now=now)
        self._is_open, self._is_damaged = True, False
        self._seen = self._look()
        return connection, aside

    def is_fine(self) -> bool:
        """Whether the file is at its place, and nobody else has written to it."""
        seen = self._seen
        return self._is_open and not self._is_damaged and seen is not None and seen == self._look()

    def note_damage(self) -> None:
        """SQLite has found that the file is damaged."""
        self._is_damaged = True

    def note_written(self) -> None:
        """The write-ahead log was copied back into the file; one that has taken its place meanwhile
        is not that."""
        if (now := self._look_at_same()) is not None:
            self._seen = now

    def renew(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """A connection that can be used, in place of one whose file is not fine. When this fails,
        it is to be tried again.

        Raises:
            JournalError: the journal cannot be used.
            OSError: the same.
            sqlite3.Error: the same.
        """
        if self._is_open:
            if self._was_only_written():
                self.note_written()
                return connection
            self._put_back(connection)
        opened, whole = self._open_again()
        if not whole:
            self._is_open = False  # until all is in it that is under way
            try:
                _restore(opened, self._ask())
            except BaseException:
                opened.close()
                raise
            self._is_open = True
        self._renewed()
        self.beside()
        return opened

    def _was_only_written(self) -> bool:
        """Whether a person's tool has written to the file, as it may."""
        same = not self._is_damaged and self._look_at_same() is not None
        return same and is_sound(self._path)

    def _ask(self) -> UnderWay:
        async def tell() -> UnderWay:
            await asyncio.sleep(_SETTLES)
            return self.under_way()

        return asyncio.run_coroutine_threadsafe(tell(), self._loop).result()

    def _put_back(self, connection: sqlite3.Connection) -> None:
        """Write what the connection holds to the place of its file, and let go of it."""
        copy = beside(self._path, RESTORED)
        copied = _copied(connection, copy)
        if copied is not None and copied.is_sound:
            self._held = _hold(copy, copied.newest)
        now = self._look_at_file()
        connection.close()
        self._is_open = False
        if copied is None:
            return
        if self._seen is not None and now == (self._seen.file, self._seen.written):
            self._delete(*COMPANIONS)  # only these were deleted
        else:
            set_aside(self._path, time.time())
        self._take_its_place(copy)
        metrics.count("journal_put_back_total")
        log.error("the journal %s was deleted or overwritten: it was written again", self._path)

    def _open_again(self) -> tuple[sqlite3.Connection, bool]:
        """A connection, and whether all is in its file that the last one held."""
        for _ in range(_MOST_TRIES):
            opened, aside = self.open(time.time())
            if self._held is None:
                return opened, False
            newest = _newest(opened)
            if aside is None and newest == self._held.newest:
                self._held.content.close()
                self._held = None
                return opened, True
            opened.close()
            self._is_open = False
            if aside is None and newest:  # somebody has put another journal there
                set_aside(self._path, time.time())
            self._delete("", *COMPANIONS)
            copy = beside(self._path, RESTORED)
            _write(copy, self._held.content)
            self._take_its_place(copy)
        raise JournalError(f"the journal {self._path} is deleted again and again")

    def _take_its_place(self, copy: Path) -> None:
        copy.replace(self._path)
        _sync(self._path.parent)

    def _delete(self, *ends: str) -> None:
        for end in ends:
            beside(self._path, end).unlink(missing_ok=True)

    def _look_at_same(self) -> _Seen | None:
        """What was seen, as it is now; None where another file or log is at its place."""
        seen, now = self._seen, self._look()
        return now if seen is not None and now is not None and seen[:2] == now[:2] else None

    def _look(self) -> _Seen | None:
        try:
            wal = os.stat(self._wal)  # noqa: PTH116
        except OSError:
            return None
        found = self._look_at_file()
        return None if found is None else _Seen(found[0], (wal.st_dev, wal.st_ino), found[1])

    def _look_at_file(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Which file is at the place, and when it was written and how long it is."""
        try:
            stat = os.stat(self._file)  # noqa: PTH116
        except OSError:
            return None
        return (stat.st_dev, stat.st_ino), (stat.st_mtime_ns, stat.st_size)


class _Copied(NamedTuple):
    """Whether the pages of a copy fit together, and the number of its newest turn."""

    is_sound: bool
    newest: int


def _copied(connection: sqlite3.Connection, copy: Path) -> _Copied | None:
    """Copy what a connection holds to a new file; None: it is too damaged."""
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
            return _checked(target)
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        if tells_damage(error):
            return None
        raise


def _checked(copy: sqlite3.Connection) -> _Copied:
    try:
        (verdict,) = copy.execute("pragma quick_check(1)").fetchone()
        return _Copied(verdict == "ok", _newest(copy) if verdict == "ok" else 0)
    except sqlite3.Error as error:
        if tells_damage(error):
            return _Copied(is_sound=False, newest=0)
        raise


def _newest(connection: sqlite3.Connection) -> int:
    (newest,) = connection.execute("select coalesce(max(seq), 0) from turn").fetchone()
    return int(newest)


def _hold(copy: Path, newest: int) -> _Held:
    with copy.open("rb") as file:
        held = _Held(TemporaryFile(dir=copy.parent), newest)  # noqa: SIM115  # it stays open
        shutil.copyfileobj(file, held.content)
    return held


def _write(copy: Path, content: IO[bytes]) -> None:
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    content.seek(0)
    with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _restore(connection: sqlite3.Connection, under_way: UnderWay) -> None:
    now = time.time()
    connection.execute("begin immediate")
    for turn in under_way.turns:
        turn_rows.restore(connection, turn, now)
    outbox.restore(connection, under_way.replies, now)
    connection.commit()
