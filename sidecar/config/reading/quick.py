"""Routes read quickly: without the YAML parser where they are written plainly, and not at all
where they and all but routes are as they were the last time.

Where in it something is written, the parser finds out when somebody asks: for what is wrong.
"""

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.config.model import Route
from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.reading.reach import Conditions
from sidecar.config.schemas.mistakes import MOST
from sidecar.config.text.cut import Cut, cut_routes
from sidecar.config.text.document import Document, Marks
from sidecar.config.text.items import Damaged, Item, parse
from sidecar.config.text.plain import NotPlain, read_item
from sidecar.config.text.templates import templates_of

MAX_TEXT = 2_000_000
"""Characters of a file that is read quickly: too few for more values than the parser allows."""

MAX_ODD = 500
"""Routes that the parser reads alone, each; with more, reading all at once takes less."""

MAX_REST = 100_000
"""Characters of a file, without its routes, up to which what the parser made of it is kept."""

_READ_EACH_TIME = b""
_LENGTH = 16
"""Bytes of a hash: enough that no two texts have the same."""
_ROUTES: Place = ("routes",)
_NUMBER = re.compile(r"routes\[([0-9]+)\]")

_Parsed = tuple[Document | None, tuple[Problem, ...]]
Fine = tuple[bytes, str, str, Conditions | None]
"""A route that was fine: the hash of its text, empty where it has to be read each time, its name,
the folder that has to be there, and what has to hold for it."""


@dataclass(slots=True, eq=False)
class KnownRoute(Item):
    """Stands in a document for a route that is known to be fine, by its number among these."""

    number: int


@dataclass(frozen=True, slots=True)
class KnownRoutes:
    """The routes of a config that was fine, in order. They are fine as long as the hash of all
    texts but those of routes, `rest`, is the same. Of these texts, `parsed` is what the parser
    made of each, pickled, by its hash. `unreached` are the routes that nothing reaches, by number,
    each with those that take its messages."""

    rest: bytes = b""
    routes: Sequence[Fine] = ()
    parsed: Mapping[bytes, bytes] = field(default_factory=dict)
    unreached: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


class QuickRoutes:
    """Reads documents quickly. `known` are routes that need not be read.

    `kept` tells of each route of the config which one of the known ones it is, None for one that
    was read, `unreached` which of them nothing reaches.
    """

    def __init__(self, known: KnownRoutes | None = None) -> None:
        self.known = known or KnownRoutes()
        self.kept: list[int | None] = []
        self.unreached: Mapping[int, tuple[int, ...]] = {}
        self._numbers = {fine[0]: number for number, fine in enumerate(self.known.routes)}
        self._new: dict[int, Fine] = {}
        self._rest = hashlib.sha256()
        self._parsed: dict[bytes, bytes] = {}

    def note(
        self,
        place: Place,
        document: Document,
        data: Mapping[str, object],
        route: Route,
        told: Conditions | None,
        *,
        fine: bool,
    ) -> None:
        """Note the next route of the config, which was read and stands at a place of a document.
        One that is not `fine` has a warning, which is told each time."""
        hash_ = document.digests.get(place)
        # The place of a template in its file has to be known when it fails.
        if hash_ is None or not fine or "name" not in data or any(templates_of(route)):
            hash_ = _READ_EACH_TIME
        self._new[len(self.kept)] = (hash_, route.name, str(route.cwd or ""), told)
        self.kept.append(None)

    def unreached_before(
        self, told: Sequence[Conditions | None]
    ) -> Mapping[int, tuple[int, ...]] | None:
        """Which routes nothing reaches, where that was found out the last time: what has to hold
        for them, in order, is the same. None where it is not."""
        known = self.known
        return known.unreached if told == [route[-1] for route in known.routes] else None

    @property
    def learned(self) -> KnownRoutes:
        """What to know the next time."""
        known, new = self.known.routes, self._new
        routes = [
            new[index] if number is None else known[number]
            for index, number in enumerate(self.kept)
        ]
        return KnownRoutes(self._rest.digest(), routes, self._parsed, self.unreached)

    @property
    def misled(self) -> bool:
        """Whether known routes were used and all else is not as it was then."""
        used = any(index is not None for index in self.kept)
        return used and self._rest.digest() != self.known.rest

    def depend_on(self, values: Mapping[Place, str]) -> None:
        """Note what expressions gave: those in routes are read each time, the others are a part of
        what routes depend on."""
        told = [(place, value) for place, value in values.items() if place[:1] != _ROUTES]
        self._rest.update(_encoded(repr(told)))

    def parse(self, text: str, file: str) -> _Parsed:
        """Read one document as `parse.parse` does."""
        cut = cut_routes(text) if len(text) <= MAX_TEXT else None
        rest = text if cut is None else cut.rest
        seed = hashlib.sha256(_encoded(f"{file}\0"))  # it tells the folder, too
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
        cut: Cut,
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


def _stopped(cut: Cut, text: str, file: str) -> tuple[None, tuple[Problem, ...]] | None:
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
