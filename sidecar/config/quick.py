"""Routes read quickly: without the YAML parser where they are written plainly, and not at all
where they and all but routes are as they were the last time.

Where in it something is written, the parser finds out when somebody asks: for what is wrong.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sidecar.config.document import Document, Marks, Unread
from sidecar.config.items import Damaged, Item
from sidecar.config.mistakes import MOST
from sidecar.config.model import Route
from sidecar.config.parse import parse
from sidecar.config.plain import NotPlain, read_item
from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.templates import templates_of

MAX_TEXT = 2_000_000
"""Characters of a file that is read quickly: too few for more values than the parser allows."""

MAX_ODD = 500
"""Routes that the parser reads alone, each; with more, reading all at once takes less."""

_ROUTES: Place = ("routes",)
_NUMBER = re.compile(r"routes\[([0-9]+)\]")
_START = re.compile(r"^routes:(?: +#.*| *)$", re.MULTILINE)
_FIRST = re.compile(r"(?: *(?:#.*)?\n)*( *)- ")


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
        if document is None:
            return _stopped(cut, text, file) or parse(text, file)
        if not cut.fits(document):
            return parse(text, file)
        try:
            return self._filled(document, problems, cut, file, folder)
        except Damaged:
            return _stopped(cut, text, file) or parse(text, file)
        except NotPlain:
            return parse(text, file)

    def _filled(
        self,
        document: Document,
        problems: Sequence[Problem],
        cut: "_Cut",
        file: str,
        folder: str,
    ) -> tuple[Document | None, tuple[Problem, ...]]:
        """The document with the routes that were cut out of it, and what is wrong with all."""
        marks = Marks(
            {place: cut.moved(at) for place, at in document.keys.items()},
            {place: cut.moved(at) for place, at in document.values.items()},
            set(document.blocks),
        )
        marks.values[_ROUTES] = Position(file, cut.first, cut.column + 1)
        found = [cut.moved_problem(problem) for problem in problems]
        routes: list[object] = []
        odd = 0
        seed = hashlib.sha256(f"{file}\0{folder}\0".encode("utf-8", "surrogatepass"))
        for line, item in cut.items():
            place: Place = (*_ROUTES, len(routes))
            whole = Item(file, line, item)
            if "$" not in item:  # what ${…} gives may change while the text does not
                hash_ = seed.copy()
                hash_.update(item.encode("utf-8", "surrogatepass"))
                marks.digests[place] = hash_.digest()
            known = self.known.routes.get(marks.digests.get(place, b""))
            if known is not None:
                marks.values[place] = Unread(file, line, part=whole)
                routes.append(KnownRoute(known))
                continue
            try:
                plain = read_item(item.split("\n"))
            except NotPlain:
                if (odd := odd + 1) > MAX_ODD:
                    raise
                data, wrong = whole.parsed(marks, place)
                routes.append(data)
                found += wrong
                if len(found) >= MOST:  # these will do
                    return None, tuple(found)
            else:
                whole.mark(plain, marks, place)
                routes.append(plain.data)
        all_ = {**document.data, "routes": routes}
        blocks = frozenset(marks.blocks)
        return Document(all_, marks.keys, marks.values, blocks, marks.digests), tuple(found)

    def begin_again(self) -> None:
        """The routes are looked at anew."""
        self.kept.clear()
        self.found.clear()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text whose routes are cut out: `rest` is what is left. Line `line` of the text has the
    key, the text `routes` begins at line `first`, its items begin at `column`; in what is `after`
    them, a line has so much smaller a number in `rest`."""

    rest: str
    line: int
    routes: str
    first: int
    column: int
    after: int

    def fits(self, document: Document) -> bool:
        """Whether what looked like the key is the key."""
        key = document.keys.get(("routes",))
        return key is not None and key.line == self.line and document.data["routes"] == []

    def moved(self, at: Position) -> Position:
        """Where something in `rest` stands in the text."""
        return at if at.line <= self.line else replace(at, line=at.line + self.after)

    def moved_problem(self, problem: Problem) -> Problem:
        """A problem of `rest` as one of the text."""
        related = None if problem.related is None else self.moved(problem.related)
        return replace(problem, position=self.moved(problem.position), related=related)

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
    rest = f"{text[:start]}routes: []\n{text[end:]}"
    line = text.count("\n", 0, start) + 1
    top, less = line + text.count("\n", start, begin), text.count("\n", over, end) - 1
    return _Cut(rest, line, text[begin:end], top, column, less)


def _stopped(cut: "_Cut", text: str, file: str) -> tuple[None, tuple[Problem, ...]] | None:
    """What keeps the parser from reading a text to its end, None where nothing does.

    The routes before that are left out where they are fine, but for the first one, where the list
    begins, and the last one: what follows may depend on it.
    """
    items = list(cut.items())
    lines, gone = text.split("\n"), set[int]()
    for number, (line, item) in enumerate(items[:-1]):
        if not _is_plain(item):
            if Item(file, line, item).is_damaged:
                break
        elif number > 0:
            count = item.count("\n")
            lines[line - 1 : line - 1 + count] = [""] * count
            gone.add(number)
    document, problems = parse("\n".join(lines), file)
    if document is not None:
        return None
    left = [number for number in range(len(items)) if number not in gone]
    return None, tuple(_renumbered(problem, left) for problem in problems)


def _renumbered(problem: Problem, numbers: Sequence[int]) -> Problem:
    """A problem of a text with fewer routes, whose numbers these are."""
    found = _NUMBER.match(problem.path)
    if found is None:
        return problem
    number = dotted((*_ROUTES, numbers[int(found[1])]))
    return replace(problem, path=f"{number}{problem.path[found.end() :]}")


def _is_plain(text: str) -> bool:
    try:
        read_item(text.split("\n"))
    except NotPlain:
        return False
    return True
