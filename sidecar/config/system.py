"""What the configuration asks of the machine. The pure part sees it through this protocol only."""

import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PosixPath
from typing import Protocol

WILDCARDS = frozenset("*?[")
"""Characters that make a path a pattern."""


class SecretPath(PosixPath):
    """The path of a file that has to be private, equal to any other path of it. Where such a file
    is watched, it counts whether it is private, too."""


class FolderPath(PosixPath):
    """The path of what has to be a folder, equal to any other path of it. Where that is watched, it
    counts whether it is one."""


class ProgramPath(PosixPath):
    """A path where a program is looked for, equal to any other path of it. Where that is watched,
    it counts whether one is there that this user can run."""


AWAITED = (FolderPath, ProgramPath)
"""Paths at which something is missing."""


def is_private(mode: int, owner: int, user: int) -> bool:
    """Whether nobody else can use a file with these permission bits and this owner.

    Of a file that is not the user's own, the group may read: it is how Kubernetes gives a Secret
    to a container that does not run as root (`fsGroup`), and the user cannot change it.
    """
    others = stat.S_IRWXO | (stat.S_IRWXG if owner == user else stat.S_IWGRP | stat.S_IXGRP)
    return not mode & others


def made_private(path: Path, name: str, is_dir: Callable[[Path], bool]) -> str:
    """How to make a file private, called `name` where it is told.

    In a pod nobody can change the mode of a Secret's file. It is in a folder that `..data`, where
    the Secret is mounted, leads to.
    """
    if any(is_dir(folder / "..data") for folder in path.parents):
        return "mount the Secret with `defaultMode: 0440`, in a pod with `fsGroup`"
    return f"chmod 600 {name}"


class System(Protocol):
    """The files, the environment and the programs of one machine."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables."""

    @property
    def home(self) -> Path:
        """The home folder, for `~`."""

    @property
    def cwd(self) -> Path:
        """The folder where relative names given by a person start."""

    def read_text(self, path: Path) -> str:
        """The text of a file, UTF-8, with its line ends as they are.

        Raises OSError (also for what is no file, or is too large) or UnicodeDecodeError.
        """

    def glob(self, folder: Path, pattern: str) -> list[Path]:
        """The files below a folder that match a pattern, sorted.

        Raises ValueError where it is none, or leads through too much; the text tells.
        """

    def is_dir(self, path: Path) -> bool:
        """Whether the path is a folder."""

    def exists(self, path: Path) -> bool:
        """Whether the path exists."""

    def is_mount(self, path: Path) -> bool:
        """Whether something is mounted at just this path."""

    def is_private(self, path: Path) -> bool | None:
        """Whether nobody else can use a file; None when it does not exist."""

    def which(self, command: str, folder: Path) -> str | None:
        """Where a command is found, None when it is not. One with a slash is relative to folder."""

    def places(self, command: str, folder: Path) -> Sequence[Path]:
        """Where a command is looked for."""


def usual_state_dir(system: System) -> Path:
    """The state folder where a config names none."""
    told = Path(system.env.get("XDG_STATE_HOME", ""))
    base = told if told.is_absolute() else system.home / ".local/state"
    return base / "sidecar"
