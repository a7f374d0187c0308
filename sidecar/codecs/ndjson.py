"""Newline-delimited JSON: pieces of bytes to lines, and lines to objects.

Lines end with LF only. JSON texts may hold U+2028 and other characters at which `str.splitlines`
would cut them.
"""

import json
from collections.abc import Callable
from functools import cache

LIMIT = 4 << 20
"""Bytes of the longest line that is kept. Agents print lines of more than 1 MiB."""

_raw_decode = json.JSONDecoder().raw_decode


class Lines:
    """Cuts a stream into lines, in linear time and with at most `limit` bytes of an unfinished one.

    A longer line is left out as it streams in, and counted in `dropped`.
    """

    __slots__ = ("_limit", "_line", "_size", "dropped")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._size = 0
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that this piece completes, without their ends (LF or CR LF)."""
        return cut(self.whole(data))

    def whole(self, data: bytes) -> bytes:
        """The same lines in one, each with its end; for `cut`."""
        end = data.rfind(b"\n") + 1
        if end and self._size:  # the first of them began in an earlier piece
            first = data.index(b"\n")
            self._keep(data[:first])
            lines = b"\n".join([*self.finish(), memoryview(data)[first + 1 : end]])
        else:
            lines = data[:end]
        if len(data) > self._limit:
            lines = self._short(lines)
        self._keep(data[end:])
        return lines

    def finish(self) -> list[bytes]:
        """The last line, where the stream ended without a line end; empty when there is none."""
        size, line = self._size, bytes(self._line).removesuffix(b"\r")
        self._size, self._line = 0, bytearray()
        if size > self._limit:
            self.dropped += 1
            return []
        return [line] if size else []

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._line += piece
        elif self._line:
            self._line = bytearray()

    def _short(self, lines: bytes) -> bytes:
        found = lines.split(b"\n")
        short = [line for line in found if len(line) <= self._limit]
        self.dropped += len(found) - len(short)
        return b"\n".join(short)


def cut(lines: bytes) -> list[bytes]:
    """Whole lines one by one, without their ends (LF or CR LF)."""
    found = lines.split(b"\n")
    found.pop()  # what follows the last end
    if b"\r" in lines:
        found = [line.removesuffix(b"\r") for line in found]
    return found


class Printed:
    """What an agent prints. `garbage` is its first line that held no object, to be shown when
    nothing better tells why it failed."""

    def __init__(self) -> None:
        self.garbage = b""

    def take(self, line: bytes) -> dict[str, object] | None:
        """The object that a line holds, None for any other line."""
        event = parse(line)
        if event is None:
            self.garbage = self.garbage or line.strip()
        return event


def parse(line: bytes) -> dict[str, object] | None:
    """The object that a line holds; None for everything else. Bytes that are no UTF-8 are replaced
    by U+FFFD."""
    try:
        value = _decoder()(line)
    except (ValueError, RecursionError):
        value = _lenient(line)
    return value if isinstance(value, dict) else None


@cache
def _decoder() -> Callable[[bytes], object]:
    """Takes JSON to the letter, and is fast; raises ValueError for anything else."""
    import msgspec  # a third of a MiB, which a sidecar does without until an agent prints something

    return msgspec.json.Decoder().decode


def _lenient(line: bytes) -> object:
    """Takes also what JSON has not but programs print: NaN, lone surrogates, and broken UTF-8."""
    text = line.decode("utf-8", "replace").strip()
    try:
        value, end = _raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if end == len(text) else None
