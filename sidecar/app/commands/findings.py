"""What a check-up finds: one line for each part, with the step that mends it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is. `remedy` is what to do, empty where nothing has to be done."""

    level: Level
    part: str
    text: str
    remedy: str = ""


def ok(part: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", part, text)


def warning(part: str, text: str, remedy: str = "") -> Finding:
    """It works, and somebody should know."""
    return Finding("warning", part, text, remedy)


def failure(part: str, text: str, remedy: str = "") -> Finding:
    """It does not work."""
    return Finding("failure", part, text, remedy)
