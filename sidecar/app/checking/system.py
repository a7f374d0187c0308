"""The machine, as the configuration asks for it. Blocks: use it in a thread."""

import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from sidecar.app.watching.digests import OPEN, is_open
from sidecar.app.watching.own_writes import digest
from sidecar.app.watching.walk import files_of

LARGEST_FILE = 10 * 1024 * 1024
"""Bytes of one file, so that an endless one does no harm."""
MOUNTS = Path("/proc/self/mountinfo")

_OCTAL = re.compile(rb"\\([0-7]{3})")
"""How odd characters are written there."""


class MachineSystem:
    """The files, the environment and the programs of this machine, with other variables where `env`
    gives them. `taken` are the hashes of what was read, each as it was the first time."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self.taken: dict[Path, bytes | None] = {}
        self._env = env

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables."""
        return self._env

    @property
    def home(self) -> Path:
        """The home folder; a user without one, as in some containers, gets the root."""
        try:
            return Path.home()
        except RuntimeError:
            return Path("/")

    @property
    def cwd(self) -> Path:
        """The present folder."""
        return Path.cwd()

    def read_text(self, path: Path) -> str:
        """The text of a file, UTF-8, with its line ends as they are.

        Raises OSError (also for what is no file, or is too large) or UnicodeDecodeError.
        """
        if not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe would wait for somebody to write into it.
            raise OSError(errno.EINVAL, "It is no file")
        with path.open("rb") as file:
            content = _content(file)
        self.taken.setdefault(path, digest(content))
        return content.decode("utf-8")

    def glob(self, folder: Path, pattern: str) -> list[Path]:
        """The files below a folder that match a pattern, sorted. Raises ValueError."""
        found = files_of(folder, pattern)
        if self.taken.get(folder / pattern) is None:
            self.taken[folder / pattern] = digest(os.fsencode("\0".join(map(str, found))))
        return found

    def is_dir(self, path: Path) -> bool:
        """Whether the path is a folder."""
        found = self._look(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def exists(self, path: Path) -> bool:
        """Whether the path exists."""
        return self._look(path) is not None

    def is_mount(self, path: Path) -> bool:
        """Whether something is mounted at just this path; False where that cannot be known."""
        return str(path.parent.resolve() / path.name) in _mount_points()

    def is_private(self, path: Path) -> bool | None:
        """Whether nobody else can use a file; None when it does not exist."""
        found = self._look(path)
        if found is None:
            return None
        private = not is_open(found)
        if not private and stat.S_ISREG(found.st_mode):
            self.taken.setdefault(path, OPEN)
        return private

    def _look(self, path: Path) -> os.stat_result | None:
        """What the system knows of a path; that there is nothing is noted as what was found."""
        if (found := _stat(path)) is None:
            self.taken.setdefault(path, None)
        return found

    def which(self, command: str, folder: Path) -> str | None:
        """Where a command is found, None when it is not. One with a slash is relative to folder.

        A name is looked up in PATH, then beside the Python that runs this: there the programs
        of an environment lie that nobody has activated, `sidecar` itself among them.
        """
        if "/" in command:
            found = shutil.which(str(folder / command))
        else:
            found = shutil.which(command) or shutil.which(command, path=_beside())
        if found is None:
            for place in self.places(command, folder):
                self._look(place)
        return found

    def places(self, command: str, folder: Path) -> Sequence[Path]:
        """Where a command is looked for."""
        if "/" in command:
            return [folder / command]
        return [Path(one, command).absolute() for one in (*os.get_exec_path(), _beside())]


class PipedSystem(MachineSystem):
    """This machine, with what a stream gives as one more file."""

    def __init__(self, path: Path, stream: BinaryIO, env: Mapping[str, str] = os.environ) -> None:
        super().__init__(env)
        self._path = path
        self._stream = stream

    def read_text(self, path: Path) -> str:
        """The text of a file, as that of any machine."""
        if path == self._path:
            return _content(self._stream).decode("utf-8")
        return super().read_text(path)


def _content(file: BinaryIO) -> bytes:
    content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"It is larger than {LARGEST_FILE >> 20} MiB")
    return content


def _mount_points() -> set[str]:
    """Where something is mounted, as Linux tells it; nothing on other systems.

    Devices do not tell: a file that is mounted from its own file system has that of its folder.
    https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html, field 5
    """
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return set()
    found = (line.split(b" ")[4] for line in lines)
    return {os.fsdecode(_OCTAL.sub(lambda code: bytes([int(code[1], 8)]), one)) for one in found}


def _beside() -> str:
    """The folder of the Python that runs this."""
    return str(Path(sys.executable).parent)


def _stat(path: Path) -> os.stat_result | None:
    """What the system knows of a path; None also for one that it refuses, as a too long one."""
    try:
        return path.stat()
    except OSError:
        return None
