"""What files hold, as hashes: whether the content of an input of the config has changed.

Of a file that has to be private nothing counts but that it is not, as long as that is so: it cannot
be used. Its mode and owner make no other difference.
"""

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from sidecar.app.watching.own_writes import digest
from sidecar.app.watching.walk import files_of
from sidecar.config.system import (
    AWAITED,
    WILDCARDS,
    FolderPath,
    ProgramPath,
    SecretPath,
    is_private,
)

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that are compared."""
_MOST_ARE = 64 * 1024
"""Bytes that most files have at most: to make room for LARGEST takes longer than to read them."""

OPEN = b"open"
"""Instead of a hash: a file that has to be private and is not."""
_THERE = b"there"
"""The same of what has to be a folder, or a program, and is one."""

Digests = Mapping[Path, bytes | None]
"""Files with the hash of their content, None where there is no file; see `OPEN`."""
NOTHING: Digests = MappingProxyType({})


@dataclass(slots=True)
class Look:
    """What files hold, in `held`; and when those that are there were last changed, in `times`, in
    nanoseconds: of each file both are of the same moment."""

    held: dict[Path, bytes | None] = field(default_factory=dict)
    times: dict[Path, int] = field(default_factory=dict)

    def touched_since(self, before: "Look") -> bool:
        """Whether a file that holds what it held before was changed since: by a `touch`, or because
        somebody wrote the same again."""
        return any(
            before.times.get(path, at) != at and before.held[path] == self.held[path]
            for path, at in self.times.items()
        )


def look(inputs: Collection[Path]) -> Look:
    """Look at files. Blocks."""
    found = Look()
    for path in inputs:
        found.held[path], at = _found(path)
        if at is not None:
            found.times[path] = at
    return found


def digests(inputs: Collection[Path]) -> Digests:
    """What the files hold now. Blocks."""
    return look(inputs).held


def is_open(found: os.stat_result) -> bool:
    """Whether others than this user can use a file, of which the system told this."""
    return not is_private(found.st_mode, found.st_uid, os.geteuid())


def _is_there(path: Path, found: os.stat_result) -> bool:
    """Whether there is what has to be at a path, of which the system told this."""
    match path:
        case FolderPath():
            return stat.S_ISDIR(found.st_mode)
        case ProgramPath():
            return stat.S_ISREG(found.st_mode) and os.access(path, os.X_OK)
    return False


def _found(path: Path) -> tuple[bytes | None, int | None]:
    """The hash of a file's content and when it was changed; None where there is no file; see
    `OPEN`."""
    try:
        found = path.stat()
        if _is_there(path, found):
            return _THERE, None
        if stat.S_ISREG(found.st_mode):
            if isinstance(path, SecretPath) and is_open(found):
                return OPEN, found.st_mtime_ns
            with path.open("rb") as file:
                content = file.read(_MOST_ARE)
                if len(content) == _MOST_ARE:
                    content += file.read(LARGEST - _MOST_ARE)
                held = digest(content)
                # Of this very file: the path may name another one by now.
                return held, os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        if WILDCARDS & set(str(path)) and not isinstance(path, AWAITED):
            return digest(os.fsencode("\0".join(_matches(path)))), None
    return None, None


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
