"""Colours and clearing, at a terminal only; colours never where NO_COLOR is set.

https://no-color.org and ECMA-48.
"""

import os
import sys
from typing import TextIO


def wants_colours(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def coloured(text: str, code: str, stream: TextIO) -> str:
    """The text in the colour of an SGR code such as `31`, where colours are wanted."""
    return f"\x1b[{code}m{text}\x1b[0m" if wants_colours(stream) else text


def clear() -> None:
    """Empty the terminal, if standard output is one."""
    if sys.stdout.isatty():
        print("\x1b[2J\x1b[H", end="")
