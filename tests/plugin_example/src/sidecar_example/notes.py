"""The context `notes`: the last lines of the notes in the folder where the agent works."""

import asyncio
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidecar.api import Asked, ContextProvider, ContextType, Host

OPTIONS = {
    "description": "The last lines of a file of notes.",
    "type": "object",
    "properties": {
        "file": {
            "description": "The file; a relative path starts at the folder of the turn.",
            "type": "string",
            "minLength": 1,
            "default": "NOTES.md",
        },
        "lines": {
            "description": "How many lines.",
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 20,
        },
    },
}


class Notes:
    """One file."""

    def __init__(self, options: Mapping[str, Any], _host: Host) -> None:
        self._file: str = options["file"]
        self._lines: int = options["lines"]

    async def value(self, asked: Asked) -> object:
        """The lines, as a list; an empty one where there is no file."""
        return await asyncio.to_thread(self._last, asked.cwd / self._file)

    async def close(self) -> None:
        """Nothing is held."""

    def _last(self, path: Path) -> list[str]:
        if not path.exists():
            return []
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, self._lines)]


def build(options: Mapping[str, Any], host: Host) -> ContextProvider:
    """A provider of this type."""
    return Notes(options, host)


NOTES = ContextType("notes", OPTIONS, build, empty=[])
