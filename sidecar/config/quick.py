"""Routes read quickly: without the YAML parser where they are written plainly, and not at all
where they and all but routes are as they were the last time.

Positions are missing, so this is for configs in which nothing is wrong: whoever finds a problem
with one reads it again with the parser.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sidecar.config.document import Document, Marks
from sidecar.config.model import Route
from sidecar.config.parse import parse
from sidecar.config.plain import NotPlain, Plain, read_item
from sidecar.config.problems import Place, Position, Problem
from sidecar.config.templates import TEMPLATES, templates_of

MAX_TEXT = 2_000_000
"""Characters of a file that is read quickly: too few for more values than the parser allows."""

MAX_ODD = 500
"""Routes that the parser reads alone, each; with more, reading all at once takes less."""

_START = re.compile(r"^routes:(?: +#.*| *)$", re.MULTILINE)
_FIRST = re.compile(r"(?: *(?:#.*)?\n)*( *)- ")
_SHARED = re.compile(r"[&*]\S")
"""An anchor or an alias, which may mean something elsewhere, or look like one."""


class Known(NamedTuple):
    """A route that was fine before: which one of the routes of then it is, and what makes it fine
    that is not in the texts. `takes_all`: it has no conditions."""

    number: int
    name: str
    cwd: str
    takes_all: bool


class KnownRoute(dict[str, object]):
    """Stands in a document for a route that is known to be fine."""

    def __init__(self, known: Known) -> None:
        super().__init__(name=known.name, match={} if known.takes_all else {"": ""})
        self.known = known


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """The routes of a config that was fine, by the hash of their text and file. They are fine as
    long as the hash of all texts but those of routes, `rest`, is the same."""

    rest: bytes = b""
    routes: Mapping[bytes, Known] = field(default_factory=dict)


@dataclass(slots=True)
class QuickRoutes:
    """Reads documents quickly. `known` are routes that need not be read.

    What is found goes to `found`, the routes to know the next time, and to `kept`: for each route
    of the config which one of the known ones it is, None for one that was read.
    """

    known: KnownRoutes = KnownRoutes()
    found: dict[bytes, Known] = field(default_factory=dict)
    kept: list[int | None] = field(default_factory=list)
    _rest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def note(
        self, place: Place, document: Document, data: Mapping[str, object], route: Route
    ) -> None:
        """Note the next route of the config, which stands at a place of a document."""
        digest, index = document.digests.get(place), len(self.kept)
        if isinstance(data, KnownRoute) and digest is not None:
            self.kept.append(data.known.number)
            self.found[digest] = data.known._replace(number=index)
            return
        self.kept.append(None)
        # The place of a template in its file has to be known when it fails.
        if digest is not None and "name" in data and not any(templates_of(route)):
            known = Known(index, route.name, str(route.cwd or ""), not data.get("match"))
            self.found[digest] = known

    @property
    def learned(self) -> KnownRoutes:
        """What to know the next time."""
        return KnownRoutes(self._rest.digest(), self.found)

    @property
    def misled(self) -> bool:
        """Whether known routes were used and all else is not as it was then."""
        used = any(index is not None for index in self.kept)
        return used and self._rest.digest() != self.known.rest

    def parse(
        self, text: str, file: str, folder: str
    ) -> tuple[Document | None, tuple[Problem, ...]]:
        """Read one document as `parse.parse` does."""
        cut = _cut(text) if len(text) <= MAX_TEXT else None
        rest = text if cut is None else cut.rest
        self._rest.update(f"{file}\0{folder}\0{rest}\0".encode("utf-8", "surrogatepass"))
        if cut is None:
            return parse(text, file)
        document, problems = parse(cut.rest, file)
        if document is None or problems or not cut.fits(document):
            return parse(text, file)
        try:
            return self._filled(document, cut, file, folder), ()
        except NotPlain:
            return parse(text, file)

    def _filled(self, document: Document, cut: "_Cut", file: str, folder: str) -> Document:
        """The document with the routes that were cut out of it."""
        marks = Marks(dict(document.keys), dict(document.values), set(document.blocks))
        routes: list[object] = []
        odd = 0
        seed = hashlib.sha256(f"{file}\0{folder}\0".encode("utf-8", "surrogatepass"))
        for line, item in cut.items():
            place: Place = ("routes", len(routes))
            marks.values[place] = Position(file, line)
            if "$" not in item:  # what ${…} gives may change while the text does not
                hash_ = seed.copy()
                hash_.update(item.encode("utf-8", "surrogatepass"))
                marks.digests[place] = hash_.digest()
            known = self.known.routes.get(marks.digests.get(place, b""))
            if known is not None:
                routes.append(KnownRoute(known))
                continue
            try:
                plain = read_item(item.split("\n"))
            except NotPlain:
                if (odd := odd + 1) > MAX_ODD:
                    raise
                routes.append(_parsed(item, line, file, marks, place))
            else:
                _mark(plain, line, file, marks, place)
                routes.append(plain.data)
        data = {**document.data, "routes": routes}
        return Document(data, marks.keys, marks.values, frozenset(marks.blocks), marks.digests)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text whose routes are cut out: `rest` is what is left. Line `line` of the text has the
    key, the text `routes` begins at line `first`, its items begin at `column`."""

    rest: str
    line: int
    routes: str
    first: int
    column: int

    def fits(self, document: Document) -> bool:
        """Whether what looked like the key is the key."""
        key = document.keys.get(("routes",))
        return key is not None and key.line == self.line and document.data["routes"] == []

    def items(self) -> Iterator[tuple[int, str]]:
        """The text of each item, with the number of its first line."""
        begin = re.compile(rf"^ {{{self.column}}}-(?: |$)", re.MULTILINE)
        starts = [found.start() for found in begin.finditer(self.routes)]
        line = self.first
        for start, end in zip(starts, [*starts[1:], len(self.routes)], strict=True):
            yield line, self.routes[start:end]
            line += self.routes.count("\n", start, end)


