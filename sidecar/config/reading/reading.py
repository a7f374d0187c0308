"""One load in progress: the machine, the files that were read, and the problems found so far."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from posixpath import normpath

from sidecar.config.problems import Level, Position, Problem
from sidecar.config.reading.masking import masked_unread
from sidecar.config.reading.quick import QuickRoutes
from sidecar.config.schemas.mistakes import MOST
from sidecar.config.system import FolderPath, System
from sidecar.config.text.document import Document
from sidecar.config.text.items import parse

MAX_TEXT = 10 * 1024 * 1024
"""Characters of one file."""
At = Callable[[], Position]
"""Finds a position, which may take a while."""
_BOM = "\ufeff"


@dataclass(slots=True)
class Reading:
    """What the steps of a load share.

    `sources` are the texts by the name that positions bear, for excerpts. `inputs` are all files
    whose content matters; one with a wildcard stands for the files that match it. `quick` reads
    documents, without it the YAML parser does. `managed` is the name of the file with what the
    control plane set, empty before it was looked for. Problems of which `leave_out` says so are not
    noted.
    """

    system: System
    quick: QuickRoutes | None = None
    leave_out: Callable[[Problem], bool] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    inputs: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    managed: str = ""
    _folders: dict[str, Path] = field(default_factory=dict)
    _texts: dict[Path, str] = field(default_factory=dict)
    _paths: dict[tuple[Path, str], Path] = field(default_factory=dict)
    _has_folder: dict[str, bool] = field(default_factory=dict)
    _noted: Counter[Level] = field(default_factory=Counter)
    _lines: dict[str, list[str]] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """How a file is called: relative to the present folder where it lies in that."""
        here = self.system.cwd
        inside = here != Path(here.anchor) and path.is_relative_to(here)
        return str(path.relative_to(here)) if inside else str(path)

    def folder(self, file: str) -> Path:
        """The folder of a file that was opened, where relative paths in it start."""
        return self._folders[file]

    def absolute(self, text: str, file: str) -> Path:
        """The path that a text in a file means: `~` is the home folder, `..` goes up in names."""
        folder = self.folder(file)
        if (folder, text) in self._paths:
            return self._paths[folder, text]
        in_home = text == "~" or text.startswith("~/")
        path = self.system.home / text[2:] if in_home else folder / text
        found = self._paths[folder, text] = Path(normpath(path))
        return found

    def has_folder(self, path: str) -> bool:
        """Whether there is a folder. Each is looked at once, however many routes name it; one that
        is missing is an input."""
        if path not in self._has_folder:
            self._has_folder[path] = self.system.is_dir(Path(path))
            if not self._has_folder[path]:
                self.inputs.add(FolderPath(path))
        return self._has_folder[path]

    def open(
        self, path: Path, at: At | None = None, shown: str = "", folder: Path | None = None
    ) -> str | None:
        """Read a file that problems can point into. None, with a problem, when that fails. Relative
        paths in it start at its own folder, or at the one that is given."""
        name = self.name(path)
        self._folders[name] = folder or path.parent
        text = self.read(path, at, shown)
        self.sources[name] = text or ""
        self._lines.pop(name, None)
        return text

    def parse(self, text: str, path: Path) -> Document | None:
        """The document that the text of a file holds; None, with problems, where it holds none."""
        name = self.name(path)
        if self.quick is None:
            document, problems = parse(text, name)
        else:
            document, problems = self.quick.parse(text, name)
        self.problems += problems
        if document is None:
            self.sources[name] = masked_unread(text)
        return document

    def lines(self, file: str) -> list[str]:
        """The lines of a file that was opened, split once however many values stand in it."""
        if file not in self._lines:
            self._lines[file] = self.sources[file].splitlines()
        return self._lines[file]

    def read(
        self, path: Path, at: At | None = None, shown: str = "", within: str = ""
    ) -> str | None:
        """The text of a file; None, with a problem, when there is none.

        The problem is put at the place `at` that names the file, or without it at the file itself.
        `shown` stands for a path that must not be shown, `within` is the way to the value that
        names the file.
        """
        if path in self._texts:
            return self._texts[path]
        self.inputs.add(path)
        name = self.name(path)
        place, shown = at or (lambda: Position(name)), shown or name
        try:
            text = self.system.read_text(path)
        except OSError as error:
            self.problem("unreadable", f"{shown} cannot be read: {_reason(error)}", place, within)
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line = before.count(b"\n") + 1
            if at is None:
                column = error.start - before.rfind(b"\n")
                place = partial(Position, name, line, column)
            self.problem("encoding", f"{shown} is not UTF-8, line {line}", place, within)
        else:
            wrong = _damage(text)
            if not wrong:
                self._texts[path] = text
                return text
            self.problem("encoding", f"{shown} {wrong}", place, within)
        return None

    def find(self, fragment: str, near: Position) -> Position:
        """Where a fragment of a value is written; the value itself where it is not found.

        A value of several lines is searched to the end of its file.
        """
        lines = self.lines(near.file)[near.line - 1 :]
        for offset, line in enumerate(lines):
            column = line.find(fragment, near.column - 1 if offset == 0 else 0)
            if column >= 0:
                return Position(near.file, near.line + offset, column + 1, len(fragment))
        return near

    def problem(self, code: str, message: str, at: At, path: str = "") -> None:
        """Note an error."""
        self.note("error", lambda: Problem(code, message, at(), path))

    def note(self, level: Level, find: Callable[[], Problem]) -> None:
        """Note a problem of a kind that there may be very many of: the first `MOST` of a level."""
        if self.leave_out is not None and self.leave_out(find()):
            return
        self._noted[level] += 1
        if self._noted[level] <= MOST:
            self.problems.append(find())

    def begin_again(self, problems: Iterable[Problem]) -> None:
        """Forget all problems but these."""
        self.problems = list(problems)
        self._noted.clear()

    def rest(self, last: Position) -> Iterator[Problem]:
        """What tells how many problems were noted and not kept; `last` is where it points."""
        for level, count in self._noted.items():
            if count > MOST:
                yield _more(count - MOST, last, level)


def first(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The first `MOST` errors of a kind, and one that tells how many more there are."""
    told, more = tuple(problems[:MOST]), len(problems) - MOST
    return (*told, _more(more, told[-1].position, "error")) if more > 0 else told


def _more(count: int, last: Position, level: Level) -> Problem:
    return Problem("more", f"{count} more like these", last, level=level)


def _damage(text: str) -> str:
    if text.startswith(_BOM):
        return "begins with a byte order mark; save it as UTF-8 without one"
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return f"holds the character NUL, line {line}"
    return f"is larger than {MAX_TEXT >> 20} MiB" if len(text) > MAX_TEXT else ""


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
