"""Looks into the journal beside the writer, from any thread, on a connection that stays open."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from sidecar.errors import JournalError
from sidecar.store.database import connect_reader

T = TypeVar("T")
Look = Callable[[sqlite3.Connection], T]
"""Statements that only read. What they fetch is complete when they return: a statement that is
left open would keep the write-ahead log from being copied back."""


class Reader:
    """Reads the journal at a path. All methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def look(self, look: Look[T]) -> T:
        """What a quick look finds; others wait for it. Raises JournalError."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect_reader(self._path)
                return look(self._connection)
            except sqlite3.Error as error:
                self._let_go()
                raise _failure(error) from error

    def look_long(self, look: Look[T]) -> T:
        """What a look finds that takes a while; nobody waits for it. Raises JournalError."""
        try:
            with closing(connect_reader(self._path)) as connection:
                return look(connection)
        except sqlite3.Error as error:
            raise _failure(error) from error

    def close(self) -> None:
        """Close the connection. A later look opens another one."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _failure(error: sqlite3.Error) -> JournalError:
    return JournalError(f"the journal cannot be read: {error}")
