"""Files with secrets, in JSON, that belong to one user. Everything here blocks."""

import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

from sidecar.atomic_file import Stamp, stamp_of
from sidecar.config.system import is_private, made_private
from sidecar.errors import ChannelStopped

LARGEST_FILE = 1 << 20
"""Bytes; what is larger is something else."""


class Private(NamedTuple):
    """What a file holds, and when it was written, in seconds since the epoch."""

    text: bytes
    written_at: float
    stamp: Stamp


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
                f" mend it with: {made_private(path, str(path), Path.is_dir)}"
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
