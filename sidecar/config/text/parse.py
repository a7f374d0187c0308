"""YAML text to a `Document`.

Read from the parser's events and without recursion: composers recurse, so that deep nesting can
kill the process, and they drop the positions. Limits bound what a small text can expand to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from sidecar.config.problems import Place, Position, Problem, dotted, near
from sidecar.config.text import syntax
from sidecar.config.text.document import Document, Marks
from sidecar.config.text.scalars import resolve

MAX_DEPTH = 100
"""Mappings and lists inside each other."""
MAX_NODES = 1_000_000
"""Keys and values of one document."""
MAX_ALIASED = 100_000
"""Values that aliases and merges may add to one document."""

_MERGE = "<<"
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
"""NUL, which no path or variable can hold, and halves of surrogate pairs, which none can encode."""


def parse(text: str, file: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one document. `file` is the name that its positions bear.

    There is no document when the text is no YAML, is no mapping or exceeds a limit. A document
    that comes with an error is good for finding more of them, and for nothing else.
    """
    composer = _Composer(file)
    try:
        composer.compose(YAML(typ="safe").parse(text))
    except _Stopped:
        return None, tuple(composer.problems)
    except Exception as error:  # noqa: BLE001 -- the parser fails in many ways on damaged text
        found = syntax.problem(error, text, Position(file, composer.line))
        return None, (*composer.problems, found)
    return composer.document(), tuple(composer.problems)


