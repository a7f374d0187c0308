"""Files with secrets, in JSON, that belong to one user. Everything here blocks."""

import json
import os
import stat
import tempfile
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


def replace_file(target: Path, content: bytes, mode: int = 0o600) -> Stamp:
    """Write beside the file and rename, so that a reader never sees half of it.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
            stamp = stamp_of(os.fstat(file.fileno()))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return stamp
