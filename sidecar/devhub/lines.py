"""Lines from standard input without holding up the loop, and text that is safe to print."""

import asyncio
import codecs
import os
import re
import threading

_CHUNK = 65536

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and line feed
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what changes the direction of writing
    "\ud800-\udfff]"  # lone surrogates, which no terminal can show
)


def printable(text: str) -> str:
    """The text without what could steer a terminal. Escape sequences lose their first character."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n"))


class InputLines:
    """The lines of a file descriptor, read by a thread of its own.

    A pending read cannot be cancelled, and it must not keep the process alive: so the thread is a
    daemon. It reads the descriptor itself, since a buffered reader would be locked at the exit.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._ended = False
        threading.Thread(target=self._read, name="devhub-stdin", daemon=True).start()

    async def __call__(self) -> str | None:
        """The next line without its end; None at the end of the input."""
        if self._ended:
            return None
        line = await self._lines.get()
        self._ended = line is None
        return line

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while chunk := self._chunk():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            if not self._give(*lines):
                return
        self._give(*([rest] if rest else []), None)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:  # the terminal has gone
            return b""

    def _give(self, *lines: str | None) -> bool:
        """Hand lines over; False when nobody is there to take them any more."""
        try:
            for line in lines:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
        except RuntimeError:  # the loop is closed
            return False
        return True
