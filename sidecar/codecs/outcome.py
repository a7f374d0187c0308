"""What the codecs of agents share: a bounded answer, and words for how a process ended."""

import io
import signal

from sidecar.model import Failure

OUTPUT = 1 << 20
"""Bytes of an answer that are kept, where nobody says otherwise."""
LONGEST_DETAIL = 2000
"""Characters of what an agent printed that go into the detail of a failure."""


class Answer:
    """A text that grows up to `limit` bytes of UTF-8. `cut` tells that there was more."""

    __slots__ = ("_kept", "_limit", "_room", "cut")

    def __init__(self, limit: int) -> None:
        self._limit = self._room = limit
        self._kept = io.StringIO(newline="")
        self.cut = False

    @property
    def text(self) -> str:
        """What was kept, without white space around it."""
        return self._kept.getvalue().strip()

    def add(self, text: str) -> None:
        """Append; what is too much is left out, at a character's boundary."""
        if self.cut:
            return
        size = len(text) if text.isascii() else len(text.encode())
        if size > self._room:
            text = text.encode()[: self._room].decode("utf-8", "ignore")
            self.cut = True
        self._room -= size
        self._kept.write(text)

    def add_part(self, text: str) -> None:
        """Append as a paragraph of its own."""
        self.add(f"\n\n{text}" if self._kept.tell() else text)

    def replace(self, text: str) -> None:
        """Begin anew with this text."""
        self._kept = io.StringIO(newline="")
        self._room = self._limit
        self.cut = False
        self.add(text)


def exit_words(code: int | None, printed: str) -> str:
    """How a process ended, for a log: `printed` is the end of its standard error.

    `code` is negative for a signal, and None for a process that was not waited for.
    """
    tail = printed.strip()[-LONGEST_DETAIL:]
    return f"{_code_words(code)}: {tail}" if tail else _code_words(code)


def without_end(code: int | None, stderr: str, garbage: bytes, *, started: bool) -> Failure:
    """Why a turn failed that has no final event, as far as nothing else tells it.

    `garbage` is a line that made no sense, `started` tells that a session had begun.
    """
    words = exit_words(code, stderr)
    if garbage and not started and not code:
        shown = garbage[:200].decode("utf-8", "replace")
        return Failure("protocol", f"no event, but {shown!r}; {words}")
    # A signal that hit it before it began may have been a passing want of memory.
    return Failure("exited", f"no result, {words}", retryable=not started and (code or 0) < 0)


def _code_words(code: int | None) -> str:
    if code is None:
        return "ended by us"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
