"""The file of one working memory, which any number of processes may change. Everything blocks.

Whoever changes it holds a lock beside it, reads, and puts a new file in its place: a reader needs
no lock, and no change is lost.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from sidecar import metrics
from sidecar.atomic_file import replace_by
from sidecar.codecs.hub.botcord import is_safe_id
from sidecar.core.memory import Memory, cleared, decode, encode
from sidecar.errors import MemoryUnavailable

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds until a lock that somebody holds is given up: holders need milliseconds."""
LARGEST_FILE = 1 << 20
"""Bytes; more cannot come of the limits."""

_AGAIN = 0.005
"""Seconds between tries to get the lock."""


class MemoryFile:
    """The working memory of an account in a state folder.

    `old` are files that earlier programs kept it in: the first one that is there is taken over
    when there is none of ours, and is left as it is.
    """

    def __init__(self, state: Path, account: str, old: Sequence[Path] = ()) -> None:
        self.path = file_path(state, account)
        self._lock = self.path.with_suffix(".lock")
        self._old = old

    def read(self) -> Memory | None:
        """The memory; None when nobody has written one.

        Raises:
            MemoryUnavailable: the file cannot be read, or a newer sidecar wrote it.
        """
        with _told(self.path):
            try:
                return _load(self.path)
            except FileNotFoundError:
                if not any(map(os.path.exists, self._old)):
                    return None
            except ValueError:
                pass  # it is set aside, under the lock
            with self._locked():
                return self._mended()

    def peek(self) -> Memory | None:
        """The memory as `read` would find it, for who changes nothing.

        Raises:
            MemoryUnavailable: as `read` does.
        """
        for path in (self.path, *self._old):
            with _told(path):
                try:
                    return _load(path)
                except FileNotFoundError:
                    continue
                except ValueError:
                    if path == self.path:
                        return Memory()
        return None

    def change(self, edit: Callable[[Memory], Memory]) -> Memory:
        """Make of the present memory, empty where there is none, another one; the result.

        Raises:
            MemoryUnavailable: the file cannot be read or written.
            MemoryRefused: as `edit` raises it; nothing has changed.
        """
        with _told(self.path), self._locked():
            after = edit(self._mended() or Memory())
            self._write(after)
            return after

    def delete(self) -> bool:
        """Delete the memory; whether there was one. In place of an old one stays an empty one, so
        that it is not taken over once more.

        Raises:
            MemoryUnavailable: the file cannot be written or deleted.
        """
        with _told(self.path):
            old = any(map(os.path.exists, self._old))
            if not old and not self.path.exists():
                return False
            with self._locked():
                if old:
                    self._write(cleared(time.time()))
                else:
                    self.path.unlink(missing_ok=True)
            return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.path.parent
        for made in (folder.parent, folder):  # `parents` would not give the first one this mode
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It is never removed: a lock on a file without a name would protect nothing.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def _mended(self) -> Memory | None:
        """The memory, after what is damaged is set aside and what is old is taken over."""
        try:
            return _load(self.path)
        except FileNotFoundError:
            found = self._taken_over()
        except ValueError as error:
            metrics.count("memory_damaged_total")
            aside = _unused(self.path)
            self.path.rename(aside)
            log.warning("%s was damaged (%s): it is %s now", self.path, error, aside.name)
            found = Memory()  # written, so that nothing older takes its place
        if found is not None:
            self._write(found)
        return found

    def _taken_over(self) -> Memory | None:
        for path in self._old:
            try:
                found = _load(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, MemoryUnavailable) as error:
                metrics.count("memory_damaged_total")
                log.warning("%s cannot be taken over: %s", path, error)
                continue
            log.info("%s is taken over as %s", path, self.path)
            return found
        return None

    def _write(self, memory: Memory) -> None:
        content = encode(memory)
        _ = replace_by(self.path, lambda file: file.write(content))


def memory_file(state: Path, account: str) -> MemoryFile:
    """The memory of an account; one that the BotCord daemon kept in the home folder is taken
    over."""
    return MemoryFile(state, account, _daemon_files(account))


def file_path(state: Path, account: str) -> Path:
    """Where the memory of an account is."""
    return state / "memory" / f"{file_name(account)}.json"


def file_name(account: str) -> str:
    """A name for the files of an account, whatever its id is: no other account has it."""
    name = quote(account, safe="", errors="surrogatepass")
    if len(name) > 150:
        return f"{name[:100]}~{sha256(name.encode()).hexdigest()[:32]}"
    return name


def _daemon_files(account: str) -> Sequence[Path]:
    try:
        folder = Path.home() / ".botcord"
    except RuntimeError:  # a user without a home folder, as in some containers
        return ()
    if not is_safe_id(account):
        return ()
    places = (folder / "agents" / account / "state", folder / "daemon" / "memory" / account)
    return [place / "working-memory.json" for place in places]


def _load(path: Path) -> Memory:
    try:
        return decode(_content(path))
    except MemoryUnavailable as error:
        raise MemoryUnavailable(f"{path}: {error}") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MiB")
    return content


def _take(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise MemoryUnavailable(
                    f"{path}: another process has been changing it for {PATIENCE:g} s"
                ) from error
            time.sleep(_AGAIN)
        else:
            return


def _unused(path: Path) -> Path:
    """A name beside a file that nothing has; asked for under the lock."""
    number = 1
    while (found := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return found


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells failures of the system as failures of the memory."""
    try:
        yield
    except OSError as error:
        raise MemoryUnavailable(f"{error.filename or path}: {error.strerror or error}") from error
