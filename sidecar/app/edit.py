"""An edit of the user's config that a command was asked for: checked first, then written at once.

The running sidecar never does this. Blocks.
"""

import difflib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.app.candidate import Candidate
from sidecar.app.check import check
from sidecar.app.system import MachineSystem, PipedSystem
from sidecar.config.document import Document
from sidecar.config.parse import parse


class CannotWrite(Exception):
    """The file cannot be edited or written; the text tells why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it is and as it would be, and what a check of that finds."""

    path: Path
    before: str
    after: str
    found: Candidate

    @property
    def diff(self) -> str:
        """What would change, as a unified diff."""
        lines = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        told = difflib.unified_diff(*lines, str(self.path), str(self.path))
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in told)

    def write(self) -> None:
        """Replace the file, which keeps its permissions; a link to it stays.

        Raises:
            CannotWrite: it cannot be written, or somebody else has changed it meanwhile.
        """
        target = self.path.resolve()
        if any(part.startswith("..") for part in target.parts):  # as the kubelet mounts it
            raise CannotWrite(f"{self.path} is of a ConfigMap or Secret: edit that instead")
        if _read(self.path) != self.before:
            raise CannotWrite(f"{self.path} has just been changed: try again")
        try:
            _replace(target, self.after)
        except OSError as error:
            hint = "; where it comes from a ConfigMap, edit that instead"
            raise CannotWrite(f"{self.path} cannot be written: {error.strerror}{hint}") from error


def prepare(
    path: Path,
    change: Callable[[str, Document], str],
    expected: Callable[[Mapping[str, object]], Mapping[str, object]],
) -> Edit:
    """What `change` makes of a config file. It must mean what `expected` makes of its data.

    Raises:
        CannotWrite: the file cannot be read, or cannot be edited without a person.
    """
    before = _read(path)
    document, _ = parse(before, str(path))
    if document is None:
        raise CannotWrite(f"{path} cannot be read; see `sidecar validate`")
    after = change(before, document)
    then, _ = parse(after, str(path))
    if then is None or then.data != expected(document.data):
        raise CannotWrite(f"{path} is laid out so that only a person can edit it safely")
    system = PipedSystem(MachineSystem().cwd / path, io.BytesIO(after.encode()))
    return Edit(path, before, after, check(path, system))


def _read(path: Path) -> str:
    try:
        return MachineSystem().read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CannotWrite(f"{path} cannot be read: {error}") from error


def _replace(target: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, name)
        told = target.stat()
        with suppress(PermissionError):  # only root can give it back to its owner
            os.chown(name, told.st_uid, told.st_gid)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
