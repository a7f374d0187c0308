"""One part of a checked document, with what it takes to read it and to point into it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sidecar.config import values
from sidecar.config.model import FileText, Rate
from sidecar.config.problems import Level, Place, Position, Problem, dotted
from sidecar.config.reading.interpolate import Interpolation
from sidecar.config.reading.reading import At, Reading
from sidecar.config.schemas.mistakes import HIDDEN
from sidecar.config.system import System
from sidecar.config.text.document import Document

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Source:
    """A document, and what was found out about it. `broken` are places without a usable value."""

    document: Document
    interpolation: Interpolation
    broken: frozenset[Place] = frozenset()

    @property
    def reading(self) -> Reading:
        """The load that it belongs to."""
        return self.interpolation.reading

    @property
    def root(self) -> "Part":
        """All of it."""
        unsound = {place[:length] for place in self.broken for length in range(1, len(place) + 1)}
        return Part(self, (), self.document.data, frozenset(unsound))


@dataclass(frozen=True, slots=True)
class Part:
    """A mapping of a document. What is broken in it, or missing, reads as the default.

    `unsound` are the places that are broken, or hold something that is.
    """

    source: Source
    place: Place
    data: Mapping[str, Any]
    unsound: frozenset[Place]

    @property
    def reading(self) -> Reading:
        """The load that it belongs to."""
        return self.source.reading

    @property
    def system(self) -> System:
        """The machine."""
        return self.reading.system

    def has(self, key: str) -> bool:
        """Whether a key is given a usable value, which may be null."""
        return key in self.data and (*self.place, key) not in self.unsound

    def has_part(self, key: str) -> bool:
        """Whether a key is given a mapping that lacks no key, whatever is wrong in it."""
        place = (*self.place, key)
        return isinstance(self.data.get(key), dict) and place not in self.source.broken

    def is_broken(self, key: str) -> bool:
        """Whether a key is given a value that cannot be used."""
        return key in self.data and not self.has(key)

    def get(self, key: str, default: object = None) -> Any:
        """The value of a key."""
        return self.data[key] if self.has(key) else default

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list; a single text counts as a list of one."""
        found = self.get(key, ())
        return (found,) if isinstance(found, str) else tuple(found)

    def part(self, key: str) -> "Part":
        """A mapping in it; an empty one where there is none."""
        found = self.data.get(key)
        data = found if isinstance(found, dict) else {}
        return Part(self.source, (*self.place, key), data, self.unsound)

    def parts(self, key: str) -> Iterator["Part"]:
        """The mappings in a mapping or in a list; those that lack a key are left out."""
        found = self.data.get(key)
        if not isinstance(found, dict | list) or (*self.place, key) in self.source.broken:
            return
        for step, value in found.items() if isinstance(found, dict) else enumerate(found):
            if isinstance(value, dict):
                place = (*self.place, key, step)
                if place not in self.source.broken:
                    yield Part(self.source, place, value, self.unsound)

    def duration(self, key: str, default: float) -> float:
        """Seconds."""
        return self._parsed(key, values.duration, default)

    def size(self, key: str, default: int) -> int:
        """Bytes."""
        return self._parsed(key, values.size, default)

    def memory(self, key: str) -> int | None:
        """Bytes of memory; None where none are given."""
        return self._parsed(key, values.memory, None) if self.get(key) is not None else None

    def rate(self, key: str, default: Rate) -> Rate:
        """A count and a window."""
        return self._parsed(key, values.rate, default)

    def check_kind(self, key: str, kind: str) -> None:
        """Note a problem where a text is not of a kind of `values.PARSERS`."""
        self._parsed(key, values.PARSERS[kind], None)

    def absolute(self, text: str, *steps: str | int) -> Path:
        """The absolute path that a text means; it stands at some steps from here."""
        return self.reading.absolute(text, self.source.document.file((*self.place, *steps)))

    def lazy(self, key: str) -> str | FileText:
        """A text, which may have parts that are read from files when it is used."""
        found: str = self.data[key]
        return self.source.interpolation.lazy.get((*self.place, key), found)

    def shown(self, text: str, *steps: str | int) -> str:
        """A text of the config for a message; of a secret, only where it comes from."""
        hidden = (*self.place, *steps) in self.source.interpolation.hidden
        return HIDDEN if hidden else repr(text)

    def key_at(self, *steps: str | int) -> Position:
        """Where a key is written."""
        return self.source.document.key((*self.place, *steps))

    def value_at(self, *steps: str | int) -> Position:
        """Where a value is written."""
        return self.source.document.value((*self.place, *steps))

    @property
    def is_managed(self) -> bool:
        """Whether the control plane set it, not the user."""
        return self.source.document.file(self.place) == self.reading.managed

    def problem(
        self,
        code: str,
        message: str,
        *steps: str | int,
        hint: str = "",
        level: Level = "error",
        related: Position | At | None = None,
        at: Position | None = None,
    ) -> None:
        """Note a problem with the value at some steps from here; `at` points elsewhere.

        Finding a position may take a while: `related` is called only where it is told.
        """

        def found() -> Problem:
            position, path = at or self.value_at(*steps), dotted((*self.place, *steps))
            first = related() if callable(related) else related
            return Problem(code, message, position, path, hint, level, first)

        self.reading.note(level, found)

    def _parsed(self, key: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
        if not self.has(key):
            return default
        try:
            return parse(self.data[key])
        except ValueError as error:
            self.problem("wrong-value", str(error), key)
            return default
