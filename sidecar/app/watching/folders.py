"""The folders in which something happens when the content of a file changes."""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sidecar.config.system import AWAITED, WILDCARDS

Folders = frozenset[tuple[Path, int, int]]
"""Folders, each with what changes when it is made anew: the device, and its number there."""
_MOST_LINKS = 40
"""Links that lead on to each other; the kernel follows as many."""


def folders_of(inputs: Collection[Path]) -> Folders:
    """The folders to watch. Blocks.

    Raises FileNotFoundError when there is none.
    """
    watched = set()
    for path in _ways(inputs):
        with suppress(OSError):  # of a path that the system refuses, its content is looked at
            for folder in _on_the_way(path):
                if isinstance(path, AWAITED) and not os.access(folder, os.R_OK):
                    continue  # a watch would fail, for all: what may come there is looked for
                told = folder.stat()
                watched.add((folder, told.st_dev, told.st_ino))
    if not watched:
        raise FileNotFoundError("none of the folders exists")
    return frozenset(watched)


def _ways(inputs: Collection[Path]) -> Collection[Path]:
    """One of those files with the same way: that lie side by side, and are no links. There are many
    templates in a folder, and with each event its way is looked at."""
    found: dict[tuple[bool, Path], Path] = {}
    for path in inputs:
        alone = isinstance(path, AWAITED) or path.name == ".."
        alone = alone or os.path.islink(path)  # noqa: PTH114 -- `Path.is_symlink` may raise
        found.setdefault((alone, path if alone else path.parent), path)
    return found.values()


def _on_the_way(path: Path) -> set[Path]:
    """The folder of a file and of each link that leads to it, as far as they exist."""
    found: set[Path] = set()
    current, rest = Path(path.anchor), list(path.parts[1:])
    links = 0
    while rest and links < _MOST_LINKS:
        part = rest.pop(0)
        if part == "..":
            current = current.parent
            continue
        step = current / part
        if WILDCARDS & set(part) and not step.exists():
            rest = []
        if step.is_symlink():
            found.add(current)
            links += 1
            target = step.readlink()
            rest = [*target.parts[target.is_absolute() :], *rest]
            current = Path(target.anchor) if target.is_absolute() else current
        elif rest and not step.is_dir():
            rest = []
        elif rest:
            current = step
    return found | {current}