class _Stopped(Exception):
    """Nothing sensible can follow; the problem is noted."""


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read. `key` awaits its value; `merges`: it has a `<<`."""

    place: Place
    into: dict[str, object] | list[object]
    anchor: str | None
    key: str | None = None
    merges: bool = False

    @property
    def next_place(self) -> Place:
        step = len(self.into) if isinstance(self.into, list) else self.key
        return self.place if step is None else (*self.place, step)

    @property
    def awaits_key(self) -> bool:
        return self.key is None and isinstance(self.into, dict)


@dataclass(slots=True)
class _Composer:
    file: str
    problems: list[Problem] = field(default_factory=list)
    line: int = 1
    _marks: Marks = field(default_factory=Marks)
    _root: object = None
    _documents: int = 0
    _nodes: int = 0
    _aliased: int = 0
    _frames: list[_Frame] = field(default_factory=list)
    _anchors: dict[str, tuple[Place, object]] = field(default_factory=dict)

    def compose(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, NodeEvent):
                self._node(event, self._position(event))
            elif isinstance(event, CollectionEndEvent):
                self._close()
            elif isinstance(event, DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._stop("yaml", "a second document begins here", self._position(event))

    def document(self) -> Document | None:
        start = Position(self.file)
        if self._root is None:
            hint = "a config begins with `version: 1`, a file that it includes with any other key"
            self._problem("empty", "the file is empty", start, hint)
        elif not isinstance(self._root, dict):
            self._problem("wrong-type", "expected a mapping: lines of `key: value`", start)
        else:
            marks = self._marks
            marks.values[()] = start
            return Document(self._root, marks.keys, marks.values, frozenset(marks.blocks))
        return None

    def _node(self, event: NodeEvent, position: Position) -> None:
        self.line = position.line
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop("too-large", f"more than {MAX_NODES} keys and values", position)
        if (tag := getattr(event, "tag", None)) is not None:
            hint = "a text goes in quotes, everything else is written as it is"
            written = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._problem("yaml-tag", f"tags are not used here: {written}", position, hint)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.awaits_key:
            self._key(frame, event, position)
            return
        place = () if frame is None else frame.next_place
        self._marks.values[place] = position
        match event:
            case ScalarEvent():
                self._add(frame, self._scalar(event, place, position), event.anchor)
            case CollectionStartEvent():
                self._open(frame, event, place, position)
            case AliasEvent():
                self._add(frame, self._alias(event.anchor, place, position), None)

    def _key(self, frame: _Frame, event: NodeEvent, position: Position) -> None:
        if not isinstance(event, ScalarEvent):
            hint = "a text that begins with { or [ goes in quotes, or in the lines below a |"
            self._stop("yaml-key", "a key is a text", position, hint)
        name: str = event.value
        plain = event.implicit[0]
        if plain and not isinstance(resolve(name), str):
            hint = f'put it in quotes: "{name}"'
            self._problem("yaml-key", f"a key is a text, not {name or 'empty'}", position, hint)
        place = (*frame.place, name)
        if place in self._marks.keys:
            first = self._marks.keys[place]
            self.problems.append(
                Problem("duplicate-key", f"the key {name!r} is given twice", position,
                        dotted(place), "keep one of them", related=first)
            )  # fmt: skip
        self._marks.keys[place] = position
        frame.key = name
        frame.merges |= plain and name == _MERGE

    def _scalar(self, event: ScalarEvent, place: Place, position: Position) -> object:
        text: str = event.value
        plain: bool = event.implicit[0]
        if plain and not text and not event.anchor:
            # The parsers put a value that is not there at the next token, often lines below.
            self._marks.values[place] = self._marks.keys.get(place, position)
        if event.style in ("|", ">"):
            self._marks.blocks.add(place)
        if _NO_CHARACTER.search(text):
            self._problem("yaml", "the text holds what is no character", position)
            # What follows looks for paths that do exist, or do not; of others the system raises.
            text = _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)
        return resolve(text) if plain else text

    def _open(
        self, frame: _Frame | None, event: CollectionStartEvent, place: Place, position: Position
    ) -> None:
        if len(place) >= MAX_DEPTH:
            self._stop("too-deep", f"nested more than {MAX_DEPTH} levels deep", position)
        into: dict[str, object] | list[object] = {} if isinstance(event, MappingStartEvent) else []
        self._marks.values[place] = Position(position.file, position.line, position.column)
        self._add(frame, into, None)
        self._frames.append(_Frame(place, into, event.anchor))

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.merges and isinstance(frame.into, dict):
            self._merge(frame.into, frame.place)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.place, frame.into)

    def _add(self, frame: _Frame | None, value: object, anchor: str | None) -> None:
        place: Place = () if frame is None else frame.next_place
        if frame is None:
            self._root = value
        elif isinstance(frame.into, list):
            frame.into.append(value)
        elif frame.key is not None:
            frame.into[frame.key] = value
            frame.key = None
        if anchor:
            self._anchors[anchor] = (place, value)

    def _alias(self, name: str, place: Place, position: Position) -> object:
        if any(frame.anchor == name for frame in self._frames):
            self._problem("yaml-alias", f"*{name} is inside the value that it names", position)
        elif name not in self._anchors:
            hint = near(name, self._anchors)
            self._problem("yaml-alias", f"no value above has this name: &{name}", position, hint)
        else:
            source, value = self._anchors[name]
            return self._copy(value, source, place, position)
        return None

    def _merge(self, into: dict[str, object], place: Place) -> None:
        """Add what `<<` names: keys that are written win, then earlier sources."""
        given, source = into.pop(_MERGE), (*place, _MERGE)
        sources = [given] if not isinstance(given, list) else given
        for index, one in enumerate(sources):
            there: Place = source if one is given else (*source, index)
            position = self._marks.values[there]
            if not isinstance(one, dict):
                hint = "such as `<<: *name` or `<<: [*one, *two]`"
                self._problem("yaml-merge", "<< takes a mapping", position, hint)
                continue
            for name, value in one.items():
                if name not in into:
                    here = (*place, name)
                    self._marks.take(self._marks, (*there, name), here)
                    into[name] = self._copy(value, (*there, name), here, position)

    def _copy(self, value: object, source: Place, target: Place, position: Position) -> object:
        def visit(place: Place) -> None:
            self._aliased += 1
            if self._aliased > MAX_ALIASED:
                self._stop("too-large", f"aliases add more than {MAX_ALIASED} values", position)
            if len(place) > MAX_DEPTH:
                self._stop("too-deep", f"nested more than {MAX_DEPTH} levels deep", position)

        return self._marks.graft(value, self._marks, source, target, visit)

    def _position(self, event: Event) -> Position:
        start, end = event.start_mark, event.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return Position(self.file, start.line + 1, start.column + 1, max(1, width))

    def _problem(self, code: str, message: str, position: Position, hint: str = "") -> None:
        self.problems.append(Problem(code, message, position, hint=hint))

    def _stop(self, code: str, message: str, position: Position, hint: str = "") -> NoReturn:
        self._problem(code, message, position, hint)
        raise _Stopped
