"""The files that a pattern with wildcards names, with a bound on what is walked for it.

`Path.glob` has no bound: a pattern such as `/**/*.yaml` would walk the whole machine at each look.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice, pairwise
from pathlib import Path

from sidecar.config.system import WILDCARDS

MOST_ENTRIES = 10_000
"""Files and folders that are looked at for one pattern: some hundredths of a second."""
MOST_FOUND = 1_000
"""Files that one pattern names."""
MOST_PARTS = 100
"""Names and wildcards between the slashes of a pattern."""

_ANY_DEPTH = "**"


def files_of(folder: Path, pattern: str) -> list[Path]:
    """What matches below a folder, sorted. `**` is any number of folders, links to some excepted.
    As in a shell, a wildcard stands for no dot at the begin of a name: editors, file systems and
    Kubernetes put what is not meant for others there. Blocks.

    Raises:
        ValueError: it is no pattern, or leads through too much; the text is for people.
    """
    given = Path(pattern).parts
    if any(_ANY_DEPTH in part and part != _ANY_DEPTH for part in given):
        raise ValueError("`**` stands alone between slashes")
    # Twice in a row it means the same, and would be walked twice.
    parts = tuple(part for part, then in pairwise((*given, "")) if not part == then == _ANY_DEPTH)
    if len(parts) > MOST_PARTS:
        raise ValueError(f"this has more than {MOST_PARTS} parts between slashes")
    walk = _Walk()
    found: set[Path] = set()
    for path in walk.below(folder, parts):
        found.add(path)
        if len(found) > MOST_FOUND:
            raise ValueError(f"this names more than {MOST_FOUND} files")
    return sorted(found)


@dataclass(slots=True)
class _Walk:
    """One walk; `looked_at` counts the entries."""

    looked_at: int = 0

    def below(self, folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        """What the parts of a pattern name below a folder; some of it may come twice."""
        if not parts:
            yield folder
            return
        part, rest = parts[0], parts[1:]
        if part == _ANY_DEPTH:
            for one in self._folders(folder):
                yield from self.below(one, rest)
        elif not WILDCARDS & set(part):
            if os.path.exists(folder / part):  # noqa: PTH110 -- of what may not be seen, Path raises
                yield from self.below(folder / part, rest)
        else:
            for entry in self._entries(folder):
                if _names(part, entry.name) and (not rest or _is_folder(entry)):
                    yield from self.below(folder / entry.name, rest)

    def _folders(self, top: Path) -> Iterator[Path]:
        """A folder and all below it."""
        todo = [top]
        while todo:
            folder = todo.pop()
            yield folder
            todo += [
                folder / entry.name
                for entry in self._entries(folder)
                if _names("*", entry.name) and not entry.is_symlink() and _is_folder(entry)
            ]

    def _entries(self, folder: Path) -> list["os.DirEntry[str]"]:
        """What a folder holds; nothing where it cannot be read."""
        left = MOST_ENTRIES - self.looked_at
        try:
            with os.scandir(folder) as found:
                entries = list(islice(found, left + 1))
        except OSError:
            return []
        self.looked_at += len(entries)
        if len(entries) > left:
            raise ValueError(f"more than {MOST_ENTRIES} files and folders are in its way")
        return entries


def _names(part: str, name: str) -> bool:
    """Whether a part of a pattern stands for a name."""
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):  # a link to what may not be seen
        return entry.is_dir()
    return False
