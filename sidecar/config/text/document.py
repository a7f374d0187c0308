"""A document as plain data, and beside it the position of every key and every value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.config.problems import Place, Position


@dataclass(slots=True)
class Whole:
    """A part of a document that was read without positions, and can be read with them. It begins
    at a line of a file. In the data it may stand for itself."""

    file: str
    line: int

    def key(self, steps: Place) -> Position:
        """Where the key at some steps from the part is written."""
        raise NotImplementedError

    def value(self, steps: Place) -> Position:
        """Where the value is written."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Unread(Position):
    """The line of a value that stands at `steps` of a part that was read without positions."""

    part: Whole | None = field(default=None, compare=False)
    steps: Place = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and where each key and value is written, by the way to it from the root.

    `blocks` are the values written as block scalars (`|` or `>`). Of one that was read quickly
    some positions are found when they are asked for; its `digests` are hashes of the texts of
    values that depend on nothing else.
    """

    data: dict[str, object]
    keys: Mapping[Place, Position]
    values: Mapping[Place, Position]
    blocks: frozenset[Place] = frozenset()
    digests: Mapping[Place, bytes] = field(default_factory=dict)

    def key(self, place: Place) -> Position:
        """The position of the key at a place; of an item of a list, that of its value."""
        if place in self.keys:
            return self.keys[place]
        found, steps = self._nearest(place)
        if isinstance(found, Unread) and found.part is not None and steps:
            return found.part.key((*found.steps, *steps))
        return self.value(place)

    def value(self, place: Place) -> Position:
        """The position of a value; of one that is not written, that of what would hold it."""
        found, steps = self._nearest(place)
        if isinstance(found, Unread) and found.part is not None:
            return found.part.value((*found.steps, *steps))
        return found

    def file(self, place: Place) -> str:
        """The name of the file in which a value is written."""
        return self._nearest(place)[0].file

    def text_line(self, place: Place) -> int:
        """The line where the text of a value begins: a block scalar's is below its mark."""
        found, steps = self._nearest(place)
        line = self.value(place).line if steps else found.line
        return line + (place in self.blocks)

    def _nearest(self, place: Place) -> tuple[Position, Place]:
        """The position of a value or of what holds it, and the steps from there."""
        length = len(place)
        while place[:length] not in self.values:
            length -= 1
        if length < len(place):
            found = self._at(place[: length + 1])
            if isinstance(found, Whole):
                return Unread(found.file, found.line, part=found), place[length + 1 :]
        return self.values[place[:length]], place[length:]

    def _at(self, place: Place) -> object:
        """What stands at a place; None where nothing does."""
        found: Any = self.data
        for step in place:
            try:
                found = found[step]
            except (LookupError, TypeError):
                return None
        return found


def _anywhere(place: Place) -> None:
    """Allow every place."""


@dataclass(slots=True)
class Marks:
    """The positions of a document that is being put together."""

    keys: dict[Place, Position] = field(default_factory=dict)
    values: dict[Place, Position] = field(default_factory=dict)
    blocks: set[Place] = field(default_factory=set)
    digests: dict[Place, bytes] = field(default_factory=dict)

    def take(self, of: "Document | Marks", source: Place, target: Place) -> None:
        """Note that what stands at `source` there stands at `target` here."""
        if source in of.values:
            self.values[target] = of.values[source]
        if source in of.keys:
            self.keys[target] = of.keys[source]
        if source in of.blocks:
            self.blocks.add(target)
        if source in of.digests:
            self.digests[target] = of.digests[source]

    def graft(
        self,
        value: Any,
        of: "Document | Marks",
        source: Place,
        target: Place,
        visit: Callable[[Place], None] = _anywhere,
    ) -> object:
        """A deep copy of a value that stands at `source` there, to stand at `target` here.

        Its parts keep their positions. `visit` is called with each new place and may raise.
        """
        visit(target)
        if type(value) not in (dict, list):  # what stands for a known route is not looked into
            return value
        top: dict[str, object] | list[object] = type(value)()
        todo = [(value, top, source, target)]
        while todo:
            old, new, before, after = todo.pop()
            for step, child in _items(old):
                place = (*after, step)
                visit(place)
                self.take(of, (*before, step), place)
                made = child
                if type(child) in (dict, list):
                    made = type(child)()
                    todo.append((child, made, (*before, step), place))
                if isinstance(new, dict):
                    new[str(step)] = made
                else:
                    new.append(made)
        return top


def _items(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str | int, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)
