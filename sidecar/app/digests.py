"""What files hold, as hashes: whether the content of an input of the config has changed.

Of a file that has to be private nothing counts but that it is not, as long as that is so: it cannot
be used. Its mode and owner make no other difference.
"""

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from sidecar.app.own_writes import digest
from sidecar.app.walk import files_of
from sidecar.config.system import WILDCARDS, SecretPath, is_private

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that are compared."""

OPEN = b"open"
"""Instead of a hash: a file that has to be private and is not."""

Digests = Mapping[Path, bytes | None]
"""Files with the hash of their content, None where there is no file; see `OPEN`."""
NOTHING: Digests = MappingProxyType({})


def digests(inputs: Collection[Path]) -> Digests:
    """What the files hold now. Blocks."""
    return {path: _digest(path) for path in inputs}


def is_open(found: os.stat_result) -> bool:
    """Whether others than this user can use a file, of which the system told this."""
    return not is_private(found.st_mode, found.st_uid, os.geteuid())


def _digest(path: Path) -> bytes | None:
    """The hash of a file's content, None where there is no file; see `OPEN`."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            if isinstance(path, SecretPath) and is_open(found):
                return OPEN
            with path.open("rb") as file:
                return digest(file.read(LARGEST))
    except OSError:
        if WILDCARDS & set(str(path)):
            return digest(os.fsencode("\0".join(_matches(path))))
    return None


def _matches(pattern: Path) -> list[str]:
    folder = _plain_folder(pattern)
    try:
        return [str(found) for found in files_of(folder, str(pattern.relative_to(folder)))]
    except ValueError as error:  # the same names mean the same, and so does the same problem
        return [str(error)]


def _plain_folder(pattern: Path) -> Path:
    """The last folder of a path that has no wildcard before or in it."""
    folder = Path(pattern.anchor)
    for part in pattern.parts[1:-1]:
        if WILDCARDS & set(part):
            break
        folder /= part
    return folder
