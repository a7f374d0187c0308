"""Items of a list, written in a file: read by the parser one by one, where that is needed."""

import re
from dataclasses import dataclass, field, replace

from sidecar.config.problems import Place, Position, Problem
from sidecar.config.text.document import Document, Marks, Unread, Whole
from sidecar.config.text.plain import NotPlain, Plain
from sidecar.config.text.templates import TEMPLATES

_SHARED = re.compile(r"[&*]\S")
"""An anchor or an alias, which may mean something elsewhere, or look like one."""
_ALONE: Place = ("routes", 0)
_ABOVE = "routes:\n"
"""What is put above an item that is read alone."""


def parse(text: str, file: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one document with the YAML parser: importing it takes a while, and where all is plain
    or known it is not needed."""
    from sidecar.config.text.parse import parse

    return parse(text, file)


class Damaged(NotPlain):
    """The parser cannot read it either."""


@dataclass(slots=True)
class Item(Whole):
    """A route in a file: its text, which begins at a line."""

    text: str
    _read: tuple[Document | None, tuple[Problem, ...]] | None = field(
        default=None, init=False, repr=False
    )

    def key(self, steps: Place) -> Position:
        """Where the key at some steps from the route is written."""
        return self._moved(self._document().key((*_ALONE, *steps)))

    def value(self, steps: Place) -> Position:
        """Where the value is written."""
        return self._moved(self._document().value((*_ALONE, *steps)))

    def mark(self, found: Plain, marks: Marks, place: Place) -> None:
        """Note where a route that was read without the parser stands, so that it can be asked."""
        marks.values[place] = Unread(self.file, self.line, part=self)
        for key in TEMPLATES:  # the line of a template is needed also where nothing is wrong
            if key in found.lines:
                line = self.line + found.lines[key]
                marks.values[*place, key] = Unread(self.file, line, part=self, steps=(key,))
            if key in found.blocks:
                marks.blocks.add((*place, key))

    def parsed(self, marks: Marks, place: Place) -> tuple[object, tuple[Problem, ...]]:
        """What the parser reads, with its problems. Raises NotPlain when it cannot stand alone,
        Damaged when it is no YAML."""
        if _SHARED.search(self.text):
            raise NotPlain
        document, problems = self._alone()
        if document is None:
            raise Damaged
        match document.data:
            case {"routes": [item], **others} if not others:
                pass
            case _:
                raise NotPlain
        for positions, into in ((document.values, marks.values), (document.keys, marks.keys)):
            for there, position in positions.items():
                if len(there) > 1:
                    into[*place, *there[2:]] = self._moved(position)
        marks.blocks.update((*place, *there[2:]) for there in document.blocks)
        return item, tuple(self._moved_problem(problem, place) for problem in problems)

    @property
    def is_damaged(self) -> bool:
        """Whether the parser cannot read it alone."""
        return self._alone()[0] is None

    def _document(self) -> Document:
        document, _ = self._alone()
        assert document is not None  # noqa: S101 -- what was read plainly, the parser reads too
        return document

    def _alone(self) -> tuple[Document | None, tuple[Problem, ...]]:
        if self._read is None:
            self._read = parse(f"{_ABOVE}{self.text}", self.file)
        return self._read

    def _moved(self, at: Position) -> Position:
        return replace(at, line=at.line + self.line - 2)

    def _moved_problem(self, problem: Problem, place: Place) -> Problem:
        related = None if problem.related is None else self._moved(problem.related)
        path = problem.path.replace("routes[0]", f"routes[{place[1]}]", 1)
        position = self._moved(problem.position)
        return replace(problem, position=position, path=path, related=related)
