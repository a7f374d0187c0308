"""The managed layer: channels and routes that the control plane set, under those of the user.

They are in a file of the state folder, which only the sidecar writes, and are checked as the config
is. Of the same channel the user's wins, and the user's routes come first. What of the layer does
not fit is left out with a warning: it must never keep the user's own config from taking effect.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.reading.managed import FILE, LEFT_OUT
from sidecar.config.reading.reading import Reading
from sidecar.config.text.document import Document, Marks, Whole


@dataclass(frozen=True, slots=True)
class Layer:
    """The managed file `name`: its document, None without one, and the entries to leave out."""

    name: str
    document: Document | None
    without: frozenset[Place] = frozenset()

    def under(self, user: Document) -> Document:
        """The user's document with the entries of the layer."""
        if self.document is None:
            return user
        data = dict(user.data)
        marks = Marks(dict(user.keys), dict(user.values), set(user.blocks), dict(user.digests))
        self._add_channels(self.document, data, marks)
        self._add_routes(self.document, data, marks)
        return Document(data, marks.keys, marks.values, frozenset(marks.blocks), marks.digests)

    def _add_channels(self, of: Document, data: dict[str, object], marks: Marks) -> None:
        ours, present = of.data.get("channels"), data.get("channels", {})
        if not isinstance(ours, dict) or not isinstance(present, dict):
            return
        into = dict(present)
        for name, channel in ours.items():
            place: Place = ("channels", name)
            if name not in into and place not in self.without:
                marks.take(of, place, place)
                into[name] = marks.graft(channel, of, place, place)
        self._put("channels", into, data, marks, of)

    def _add_routes(self, of: Document, data: dict[str, object], marks: Marks) -> None:
        ours, present = of.data.get("routes"), data.get("routes", [])
        if not isinstance(ours, list) or not isinstance(present, list):
            return
        into = list(present)
        for index, route in enumerate(ours):
            source: Place = ("routes", index)
            if source not in self.without:
                target: Place = ("routes", len(into))
                marks.take(of, source, target)
                into.append(marks.graft(route, of, source, target))
        self._put("routes", into, data, marks, of)

    def _put(
        self, key: str, into: object, data: dict[str, object], marks: Marks, of: Document
    ) -> None:
        if key not in data and into:
            marks.take(of, (key,), (key,))
        if into or key in data:
            data[key] = into

    def broken(self, problems: Iterable[Problem]) -> dict[Place, Problem]:
        """The entries that errors are in, each with its first one; `()` is all of the file."""
        found: dict[Place, Problem] = {}
        for problem in problems:
            if problem.position.file == self.name and problem.level == "error":
                found.setdefault(self._entry(problem.position), problem)
        return found

    def left_out(self, broken: dict[Place, Problem]) -> tuple["Layer", list[Problem]]:
        """The layer without broken entries, and the warnings that tell of them."""
        warnings = [_warning(place, problem) for place, problem in broken.items()]
        document = None if () in broken else self.document
        return replace(self, document=document, without=self.without.union(broken)), warnings

    def _entry(self, at: Position) -> Place:
        """The channel or route that stands at a position, `()` where that is none."""
        starts = [] if self.document is None else sorted(_starts(self.document))
        before = [place for line, column, place in starts if (line, column) <= (at.line, at.column)]
        return before[-1] if before else ()


def read_layer(state: Path, reading: Reading) -> Layer:
    """The layer in a state folder; an empty one, with problems, where it cannot be read."""
    path = state / FILE
    reading.managed = name = reading.name(path)
    reading.inputs.add(path)
    if not reading.system.exists(path):
        return Layer(name, None)
    text = reading.open(path)
    if text is None:
        return Layer(name, None)
    return Layer(name, reading.parse(text, path))


def _starts(document: Document) -> Sequence[tuple[int, int, Place]]:
    routes = document.data.get("routes")
    entries = [
        *(
            (route.line, 1, ("routes", index))
            for index, route in enumerate(routes if isinstance(routes, list) else ())
            if isinstance(route, Whole)
        ),
        *((1, 1, ()),),
        *(
            (at.line, at.column, place)
            for place, at in {**document.values, **document.keys}.items()
            if len(place) == 2 and place[0] in ("channels", "routes")
        ),
    ]
    return [(line, column, place) for line, column, place in entries]


def _warning(place: Place, problem: Problem) -> Problem:
    what = dotted(place) or "all of it"
    message = f"{what} is left out: {problem.message}"
    return Problem(
        LEFT_OUT, message, problem.position, dotted(place), problem.hint, "warning", problem.related
    )
