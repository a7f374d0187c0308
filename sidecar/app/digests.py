"""What files hold, as hashes: whether the content of an input of the config has changed."""

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from sidecar.app.walk import files_of
from sidecar.app.written import digest

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that are compared."""
WILDCARDS = frozenset("*?[")
"""Characters that make a path a pattern."""

Digests = Mapping[Path, bytes | None]
"""Files with the hash of their content, None where there is no file."""
NOTHING: Digests = MappingProxyType({})


def digests(inputs: Collection[Path]) -> Digests:
    """What the files hold now. Blocks."""
    return {path: _digest(path) for path in inputs}


def _digest(path: Path) -> bytes | None:
    """The hash of a file's content, None where there is no file."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
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
