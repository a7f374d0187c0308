"""One sidecar per state folder, by a lock that ends with its process, however that ends."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sidecar.errors import JournalError, StateLocked

TRIES = 20
"""Times that the lock is tried: who looks whether it is held has it for a moment."""
PAUSE = 0.005
"""Seconds between tries."""


class StateLock:
    """The lock of a state folder, held from `acquire` to `release`, or inside a `with`.

    Children do not inherit it. All calls block for file I/O.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, in a moment at most. Makes the folder, mode 0700, when it is missing.

        Raises:
            StateLocked: another process holds it.
            JournalError: the lock file cannot be used.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The file is never removed: a lock on a file without a name would protect nothing.
            fd = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"the state folder cannot be used: {error}") from error
        try:
            self._take(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Let another process have the folder. Does nothing when the lock is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def renew(self) -> None:
        """Take it anew where its file was deleted. Does nothing when the lock is not held.

        Raises:
            StateLocked: another process has taken it since.
            JournalError: the lock file cannot be used.
        """
        held = self._fd
        if held is not None and not self._is_at_its_place(held):
            self.acquire()
            os.close(held)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _is_at_its_place(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), (self._folder / "lock").stat())
        except OSError:
            return False

    def _take(self, fd: int) -> None:
        try:
            _lock(fd)
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode("ascii"), 0)
        except BlockingIOError as error:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace") or "unknown"
            raise StateLocked(
                f"another sidecar (pid {holder}) uses the state folder {self._folder};"
                " a second one needs a `state.dir` of its own in its config"
            ) from error
        except OSError as error:
            raise JournalError(
                f"the state folder {self._folder} cannot be locked: {error}"
            ) from error


def _lock(fd: int) -> None:
    """Lock a file. Raises BlockingIOError when another process keeps it locked."""
    tries = 0
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tries += 1
            if tries == TRIES:
                raise
        else:
            return
        time.sleep(PAUSE)


def holder(folder: Path) -> int | None:
    """The id of the process that holds the lock of a state folder; None when none does.

    Raises:
        OSError: the lock cannot be looked at.
    """
    try:
        fd = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        told = os.pread(fd, 20, 0)
        return int(told) if told.isdigit() else None
    finally:
        os.close(fd)
    return None
