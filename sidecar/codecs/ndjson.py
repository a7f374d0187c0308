"""Newline-delimited JSON: pieces of bytes to lines, and lines to objects.

Lines end with LF only. JSON texts may hold U+2028 and other characters at which `str.splitlines`
would cut them.
"""

import json

LIMIT = 4 << 20
"""Bytes of the longest line that is kept. Agents print lines of more than 1 MiB."""

_decode = json.JSONDecoder().raw_decode


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
        lines = data.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            return lines
        if self._size:
            self._keep(lines[0])
            lines[:1] = self.finish()
        if len(data) > self._limit:
            lines = self._short(lines)
        if b"\r" in data:
            lines = [line.removesuffix(b"\r") for line in lines]
        self._keep(rest)
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

    def _short(self, lines: list[bytes]) -> list[bytes]:
        short = [line for line in lines if len(line) <= self._limit]
        self.dropped += len(lines) - len(short)
        return short


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
    text = line.decode("utf-8", "replace").strip()
    try:
        value, end = _decode(text)
    except (ValueError, RecursionError):
        return None
    return value if end == len(text) and isinstance(value, dict) else None
