"""Files that are replaced as a whole: written beside, flushed to the disk, renamed.

Whoever reads one sees what it held before or what it holds now, never half of it, also after a
crash. Everything here blocks.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple


class Stamp(NamedTuple):
    """Tells one state of a file from another. A rename does not change it."""

    inode: int
    written_ns: int
    size: int
    mode: int


class FileRewritten(Exception):
    """Somebody else has written or removed a file since it was read."""


def stamp_of(status: os.stat_result) -> Stamp:
    """The state of a file that was looked at."""
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode)


def replace_file(
    target: Path, content: bytes, mode: int = 0o600, *, expected: bytes | None = None
) -> Stamp:
    """Let a file hold this content. It belongs to whom it belonged to, where we may give it away: a
    refresh by root takes nobody's credentials.

    Raises:
        FileRewritten: it does not hold what was `expected`, and stays as it is.
        OSError: it cannot be written; the file is as it was.
    """

    def fill(file: BinaryIO) -> None:
        _give(file.fileno(), target)
        os.fchmod(file.fileno(), mode)
        file.write(content)

    return replace_by(target, fill, expected=expected)


def replace_by(
    target: Path, fill: Callable[[BinaryIO], object], *, expected: bytes | None = None
) -> Stamp:
    """Let a file hold what `fill` writes. It is new: of the user who runs this, mode 0600.

    Raises:
        FileRewritten, OSError: as `replace_file` does; and what `fill` raises.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:  # 0600 by mkstemp
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            stamp = stamp_of(os.fstat(file.fileno()))
        if expected is not None:
            _expect(target, expected)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):  # what went wrong before it matters more
            Path(name).unlink()
        raise
    return stamp


def _expect(target: Path, content: bytes) -> None:
    if not target.exists() or target.read_bytes() != content:
        raise FileRewritten


def _give(descriptor: int, target: Path) -> None:
    """Let a new file belong to the owner and the group of what it is to replace."""
    with suppress(OSError):  # there is none, or we may not: what it holds matters more
        former = target.lstat()
        os.fchown(descriptor, former.st_uid, former.st_gid)