def _cut(text: str) -> _Cut | None:
    keys = list(_START.finditer(text))
    if len(keys) != 1 or (first := _FIRST.match(text, keys[0].end() + 1)) is None:
        return None
    column, (start, over), begin = len(first[1]), keys[0].span(), first.start(1)
    # The first line that is neither blank nor a comment, nor an item, nor further to the right.
    after = re.compile(rf"^(?! {{{column}}}(?: |-[ \n])| *(?:#|$))", re.MULTILINE)
    found = after.search(text, begin)
    end = len(text) if found is None else found.start()
    rest = f"{text[:start]}routes: []{text[over:begin]}{text[end:]}"
    line = text.count("\n", 0, start) + 1
    return _Cut(rest, line, text[begin:end], line + text.count("\n", start, begin), column)


def _mark(found: Plain, line: int, file: str, marks: Marks, place: Place) -> None:
    for key in TEMPLATES:  # elsewhere, positions are for problems only
        if key in found.lines:
            marks.values[*place, key] = Position(file, line + found.lines[key])
        if key in found.blocks:
            marks.blocks.add((*place, key))


def _parsed(text: str, line: int, file: str, marks: Marks, place: Place) -> object:
    """An item that the parser has to read, alone. Raises NotPlain when it cannot stand alone."""
    if _SHARED.search(text):
        raise NotPlain
    document, problems = parse(f"routes:\n{text}", file)
    match document.data if document is not None and not problems else None:
        case {"routes": [item], **others} if not others:
            pass
        case _:
            raise NotPlain
    for there, position in document.values.items():  # type: ignore[union-attr]  # there is one
        if len(there) > 1:
            here = (*place, *there[2:])
            marks.values[here] = replace(position, line=position.line + line - 2)
            if there in document.blocks:  # type: ignore[union-attr]
                marks.blocks.add(here)
    return item
