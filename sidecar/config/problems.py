"""What is wrong with a configuration, where, and how it is shown to people and programs."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file. Lines and columns count from 1; `width` characters are pointed at."""

    file: str
    line: int = 1
    column: int = 1
    width: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    `code` is stable and for programs, `path` the place in the document (`routes[0].cwd`), `hint`
    tells what to do, `related` is a second place such as the first of two equal keys.
    """

    code: str
    message: str
    position: Position
    path: str = ""
    hint: str = ""
    level: Level = "error"
    related: Position | None = None
