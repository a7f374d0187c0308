"""Tables, colours and clearing; what is not plain is for terminals only that are not dumb, and
colours never where NO_COLOR is set.

https://no-color.org and ECMA-48.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from sidecar.cli.table import Table, printable

CLEAR = "\x1b[2J\x1b[H"


def takes_escapes(stream: TextIO) -> bool:
    """Whether it is a terminal that can be steered."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_colours(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    return takes_escapes(stream) and not os.environ.get("NO_COLOR")


def coloured(text: str, code: str, stream: TextIO) -> str:
    """The text in the colour of an SGR code such as `31`, where colours are wanted."""
    return f"\x1b[{code}m{text}\x1b[0m" if wants_colours(stream) else text


def clear() -> None:
    """Empty the terminal, if standard output is one."""
    if takes_escapes(sys.stdout):
        print(CLEAR, end="")


def show(parts: Iterable[str | Table], *, anew: bool = False) -> None:
    """Print lines and tables. `anew`: in place of what a terminal shows, without flicker."""
    if sys.stdout.isatty():
        from sidecar.cli.fitted import draw  # takes a moment, and programs do without

        text = draw(parts)
        steered = anew and takes_escapes(sys.stdout)
        print(f"{CLEAR}{text}" if steered else text, end="", flush=True)
    else:
        print("\n".join(plain(parts)), flush=True)


def plain(parts: Iterable[str | Table]) -> Iterator[str]:
    """Lines and tables as plain lines."""
    for part in parts:
        yield from [printable(part)] if isinstance(part, str) else part.lines()
