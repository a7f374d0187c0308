"""The routes of a config cut out of its text, as lines and without parsing it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sidecar.config.problems import Position, Problem
from sidecar.config.text.document import Document

# What begins with the end of a line is found in a sixth of the time of what begins with `^`.
_START = re.compile(r"\nroutes:(?: +#.*| *)(?=\n|\Z)")
_FIRST = re.compile(r"(?: *(?:#.*)?\n)*( *)- ")


@dataclass(frozen=True, slots=True)
class Cut:
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


def cut_routes(text: str) -> Cut | None:
    """The routes cut out of a text, None where it is not sure which lines they are."""
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
    return Cut(rest, line, text[begin:end], top, column, less)
