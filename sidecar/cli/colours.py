"""Colours: at a terminal only, and never where NO_COLOR is set: https://no-color.org"""

import os
from typing import TextIO


def wanted(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def coloured(text: str, code: str, stream: TextIO) -> str:
    """The text in the colour of an SGR code such as `31`, where colours are wanted."""
    return f"\x1b[{code}m{text}\x1b[0m" if wanted(stream) else text
