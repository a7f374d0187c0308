"""Routes read quickly: without the YAML parser where they are written plainly, and not at all
where they and all but routes are as they were the last time.

Where in it something is written, the parser finds out when somebody asks: for what is wrong.
"""

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.config.document import Document, Marks
from sidecar.config.items import Damaged, Item, parse
from sidecar.config.mistakes import MOST
from sidecar.config.model import Route
from sidecar.config.plain import NotPlain, read_item
from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.templates import templates_of

MAX_TEXT = 2_000_000
"""Characters of a file that is read quickly: too few for more values than the parser allows."""

MAX_ODD = 500
"""Routes that the parser reads alone, each; with more, reading all at once takes less."""

MAX_REST = 100_000
"""Characters of a file, without its routes, up to which what the parser made of it is kept."""

_LENGTH = 16
"""Bytes of a hash: enough that no two texts have the same."""
_ROUTES: Place = ("routes",)
_NUMBER = re.compile(r"routes\[([0-9]+)\]")
# What begins with the end of a line is found in a sixth of the time of what begins with `^`.
_START = re.compile(r"\nroutes:(?: +#.*| *)(?=\n|\Z)")
_FIRST = re.compile(r"(?: *(?:#.*)?\n)*( *)- ")

_Parsed = tuple[Document | None, tuple[Problem, ...]]
Fine = tuple[bytes, str, str, bool]
"""A route that was fine: the hash of its text, empty where it has to be read each time, its name,
the folder that has to be there, and whether it takes all messages."""
_READ_EACH_TIME: Fine = (b"", "", "", False)


@dataclass(slots=True, eq=False)
class KnownRoute(Item):
    """Stands in a document for a route that is known to be fine, by its number among these."""

    number: int


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """The routes of a config that was fine, in order. They are fine as long as the hash of all
    texts but those of routes, `rest`, is the same. Of these texts, `parsed` is what the parser
    made of each, pickled, by its hash."""

    rest: bytes = b""
    routes: Sequence[Fine] = ()
    parsed: Mapping[bytes, bytes] = field(default_factory=dict)


class QuickRoutes:
    """Reads documents quickly. `known` are routes that need not be read.

    `kept` tells of each route of the config which one of the known ones it is, None for one that
    was read.
    """

    def __init__(self, known: KnownRoutes | None = None) -> None:
        self.known = known or KnownRoutes()
        self.kept: list[int | None] = []
        self._numbers = {fine[0]: number for number, fine in enumerate(self.known.routes)}
        self._new: dict[int, Fine] = {}
        self._rest = hashlib.sha256()
        self._parsed: dict[bytes, bytes] = {}

    def note(
        self, place: Place, document: Document, data: Mapping[str, object], route: Route
    ) -> None:
        """Note the next route of the config, which was read and stands at a place of a document."""
        hash_ = document.digests.get(place)
        # The place of a template in its file has to be known when it fails.
        if hash_ is not None and "name" in data and not any(templates_of(route)):
            cwd, takes_all = str(route.cwd or ""), not data.get("match")
            self._new[len(self.kept)] = (hash_, route.name, cwd, takes_all)
        self.kept.append(None)

    @property
    def learned(self) -> KnownRoutes:
        """What to know the next time."""
        known, new = self.known.routes, self._new
        routes = [
            new.get(index, _READ_EACH_TIME) if number is None else known[number]
            for index, number in enumerate(self.kept)
        ]
        return KnownRoutes(self._rest.digest(), routes, self._parsed)

    @property
    def misled(self) -> bool:
        """Whether known routes were used and all else is not as it was then."""
        used = any(index is not None for index in self.kept)
        return used and self._rest.digest() != self.known.rest

    def parse(self, text: str, file: str, folder: str) -> _Parsed:
        """Read one document as `parse.parse` does."""
        cut = _cut(text) if len(text) <= MAX_TEXT else None
        rest = text if cut is None else cut.rest
        seed = hashlib.sha256(_encoded(f"{file}\0{folder}\0"))
        whole = seed.copy()
        whole.update(_encoded(rest))
        self._rest.update(whole.digest())
        document, problems = self._parse(rest, file, whole.digest())
        if cut is None:
            return document, problems
        if document is None:
            return _stopped(cut, text, file) or parse(text, file)
        if not cut.fits(document):
            return parse(text, file)
        try:
            return self._filled(document, problems, cut, file, seed)
        except Damaged:
            return _stopped(cut, text, file) or parse(text, file)
        except NotPlain:
            return parse(text, file)

    def _parse(self, text: str, file: str, hash_: bytes) -> _Parsed:
        """Read a document without its routes. What was fine the last time is not parsed again."""
        kept = self.known.parsed.get(hash_)
        if kept is not None:
            self._parsed[hash_] = kept
            return pickle.loads(kept), ()  # noqa: S301 -- our own
        document, problems = parse(text, file)
        if document is not None and not problems and len(text) <= MAX_REST:
            self._parsed[hash_] = pickle.dumps(document)
        return document, problems

    def _filled(
        self,
        document: Document,
        problems: Sequence[Problem],
        cut: "_Cut",
        file: str,
        seed: "hashlib._Hash",
    ) -> _Parsed:
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
        for line, text in cut.items():
            hash_ = seed.copy()
            hash_.update(_encoded(text))
            name = hash_.digest()[:_LENGTH]
            number = self._numbers.get(name)
            if number is not None:
                routes.append(KnownRoute(file, line, text, number))
                continue
            place: Place = (*_ROUTES, len(routes))
            if "$" not in text:  # what ${…} gives may change while the text does not
                marks.digests[place] = name
            item = Item(file, line, text)
            try:
                plain = read_item(text.split("\n"))
            except NotPlain:
                if (odd := odd + 1) > MAX_ODD:
                    raise
                data, wrong = item.parsed(marks, place)
                routes.append(data)
                found += wrong
                if len(found) >= MOST:  # these will do
                    return None, tuple(found)
            else:
                item.mark(plain, marks, place)
                routes.append(plain.data)
        all_ = {**document.data, "routes": routes}
        blocks = frozenset(marks.blocks)
        return Document(all_, marks.keys, marks.values, blocks, marks.digests), tuple(found)

    def begin_again(self) -> None:
        """The routes are looked at anew."""
        self.kept.clear()
        self._new.clear()


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
        begin = re.compile(rf"\n {{{self.column}}}-(?= |\n|\Z)")
        starts = [0, *(found.start() + 1 for found in begin.finditer(self.routes))]
        line = self.first
        for start, end in zip(starts, [*starts[1:], len(self.routes)], strict=True):
            yield line, self.routes[start:end]
            line += self.routes.count("\n", start, end)


def _cut(text: str) -> _Cut | None:
    keys = list(_START.finditer(f"\n{text}"))
    if len(keys) != 1:
        return None
    start, over = keys[0].start(), keys[0].end() - 1
    first = _FIRST.match(text, over + 1)
    if first is None:
        return None
    column, begin = len(first[1]), first.start(1)
    # The first line that is neither blank nor a comment, nor an item, nor further to the right.
    after = re.compile(rf"\n(?! {{{column}}}(?: |-[ \n])| *(?:#|\n|\Z))")
    found = after.search(text, begin)
    end = len(text) if found is None else found.start() + 1
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


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_plain(text: str) -> bool:
    try:
        read_item(text.split("\n"))
    except NotPlain:
        return False
    return True
