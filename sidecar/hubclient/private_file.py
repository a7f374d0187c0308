"""Files with secrets, in JSON, that belong to one user. Everything here blocks."""

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sidecar.config.system import is_private
from sidecar.errors import ChannelStopped

LARGEST_FILE = 1 << 20
"""Bytes; what is larger is something else."""


class Stamp(NamedTuple):
    """Tells one state of a file from another. A rename does not change it."""

    inode: int
    written_ns: int
    size: int
    mode: int


class FileRewritten(Exception):
    """Somebody else has written or removed a file since it was read."""


class Private(NamedTuple):
    """What a file holds, and when it was written, in seconds since the epoch."""

    text: bytes
    written_at: float
    stamp: Stamp


def stamp_of(status: os.stat_result) -> Stamp:
    """The state of a file that was looked at."""
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode)


def read_private(path: Path) -> Private:
    """Read a file that only its owner can read.

    Raises:
        ChannelStopped: it cannot be used; the text tells why, and how it is mended.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ChannelStopped(f"{path}: cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_FILE:
            raise ChannelStopped(f"{path}: is not a credentials file")
        if not is_private(status.st_mode, status.st_uid, os.geteuid()):
            raise ChannelStopped(
                f"{path}: other users of this machine have access to the secrets in it;"
                f" mend it with: chmod 600 {path}"
            )
        return Private(os.read(descriptor, LARGEST_FILE), status.st_mtime, stamp_of(status))
    finally:
        os.close(descriptor)


def parse_object(path: Path, text: bytes) -> dict[str, object]:
    """The JSON object that a file holds.

    Raises:
        ChannelStopped: it holds none.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        # The text of the error could quote what is in the file.
        raise ChannelStopped(f"{path}: is not valid JSON") from error
    if not isinstance(record, dict):
        raise ChannelStopped(f"{path}: is not a JSON object")
    return record


def replace_file(
    target: Path, content: bytes, mode: int = 0o600, *, expected: bytes | None = None
) -> Stamp:
    """Write beside the file and rename, so that a reader never sees half of it. It belongs to whom
    it belonged to, where we may give it away: a refresh by root takes nobody's credentials.

    Raises:
        FileRewritten: it does not hold what was `expected`, and stays as it is.
        OSError: it cannot be written; the file is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _give(file.fileno(), target)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            stamp = stamp_of(os.fstat(file.fileno()))
        if expected is not None:
            _expect(target, expected)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
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
