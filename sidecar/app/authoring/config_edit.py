"""An edit of the user's config that a command was asked for: checked first, then written at once.

The running sidecar never does this. Blocks.
"""

import difflib
import io
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar import plugins
from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.checking.system import MachineSystem, PipedSystem
from sidecar.atomic_file import replace_file
from sidecar.config.load import load
from sidecar.config.rewriting.route_text import index_of
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.document import Document
from sidecar.config.text.parse import parse


class CannotRead(Exception):
    """The file cannot be read, or is no config; the text tells why."""


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
            CannotRead: it has become unreadable.
            CannotWrite: it cannot be written, or somebody else has changed it meanwhile.
        """
        target = self.path.resolve()
        if any(part.startswith("..") for part in target.parts):  # as the kubelet mounts it
            raise CannotWrite(f"{self.path} is of a ConfigMap or Secret: edit that instead")
        if _read(self.path) != self.before:
            raise CannotWrite(f"{self.path} has just been changed: try again")
        try:
            mode = stat.S_IMODE(target.stat().st_mode)
            _ = replace_file(target, self.after.encode("utf-8"), mode)
        except OSError as error:
            hint = "; where it comes from a ConfigMap, edit that instead"
            raise CannotWrite(f"{self.path} cannot be written: {error.strerror}{hint}") from error


def file_of(config: Path, route: str) -> Path:
    """The file in which a route of a config stands: its own, or one that it includes.

    Raises:
        CannotRead: nothing can be understood of the config.
        NotEditable: the config has no such route.
        CannotWrite: it is not for people to edit.
    """
    found = load(config, MachineSystem(), Schema(), types=plugins).source
    if found is None:
        raise CannotRead(f"{config} cannot be read; see `sidecar validate`")
    index = index_of(found.document.data, route, config)
    file = found.document.value(("routes", index)).file
    if file == found.reading.managed:
        raise CannotWrite(f"route {route!r} was set by the control plane: change it at the Hub")
    return Path(file)


def prepare(
    config: Path,
    path: Path,
    change: Callable[[str, Document], str],
    expected: Callable[[Mapping[str, object]], Mapping[str, object]],
) -> Edit:
    """What `change` makes of the file `path`, which is a config or belongs to it. It must mean what
    `expected` makes of its data.

    Raises:
        CannotRead: the file cannot be read, or is no YAML.
        CannotWrite: it cannot be edited without a person.
    """
    before = _read(path)
    document, _ = parse(before, str(path))
    if document is None:
        raise CannotRead(f"{path} cannot be read; see `sidecar validate`")
    after = change(before, document)
    then, _ = parse(after, str(path))
    if then is None or then.data != expected(document.data):
        raise CannotWrite(f"{path} is laid out so that only a person can edit it safely")
    system = PipedSystem(MachineSystem().cwd / path, io.BytesIO(after.encode()))
    found = check(config, system)
    if after not in found.sources.values():  # it went by another name
        raise CannotWrite(f"{path} is included in a way that only a person can edit safely")
    return Edit(path, before, after, found)


def _read(path: Path) -> str:
    try:
        return MachineSystem().read_text(path)
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotRead(f"{path} is no text in UTF-8") from error
