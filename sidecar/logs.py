"""Log lines for people and for programs, written by a thread so that nobody waits for a disk.

A line is complete, and free of secrets, when it is queued. The thread only writes it to its
target: standard error, another stream, or a file that is rotated by size.
"""

import atexit
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType, TracebackType
from typing import Any, Literal, TextIO

from sidecar.log_target import target

MOST_WAITING = 10_000
"""Lines that wait for a slow target; further ones are dropped, and their number is told."""
FLUSH_TIMEOUT = 5.0
"""Seconds that `shutdown` waits for a target that takes nothing, such as a pipe nobody reads."""

Redact = Callable[[str], str]

log = logging.getLogger(__name__)

_context: ContextVar[Mapping[str, object]] = ContextVar("log", default=MappingProxyType({}))


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Add facts (turn, conversation, channel, …) to every line logged inside.

    Tasks that are begun inside inherit them. A fact that is None is left out.
    """
    added = {name: fact for name, fact in facts.items() if fact is not None}
    token = _context.set({**_context.get(), **added})
    try:
        yield
    finally:
        _context.reset(token)


def configure(
    level: str = "info",
    format: Literal["auto", "text", "json"] = "auto",  # noqa: A002  # the config's word
    to: Path | TextIO | None = None,
    redact: Redact | None = None,
) -> None:
    """Log everything of this level and above, from now on; again to change it.

    `auto` is text at a terminal and JSON lines elsewhere. `to` is a file, made with mode 0600, or
    a stream; None is standard error. `redact` takes secrets out of a text. Uncaught exceptions of
    all threads are logged too. Blocks until the lines of an earlier configuration are written, so
    a running event loop calls it in a thread.

    Raises:
        OSError: the file cannot be opened; nothing has changed then.
    """
    global _running  # as the root logger is
    writes, terminal = target(to)
    shape: _Shape = _json
    if format == "text" or (format == "auto" and terminal):
        shape = partial(_text, colours=terminal and not os.environ.get("NO_COLOR"))
    queued = _Queued(_Formatter(shape, redact or str))
    before, root = _running, logging.getLogger()
    # One assignment, so that no line is lost or written twice in between.
    kept = [one for one in root.handlers if before is None or one is not before.queued]
    root.handlers = [*kept, queued]
    root.setLevel(level.upper())
    if before is None:
        hooks = (sys.excepthook, threading.excepthook)
        sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
        atexit.register(shutdown)
    else:
        hooks = before.hooks
        before.listener.stop()
    listener = _Listener(queued.waiting, writes)
    listener.start()
    _running = _Running(queued, listener, hooks)


def hide(redact: Redact) -> None:
    """Have `redact` take secrets out of what is logged from now on, in place of what did. Does
    nothing when nothing is configured."""
    if _running is not None:
        _running.queued.lines.redact = redact


def hidden(text: str) -> str:
    """A text as it would be logged, without the secrets that are hidden now."""
    return text if _running is None else _running.queued.lines.redact(text)


def shutdown() -> None:
    """Write what waits, and stop logging. Does nothing when nothing is configured. Blocks."""
    global _running
    if _running is None:
        return
    logging.getLogger().removeHandler(_running.queued)
    _running.listener.stop()
    sys.excepthook, threading.excepthook = _running.hooks
    atexit.unregister(shutdown)
    _running = None


@dataclass(frozen=True, slots=True)
class _Line:
    """What one record says, without secrets. `trace` is empty without an exception."""

    message: str
    context: Mapping[str, str | int]
    trace: str


_Shape = Callable[[logging.LogRecord, _Line], str]


class _Formatter(logging.Formatter):
    """Makes the line of a record.

    The parts are redacted before the shape escapes them, for an escaped secret would not be
    recognised; and the line once more, for whatever else got into it.
    """

    def __init__(self, shape: _Shape, redact: Redact) -> None:
        super().__init__()
        self._shape = shape
        self.redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        redact = self.redact
        line = _Line(
            redact(_message(record)),
            {name: _fact(fact, redact) for name, fact in _context.get().items()},
            redact(self._trace(record)),
        )
        return redact(self._shape(record, line))

    def _trace(self, record: logging.LogRecord) -> str:
        exception = self.formatException(record.exc_info) if record.exc_info else ""
        return "\n".join(part for part in (exception, record.stack_info) if part)


def _fact(fact: object, redact: Redact) -> str | int:
    """What is told of a fact: a number as such, unless that is secret."""
    text = redact(str(fact))
    return fact if isinstance(fact, int) and text == str(fact) else text


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # anybody's __str__ runs here
        return f"{record.msg} (its arguments cannot be shown: {type(error).__name__})"


def _json(record: logging.LogRecord, line: _Line) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    entry: dict[str, object] = {
        "ts": stamp.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": line.message,
    }
    if line.context:
        entry["context"] = line.context
    if line.trace:
        entry["exc"] = line.trace
    return json.dumps(entry)


_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
"""SGR parameters (ECMA-48, 8.3.117): faint, yellow, red, bold red."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What could end a line, steer a terminal, turn the direction of text, or not be encoded."""

_PLAIN = re.compile(r"[^\s\"'=]+")


def _text(record: logging.LogRecord, line: _Line, *, colours: bool) -> str:
    seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    level = f"{record.levelname:<8}"
    if colours and record.levelname in _COLOURS:
        level = f"\x1b[{_COLOURS[record.levelname]}m{level}\x1b[0m"
    said = " ".join(
        [line.message, *(f"{name}={_value(str(fact))}" for name, fact in line.context.items())]
    )
    first = f"{seconds}.{int(record.msecs):03} {level} {_escape(said)}"
    # Every line that begins at the margin is a log line; a trace is indented.
    return "\n  ".join([first, *(_escape(row) for row in line.trace.splitlines())])


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class _Queued(QueueHandler):
    """Queues finished lines and never waits."""

    def __init__(self, lines: _Formatter) -> None:
        self.lines = lines
        self.waiting: SimpleQueue[Any] = SimpleQueue()
        super().__init__(self.waiting)
        self.setFormatter(lines)
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it when too many wait."""
        if self.waiting.qsize() >= MOST_WAITING:
            self._dropped += 1
            return
        if self._dropped:
            text = "%d log lines were dropped: they came faster than they could be written"
            facts = (log.name, logging.WARNING, __file__, 0, text, (self._dropped,), None)
            self._dropped = 0
            self.waiting.put(self.prepare(logging.LogRecord(*facts)))
        self.waiting.put(record)


class _Listener(QueueListener):
    """Writes the queued lines in its thread."""

    def stop(self) -> None:
        """Write what waits and let go of the target, unless it takes nothing any more."""
        self.enqueue_sentinel()
        if self._thread is None:
            return
        self._thread.join(FLUSH_TIMEOUT)
        if not self._thread.is_alive():
            for target in self.handlers:
                target.close()
        self._thread = None


@dataclass(frozen=True, slots=True)
class _Running:
    queued: _Queued
    listener: _Listener
    hooks: tuple[Callable[..., object], Callable[..., object]]


_running: _Running | None = None


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = "a thread" if args.thread is None else args.thread.name
    facts = (args.exc_type, args.exc_value, args.exc_traceback)
    log.critical("uncaught exception in %s", name, exc_info=facts)
