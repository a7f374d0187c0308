"""A config of several files: mappings merge, routes and tests are appended in order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.reading.interpolate import Interpolation
from sidecar.config.reading.reading import Reading
from sidecar.config.schemas.mistakes import HIDDEN
from sidecar.config.system import WILDCARDS
from sidecar.config.text.document import Document, Marks

MAX_DEPTH = 10
"""Files that include each other."""
MAX_FILES = 1_000
"""Files that are included in all."""

_MOUNTED = (
    "mounted-file",
    "this file is a mount of its own, as with subPath: changes of its source may never reach it",
)
_OUTSIDE = "if that is meant, write its absolute path, or one that begins with ~/"
_WHOLE_FOLDER = "mount the folder that holds it, without subPath"
_NARROWER = "name a folder that holds little else, such as routes.d/*.yaml"
_APPENDED: tuple[Place, ...] = (("routes",), ("tests",))


def gather(
    path: Path, reading: Reading, interpolation: Interpolation, place: Path
) -> Document | None:
    """The document of a file and of all that it includes; None when the file holds none. It is read
    as if it were at `place`."""
    return _Gathering(reading, interpolation).gather(path, place)


@dataclass(slots=True)
class _Gathering:
    reading: Reading
    interpolation: Interpolation
    data: dict[str, object] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    seen: dict[Path, Position] = field(default_factory=dict)

    def gather(self, path: Path, place: Path) -> Document | None:
        found = self._parse(path, None, folder=place.parent)
        if found is None:
            return None
        self.data = found.data
        self.marks = Marks(
            dict(found.keys), dict(found.values), set(found.blocks), dict(found.digests)
        )
        self._follow(found, (place,))
        marks = self.marks
        return Document(self.data, marks.keys, marks.values, frozenset(marks.blocks), marks.digests)

    def _parse(
        self, path: Path, at: Position | None, shown: str = "", folder: Path | None = None
    ) -> Document | None:
        text = self.reading.open(path, None if at is None else partial(_at, at), shown, folder)
        if text is None:
            return None
        name = self.reading.name(path)
        if self.reading.system.is_mount(path):
            found = Problem(*_MOUNTED, Position(name), hint=_WHOLE_FOLDER, level="warning")
            self.reading.problems.append(found)
        return self.reading.parse(text, path)

    def _follow(self, document: Document, chain: tuple[Path, ...]) -> None:
        """Add what a document includes. `chain` are the files that led to it, itself included."""
        listed = document.data.get("include")
        for index, pattern in enumerate(listed if isinstance(listed, list) else []):
            place: Place = ("include", index)
            if isinstance(pattern, str) and pattern:
                at = document.value(place)
                text = self.interpolation.complete(pattern, place, at.file, partial(_at, at))
                for path in self._matches(text, at, chain):
                    shown = HIDDEN if "${" in pattern else self.reading.name(path)
                    self._include(path, shown, at, chain)

    def _matches(self, pattern: str, at: Position, chain: tuple[Path, ...]) -> Iterator[Path]:
        """The files that a pattern names. A wildcard does not name the files that led to it."""
        path = self.reading.absolute(pattern, at.file)
        if not pattern.startswith(("/", "~")) and not path.is_relative_to(chain[0].parent):
            message = "this leads out of the folder of the config"
            self._problem("include-outside", message, at, hint=_OUTSIDE)
            return
        wild = [index for index, part in enumerate(path.parts) if WILDCARDS & set(part)]
        if not wild or self.reading.system.exists(path):
            yield path
            return
        self.reading.inputs.add(path)
        folder = Path(*path.parts[: wild[0]])
        try:
            found = self.reading.system.glob(folder, str(path.relative_to(folder)))
        except ValueError as error:
            self._problem("bad-pattern", str(error), at, hint=_NARROWER)
            return
        for one in found:
            if one not in chain and not self.reading.system.is_dir(one):
                yield one

    def _include(self, path: Path, shown: str, at: Position, chain: tuple[Path, ...]) -> None:
        """Add a file, which messages call as `shown`."""
        if path in chain:
            led = [self.reading.name(one) for one in chain[chain.index(path) :]]
            way = " → ".join((*led, shown))
            self._problem("include-cycle", f"files include each other: {way}", at)
        elif path in self.seen:
            self._problem("include-twice", f"{shown} is included twice", at, self.seen[path])
        elif len(self.seen) >= MAX_FILES:
            if len(self.seen) == MAX_FILES:
                self._problem("include-many", f"more than {MAX_FILES} files are included", at)
            self.seen[path] = at
        elif len(chain) > MAX_DEPTH:
            self._problem("include-depth", f"more than {MAX_DEPTH} files include each other", at)
        else:
            self.seen[path] = at
            document = self._parse(path, at, shown)
            if document is not None:
                self._merge(document, document.data, self.data, ())
                self._follow(document, (*chain, path))

    def _merge(
        self, document: Document, source: dict[str, object], into: dict[str, object], place: Place
    ) -> None:
        for key, value in source.items():
            here, present = (*place, key), into.get(key)
            if here == ("include",) or (here == ("version",) and present == value):
                continue
            if key not in into:
                self.marks.take(document, here, here)
                into[key] = self.marks.graft(value, document, here, here)
            elif isinstance(value, dict) and isinstance(present, dict):
                self._merge(document, value, present, here)
            elif here in _APPENDED and isinstance(value, list) and isinstance(present, list):
                self._append(document, here, value, present)
            else:
                first = self.marks.keys[here]
                message = f"{dotted(here)} is given twice"
                self._problem("duplicate-key", message, document.key(here), first, here)

    def _append(
        self, document: Document, place: Place, items: list[object], into: list[object]
    ) -> None:
        for index, item in enumerate(items):
            source, target = (*place, index), (*place, len(into))
            self.marks.take(document, source, target)
            into.append(self.marks.graft(item, document, source, target))

    def _problem(
        self,
        code: str,
        message: str,
        position: Position,
        related: Position | None = None,
        place: Place = (),
        hint: str = "",
    ) -> None:
        found = Problem(code, message, position, dotted(place), hint, related=related)
        self.reading.problems.append(found)


def _at(position: Position) -> Position:
    return position
