"""Files for single turns that no other user of the machine can read."""

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sidecar import metrics

log = logging.getLogger(__name__)

_BEGAN = time.time()
_SLACK = 0.1
"""Seconds by which the time of a file may lag behind the clock."""


class PrivateFiles:
    """Writes them into one folder; whoever runs the turn removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleaned = False

    async def write(self, *texts: tuple[str, str]) -> list[Path]:
        """New files, mode 0600: of each a text, and the end of its name. Cancelled, or when one
        cannot be written, none of them stays.

        Raises:
            OSError: one of them cannot be written.
        """
        writing = asyncio.get_running_loop().run_in_executor(None, self._write, texts)
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(_discard)
            raise

    def _write(self, texts: Sequence[tuple[str, str]]) -> list[Path]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._cleaned:
            self._cleaned = True
            self._remove_old()
        files: list[Path] = []
        try:
            for text, suffix in texts:
                descriptor, name = tempfile.mkstemp(suffix, dir=self._folder)
                files.append(Path(name))
                with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                    file.write(text)
        except BaseException:
            remove(files)
            raise
        return files

    def _remove_old(self) -> None:
        """Remove what a sidecar that was killed could not: the folder is ours alone, and its
        turns have ended with it."""
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < _BEGAN - _SLACK:
                    file.unlink()


def remove(files: Sequence[Path]) -> None:
    """Remove the files of a turn; one that cannot be is told in the log, for the turn is over.
    Blocks."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            metrics.count("agent_files_left_total")
            log.warning("%s cannot be removed: %s", file, error.strerror)


def _discard(writing: "asyncio.Future[list[Path]]") -> None:
    """Remove files that nobody waits for any more."""
    if not writing.cancelled() and writing.exception() is None:
        _ = asyncio.get_running_loop().run_in_executor(None, remove, writing.result())
