"""Environment variables and files in the texts of a config.

`${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${file:/path}`, and `$$` for one dollar. They
stand in values, never in keys; what they give is always a text, and a secret. The texts of
templates and of tests are left as they are: a dollar is nothing special there.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sidecar.config.model import FileText
from sidecar.config.problems import Place, Position, Problem, dotted, near
from sidecar.config.reading.reading import At, Reading
from sidecar.config.text.document import Document
from sidecar.config.text.templates import TEMPLATES

SHORTEST_SECRET = 4
"""Characters. Hiding shorter texts would hide words that mean nothing."""

_EXPRESSION = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.DOTALL)
_FILE = "file:"
_FORMS = "${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:/path}; $$ is a dollar"


@dataclass(slots=True)
class Interpolation:
    """Completes texts, and remembers what must not be shown.

    `hidden` are the places of texts that hold a secret, with where it came from in words (the
    environment variable HUB_TOKEN), `secrets` the secrets themselves. `given` are the texts of a
    document that had expressions, as they are with what these gave. `lazy`
    are texts with files that are read anew whenever they are used, `failed` the places of those
    that are not complete.
    """

    reading: Reading
    hidden: dict[Place, list[str]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    given: dict[Place, str] = field(default_factory=dict)
    lazy: dict[Place, FileText] = field(default_factory=dict)
    failed: set[Place] = field(default_factory=set)

    def complete_all(self, document: Document) -> None:
        """Complete the texts of a document, in place. A lazy one becomes an empty text there."""
        for holder, step, place, text in _texts(document.data):
            if "$" in text and not _is_literal(place):
                at = partial(document.value, place)
                found = self.complete(text, place, document.file(place), at)
                holder[step] = self.given[place] = found

    def complete(self, text: str, place: Place, file: str, at: At) -> str:
        """One text, which stands in a file at a position, with its expressions replaced."""
        parts: list[str | Path] = []
        end = 0
        for found in _EXPRESSION.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            if found[0] == "$$":
                parts.append("$")
            else:
                self.hidden.setdefault(place, [])
                there = partial(self._find, found[0], at)
                parts.append(self._part(found, place, file, there))
        parts.append(text[end:])
        if any(isinstance(part, Path) for part in parts):
            self.lazy[place] = FileText(tuple(_joined(parts)))
            return ""
        return "".join(str(part) for part in parts)

    def _find(self, written: str, at: At) -> Position:
        return self.reading.find(written, at())

    def _part(self, found: re.Match[str], place: Place, file: str, at: At) -> str | Path:
        inside, closed = found[1], found[2] == "}"
        variable = _VARIABLE.fullmatch(inside)
        if not closed or "${" in inside:
            self._problem("bad-expression", "this `${` is not closed", place, at, _FORMS)
        elif inside.startswith(_FILE):
            return self._file(inside.removeprefix(_FILE), place, file, at)
        elif variable:
            return self._variable(variable, place, at)
        else:
            message = f"${{{inside}}} is no expression"
            self._problem("bad-expression", message, place, at, _FORMS)
        return ""

    def _variable(self, found: re.Match[str], place: Place, at: At) -> str:
        """As in a shell: after `:` an empty variable counts as one that is not set."""
        name, operator, rest = found.groups()
        value = self.reading.system.env.get(name)
        if value or (value is not None and operator is None):
            self.hidden[place].append(f"environment {name}")
            self.remember(value)
            return value
        if operator == ":-":
            self.hidden[place].append(f"default of {name}")
            return str(rest)
        similar = near(name, self.reading.system.env)
        hint = str(rest) if operator else similar or f"a default is given as ${{{name}:-…}}"
        message = f"the environment variable {name} is not set"
        self._problem("unset-variable", message, place, at, hint)
        return ""

    def _file(self, name: str, place: Place, file: str, at: At) -> str | Path:
        path = self.reading.absolute(name, file)
        self.hidden[place].append(f"file {path}")
        text = self.reading.read(path, at, within=dotted(place))
        if text is None:
            self.failed.add(place)
        if _is_lazy(place):  # it is read when it is used: what it holds now is not kept
            return path
        if text is None:
            return ""
        value = text.removesuffix("\n")
        if value != text:
            value = value.removesuffix("\r")
        self.remember(value)
        return value

    def remember(self, value: str) -> None:
        """Note a secret. A short one is left out."""
        if len(value) >= SHORTEST_SECRET:
            self.secrets.add(value)

    def _problem(self, code: str, message: str, place: Place, at: At, hint: str = "") -> None:
        self.failed.add(place)
        self.reading.note("error", lambda: Problem(code, message, at(), dotted(place), hint))


def _joined(parts: Iterable[str | Path]) -> list[str | Path]:
    """The parts with neighbouring texts in one piece, so that equal texts are equal."""
    found: list[str | Path] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, str) and isinstance(last, str):
            found[-1] = last + part
        elif part != "":
            found.append(part)
    return found


def _texts(data: dict[str, object]) -> Iterator[tuple[Any, Any, Place, str]]:
    """Each text of a document with what holds it, under which key or index, and its place."""
    todo: list[tuple[Any, Place]] = [(data, ())]
    while todo:
        holder, place = todo.pop()
        for step, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(value, str):
                yield holder, step, (*place, step), value
            elif isinstance(value, dict | list):
                todo.append((value, (*place, step)))


def _is_literal(place: Place) -> bool:
    """Whether a text is a template or belongs to a test."""
    match place:
        case ("tests", *_):
            return True
        case ("routes", int(), last) | ("default_route", last):
            return last in TEMPLATES
    return False


def _is_lazy(place: Place) -> bool:
    match place:
        case ("runtimes", _, "env", _):
            return True
    return False
