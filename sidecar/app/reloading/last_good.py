"""The last config that was in force, kept in the state folder for a start with a broken file.

It is kept as it was checked: the file alone is not enough, because what it includes, its templates
and its secrets may have changed too. It holds secrets, so nobody else can read it. With it is kept
which files it was made of, such as those of credentials.
"""

import asyncio
import errno
import logging
import os
import pickle
import stat
import threading
from collections.abc import Collection
from pathlib import Path
from typing import IO

from sidecar import __version__, metrics
from sidecar.app.checking.candidate import NO_MEMORY, Candidate, read_answer, write_answer
from sidecar.app.lifecycle.chores import tick
from sidecar.atomic_file import replace_by
from sidecar.config.model import Config
from sidecar.errors import NoLastGood

log = logging.getLogger(__name__)

FILE = "last-good-config"
"""In the state folder."""
RETRY_INTERVAL = 60.0
"""Seconds between tries after one that failed."""


class LastGood:
    """Keeps what is in force, of the config file `path`, in a state folder. It begins with `config`
    and the files that it names; `behind` tells whether what is in force has yet to be written."""

    def __init__(self, state: Path, path: Path, config: Config, files: Collection[Path]) -> None:
        self._state = state
        self._path = path
        self._in_force = config, files
        self._one_at_a_time = asyncio.Lock()
        self._writing = threading.Lock()
        self._wanted: tuple[Config, Collection[Path]] | None = None
        self.behind = False

    async def keep(self, config: Config, files: Collection[Path]) -> None:
        """Keep a config and the files that it names; of those that come while one is written, the
        last. A failure is only told."""
        self._wanted = config, files
        if self._one_at_a_time.locked():
            return  # whoever writes takes it over
        async with self._one_at_a_time:
            while (wanted := self._wanted) is not None:
                self._wanted = None
                self._in_force = wanted
                await asyncio.to_thread(self._write)

    async def run(self) -> None:
        """Write what has yet to be, and again where that failed, now and then."""
        while True:
            if self.behind:
                await asyncio.to_thread(self._write)
            await tick(RETRY_INTERVAL)

    def renew(self) -> None:
        """Bring back what was deleted. Blocks; a failure is only told."""
        if not (self._state / FILE).exists():
            self._write()

    def _write(self) -> None:
        with self._writing:
            try:
                keep(self._state, self._path, *self._in_force)
                self.behind = False
            except OSError as error:
                self.behind = True
                metrics.count("last_good_failures_total")
                log.warning("the config cannot be kept for a later start: %s", error)


def keep(state: Path, path: Path, config: Config, files: Collection[Path]) -> None:
    """Keep a config of the file `path`, mode 0600, and the files that it names. Blocks.

    Raises:
        OSError: it cannot be written.
    """

    def fill(file: IO[bytes]) -> None:
        pickle.dump(_origin(path), file)
        found = Candidate(config, None, (), {}, dict.fromkeys(files))
        write_answer(found, [None] * len(config.routes), file)

    _ = replace_by(state / FILE, fill)


def last_kept(state: Path) -> tuple[tuple[str, str], float]:
    """Of which file and version the config is that is kept, and since when, in seconds since the
    epoch. Blocks. Raises NoLastGood."""
    file = state / FILE
    try:
        return _read(file)[0], file.stat().st_mtime
    except Exception as error:  # whatever is wrong with it, it cannot be used
        raise NoLastGood(f"{file} cannot be read: {error}") from error


def recall(state: Path, path: Path) -> tuple[Config, Collection[Path]]:
    """The config of the file `path` that was in force last, and the files that it names. Blocks.

    Raises:
        NoLastGood: there is none, or it is of another file, another version, or another user.
    """
    file = state / FILE
    try:
        origin, found = _read(file, _origin(path))
    except OSError as error:
        raise NoLastGood(f"{file}: {error.strerror}") from error
    except Exception as error:  # whatever is wrong with it, it cannot be used
        raise NoLastGood(f"{file} cannot be read: {error}") from error
    if found is None or found.config is None:
        raise NoLastGood(f"{file} is of {origin[0]}, version {origin[1]}")
    return found.config, found.inputs.keys()


def _read(
    path: Path, wanted: tuple[str, str] | None = None
) -> tuple[tuple[str, str], Candidate | None]:
    """The origin of what is kept, and that itself where it is the one that is wanted."""
    with path.open("rb") as file:
        # What is read here can run code: it must be our own.
        told = os.fstat(file.fileno())
        if told.st_uid != os.geteuid() or stat.S_IMODE(told.st_mode) & 0o077:
            raise PermissionError(errno.EACCES, "It is not this user's alone")
        origin = pickle.load(file)  # noqa: S301 -- our own, see above
        return origin, read_answer(file.read(), NO_MEMORY) if origin == wanted else None


def _origin(path: Path) -> tuple[str, str]:
    return str(path.absolute()), __version__
