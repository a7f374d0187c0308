"""Files for single turns that no other user of the machine can read."""

import asyncio
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

OLD = 86400.0
"""Seconds after which a file cannot belong to a running turn any more."""


class PrivateFiles:
    """Writes them into one folder; whoever runs the turn removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleaned = False

    async def write(self, text: str, suffix: str = ".txt") -> Path:
        """A new file, mode 0600.

        Raises:
            OSError: it cannot be written.
        """
        return await asyncio.to_thread(self._write, text, suffix)

    def _write(self, text: str, suffix: str) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._cleaned:
            self._cleaned = True
            self._remove_old()
        descriptor, name = tempfile.mkstemp(suffix, dir=self._folder)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        return Path(name)

    def _remove_old(self) -> None:
        """Remove what a sidecar that was killed could not."""
        before = time.time() - OLD
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()
