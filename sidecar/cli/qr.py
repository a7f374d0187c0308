"""An address as a QR code at a terminal, so that a phone can open it."""

import io
import os
from typing import TextIO

_DARK_ON_LIGHT = "\x1b[40;97m"
"""Bright white blocks on black, whatever the colours of the terminal are (ECMA-48, SGR)."""
_PLAIN = "\x1b[0m"
_QUIET = 2
"""Light modules around the code. The standard asks for four, readers for less."""
_UNKNOWN = os.terminal_size((80, 24))


def qr_code(text: str, stream: TextIO, *, below: int) -> str:
    """The lines of the code; empty where `stream` cannot show it, with `below` lines below it."""
    from segno import DataOverflowError, make_qr

    try:
        made = make_qr(text, error="l")
    except DataOverflowError:
        return ""
    drawn = io.StringIO()
    made.terminal(drawn, border=_QUIET, compact=True)
    lines = drawn.getvalue().splitlines()
    size = _size(stream)
    if len(lines[0]) >= size.columns or len(lines) + below > size.lines:
        return ""
    try:
        drawn.getvalue().encode(stream.encoding)
    except UnicodeEncodeError:
        return ""
    return "".join(f"{_DARK_ON_LIGHT}{line}{_PLAIN}\n" for line in lines)


def _size(stream: TextIO) -> os.terminal_size:
    try:
        found = os.get_terminal_size(stream.fileno())
    except OSError:
        return _UNKNOWN
    return found if found.columns and found.lines else _UNKNOWN
