"""Where log lines are written: a stream, or a file that is rotated by size."""

import logging
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from sidecar import metrics

FILE_SIZE = 10 << 20
"""Bytes after which a log file is rotated."""
OLD_FILES = 3
"""Rotated log files that are kept."""


def target(to: Path | TextIO | None) -> tuple[logging.Handler, bool]:
    """What writes lines to a file, made with mode 0600, to a stream or to standard error, and
    whether that is a terminal.

    Raises:
        OSError: the file cannot be opened.
    """
    if isinstance(to, Path):
        return _PrivateFile(to), False
    stream = to or sys.stderr
    return _Stream(stream), stream.isatty()


class _Lossy(logging.Handler):
    """Counts the lines that cannot be written, and tells it once until one can be again."""

    _failures = 0
    _told = False

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a line."""
        before = self._failures
        done = super().handle(record)
        if self._failures == before:
            self._told = False
        return done

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Take note of a line that could not be written."""
        self._failures += 1
        metrics.count("log_write_failures_total")
        if self._told:
            return
        self._told = True
        # It may be just standard error that takes nothing.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"sidecar: the log cannot be written: {sys.exc_info()[1]}\n")
            sys.stderr.flush()


class _Stream(_Lossy, logging.StreamHandler[TextIO]):
    """A stream that stays open."""


class _PrivateFile(_Lossy, RotatingFileHandler):
    """A log file that only its owner can read. One that was moved or removed is made anew."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_SIZE, backupCount=OLD_FILES, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if not self._is_in_place():
            with suppress(OSError):  # until it can be made, what is open is written to
                before, self.stream = self.stream, self._open()
                if before is not None:
                    before.close()
        super().emit(record)

    def _is_in_place(self) -> bool:
        if self.stream is None:
            return False
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), Path(self.baseFilename).stat())
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():  # a mode that somebody gave it stays
            path.touch(mode=0o600)
        return super()._open()
