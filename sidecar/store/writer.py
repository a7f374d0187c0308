"""One thread that owns the connection and commits what waits for it in one transaction.

A commit costs one sync of the disk, whatever it holds. While one is under way, the next callers
queue; all of them share the following one.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from sidecar import metrics
from sidecar.errors import JournalError, OutcomeFinal
from sidecar.store.database import tells_damage

log = logging.getLogger(__name__)

T = TypeVar("T")


class Place(Protocol):
    """Where the connection leads: see `keeper.Keeper`."""

    def is_fine(self) -> bool:
        """Whether what is written to the connection stays."""

    def note_written(self) -> None:
        """All that was committed is in the file itself."""

    def note_damage(self) -> None:
        """A statement has found the opposite."""

    def renew(self, connection: sqlite3.Connection, /) -> sqlite3.Connection:
        """A connection to take its place."""


Work = Callable[[sqlite3.Connection], T]
"""Statements of one caller. It runs inside a transaction and must not end it."""

_Item = tuple[Work[object], "asyncio.Future[object]"]
_Answer = tuple["asyncio.Future[object]", object, Exception | None]

_CHECKPOINT = 256
"""Changed rows after which the write-ahead log is copied back as soon as nobody writes."""
_LATEST_CHECKPOINT = 8192
"""Changed rows after which that is done even while somebody does: some dozens of megabytes.
SQLite's own limit of 1000 pages is off, for it would delay the answers of one unlucky commit."""
_QUIET = 0.05
"""Seconds without a write after which nobody writes."""


class Writer:
    """Runs functions on a connection, one after the other, and answers after the commit.

    The connection is in autocommit mode (`isolation_level=None`) and belongs to the writer, which
    has it renewed when its `place` is not fine any more. All methods are called on the event loop
    that was running when it was made.
    """

    def __init__(self, connection: sqlite3.Connection, place: Place) -> None:
        self._connection = connection
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._ended = self._loop.create_future()
        self._closing = False
        # Not asked of the connection, which is closed while its place cannot be renewed.
        self._total = self._copied = connection.total_changes
        # A daemon: a loop that died without close() must not keep the process alive.
        threading.Thread(target=self._run, name="journal", daemon=True).start()

    def submit(self, work: Work[T]) -> "asyncio.Future[T]":
        """Queue a function; the answer is its result, when that is durable.

        What the function raises undoes its own statements only, and is raised here. Cancelling
        the wait does not undo the work.

        Raises:
            JournalError: a statement or the commit failed, or the writer is closed.
        """
        answer: asyncio.Future[T] = self._loop.create_future()
        if self._closing:
            answer.set_exception(JournalError("the journal is closed"))
        else:
            self._queue.put((work, answer))  # type: ignore[arg-type]  # T is answered with T
        return answer

    async def close(self) -> None:
        """Return when all that was queued is answered and the connection is closed."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.shield(self._ended)

    def _run(self) -> None:
        going = True
        while going:
            items, going = self._take()
            if items:
                self._call(_deliver, self._write(items))
                if self._changed() >= _LATEST_CHECKPOINT:
                    self._copy_back()
        try:
            self._look_after()
        except Exception:
            log.exception("the journal cannot be renewed at its end")
        try:
            self._connection.close()
        finally:
            self._call(_settle, self._ended)

    def _write(self, items: Sequence[_Item]) -> list[_Answer]:
        try:
            self._look_after()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is answered, and tried again
            failure = JournalError(f"the journal cannot be renewed: {error}")
            return [(answer, None, failure) for _, answer in items]
        answers = _transact(self._connection, items)
        self._total = self._connection.total_changes
        causes = [error.__cause__ for _, _, error in answers if error is not None]
        if any(tells_damage(cause) for cause in causes if isinstance(cause, sqlite3.Error)):
            self._place.note_damage()
        return answers

    def _look_after(self) -> None:
        if not self._place.is_fine():
            self._connection = self._place.renew(self._connection)
            self._total = self._copied = self._connection.total_changes

    def _take(self) -> tuple[list[_Item], bool]:
        """Everything that waits, at least one; and whether more may come."""
        items: list[_Item] = []
        item = self._first()
        with suppress(Empty):
            while item is not None:
                items.append(item)
                item = self._queue.get_nowait()
        return items, item is not None

    def _first(self) -> _Item | None:
        """What waits longest; a pause before it comes is used to copy back what is due."""
        if self._changed() >= _CHECKPOINT:
            with suppress(Empty):
                return self._queue.get(timeout=_QUIET)
            self._copy_back()
        return self._queue.get()

    def _changed(self) -> int:
        """Rows that were changed since the last checkpoint."""
        return self._total - self._copied

    def _call(self, function: Callable[..., None], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:  # the loop is closed, nobody waits any more
            log.debug("the event loop ended before the journal")

    def _copy_back(self) -> None:
        """Copy the write-ahead log back into the file."""
        self._copied = self._total
        try:
            fine = self._place.is_fine()
            self._connection.execute("pragma wal_checkpoint(passive)").fetchall()
            if fine:  # otherwise what somebody else has written must not go unseen
                self._place.note_written()
        except sqlite3.Error as error:  # the log stays and grows; the next try may succeed
            metrics.count("journal_checkpoint_errors_total")
            log.warning("the journal's write-ahead log cannot be copied back: %s", error)


def _transact(connection: sqlite3.Connection, items: Sequence[_Item]) -> list[_Answer]:
    """Run all in one transaction. A failure of one is its own; one of the commit is everybody's."""
    shared = len(items) > 1
    try:
        connection.execute("begin immediate")
        answers = [_attempt(connection, item, shared=shared) for item in items]
        connection.commit()
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):  # the first error tells more
            connection.rollback()
        return [(answer, None, _failure(error)) for _, answer in items]
    return answers


def _attempt(connection: sqlite3.Connection, item: _Item, *, shared: bool) -> _Answer:
    """Run one function. Who shares the transaction needs a savepoint to be undone alone."""
    work, answer = item
    if shared:
        connection.execute("savepoint work")
    try:
        result = work(connection)
    except Exception as error:  # a defect of one caller's must not stop the rest
        if not shared:
            connection.rollback()
        elif connection.in_transaction:
            connection.execute("rollback to work")
            connection.execute("release work")
        else:  # a full disk, for one, makes SQLite undo all that the others did before
            raise sqlite3.OperationalError(f"the transaction was undone: {error}") from error
        return answer, None, _failure(error) if isinstance(error, sqlite3.Error) else error
    if shared:
        connection.execute("release work")
    return answer, result, None


def _failure(error: sqlite3.Error) -> JournalError:
    failure = JournalError(f"the journal cannot be written: {error}")
    failure.__cause__ = error
    return failure


def _deliver(answers: Sequence[_Answer]) -> None:
    for future, result, error in answers:
        failed = error is not None and not isinstance(error, OutcomeFinal)  # which is an answer
        if failed:
            metrics.count("journal_errors_total")
        if future.done():  # cancelled
            if failed:
                log.error("the journal failed for a caller that is gone", exc_info=error)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
