"""The files that an ACP agent reads and writes through us: those of the turn's folder alone."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from sidecar.codecs.acp_requests import MayEdit, ReadFile, Wish, WriteFile
from sidecar.model import Trust

LARGEST = 4 << 20
"""Bytes of the largest file that is read: an answer is one line of the protocol."""

_SETTINGS = frozenset({"opencode.json", "opencode.jsonc"})
"""Files without a dot in front that name programs which an agent starts: those of OpenCode."""
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """The folder of one turn, with what the turn may do in it. All of it blocks.

    A turn below `owner` writes to no name with a dot in front, nor to the settings of OpenCode:
    there lie settings, hooks and servers of agents and of git, and what stands in them runs at the
    next turn of anybody.
    """

    def __init__(self, root: Path, trust: Trust) -> None:
        self._root = root
        self._trust = trust

    def fulfil(self, wish: Wish) -> Mapping[str, object]:
        """The result of a wish.

        Raises:
            PermissionError: the turn may not do it.
            OSError: it cannot be done.
        """
        match wish:
            case MayEdit():
                return wish.allowed if all(map(self._may_write, wish.paths)) else wish.rejected
            case ReadFile():
                return {"content": self._read(wish)}
            case WriteFile():
                self._write(wish)
                return {}

    def _read(self, wish: ReadFile) -> str:
        descriptor = os.open(self._inside(wish.path), os.O_RDONLY | _OPEN)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_devices(descriptor)
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise OSError(f"the file is larger than {LARGEST} bytes")
        text = data.decode("utf-8", "replace")
        if wish.first == 1 and wish.most is None:
            return text
        lines = text.split("\n")[wish.first - 1 :]
        return "\n".join(lines if wish.most is None else lines[: max(wish.most, 0)])

    def _write(self, wish: WriteFile) -> None:
        if not self._may_write(wish.path):
            raise PermissionError("this turn may not write there")
        path = self._inside(wish.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            _refuse_devices(descriptor)
            file.write(wish.text)

    def _may_write(self, path: str) -> bool:
        try:
            real = self._inside(path)
        except PermissionError:
            return False
        if self._trust == "owner":
            return True
        root = Path(os.path.realpath(self._root))
        given = os.path.relpath(os.path.normpath(path), self._root)
        parts = (*real.relative_to(root).parts, *Path(given).parts)
        return not any(map(_is_settings, parts))

    def _inside(self, path: str) -> Path:
        """Where a path leads to, all links followed. Raises PermissionError for other places."""
        if not Path(path).is_absolute() or "\0" in path:
            raise PermissionError("the path is not absolute")
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(os.path.realpath(self._root)):
            raise PermissionError("the path is outside of the folder of this turn")
        return real


def _is_settings(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name.lower() in _SETTINGS


def _refuse_devices(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError("it is no regular file")
