"""Secrets that are written in a config: where they are, and its texts with them covered."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.schemas.mistakes import name_of
from sidecar.config.schemas.schema import Kind, Schema
from sidecar.config.text.document import Document

_COVER = "*"
_KEY = re.compile(r"""(?:^|[\s{,"'])(?P<name>token|env)["']?\s*:(?P<rest>.*)""")
"""A key that holds secrets, in a line of a text that the parser cannot read."""
_VARIABLE = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\s*:")
_LETTERS = re.compile(r"\$\{[^}]*\}|[^\s{}\[\]]")
_SECTIONS = frozenset(("server", "channels", "runtimes", "context"))
"""What secrets can be written in."""
_NAMES_WHAT_IS_WRITTEN = frozenset(("yaml-tag", "yaml-alias"))
"""Problems that end with `: ` and what is written."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where secrets may be written, whatever is there, are the `holders`; in them stand single
    `values`, and the `names` that are more than a name."""

    holders: frozenset[Place]
    values: frozenset[Place]
    names: frozenset[Place]


def written_secrets(document: Document, schema: Schema) -> Secrets:
    """The places of what the schema says is `x-secret`."""
    holders: set[Place] = set()
    values: set[Place] = set()
    names: set[Place] = set()
    for place, value in _secrets(document.data, schema):
        holders.add(place)
        values.update(_texts(value, place))
        if place[-1] == "env" and isinstance(value, dict):
            holders.update((*place, name) for name in value)
            names.update((*place, name) for name in value if name_of(name) != name)
    return Secrets(frozenset(holders), frozenset(values), frozenset(names))


def masked(
    sources: Mapping[str, str],
    document: Document,
    secrets: Secrets,
    shown: Collection[Place],
    problems: Iterable[Problem],
) -> dict[str, str]:
    """The sources with every secret covered, in its full width, also of a key that `problems` say
    is given twice.

    Those at `shown` places stay: there the file holds an expression, not the secret.
    """
    values = [place for place in secrets.values if place not in shown and place in document.values]
    twice = [problem for problem in problems if problem.code == "duplicate-key"]
    if not values and not secrets.names and not twice:
        return dict(sources)
    lines = {name: text.splitlines(keepends=True) for name, text in sources.items()}
    for place in values:
        _cover_value(lines, document, place)
    for place in secrets.names:
        _cover_name(lines, document, place)
    told = {dotted(place) for place in secrets.holders}
    for problem in twice:
        for position in (problem.position, problem.related):
            if position is not None:
                _cover_after(lines, position, problem.path, always=problem.path in told)
    return {name: "".join(of_file) for name, of_file in lines.items()}


def masked_unread(text: str) -> str:
    """A text that the parser cannot read, with what seems to be a secret covered."""
    found: list[str] = []
    holder, column = "", 0  # the key that the lines further to the right belong to
    for line in text.splitlines(keepends=True):
        start = len(line) - len(line.lstrip(" -"))
        if holder and line.strip() and start <= column:
            holder = ""
        key = _KEY.search(line)
        if key is not None:
            holder, column = key["name"], start
            found.append(_covered_rest(line, key.start("rest")))
        elif holder:
            variable = _VARIABLE.match(line) if holder == "env" else None
            found.append(_covered_rest(line, start if variable is None else variable.end()))
        else:
            found.append(line)
    return "".join(found)


def masked_problems(
    problems: Iterable[Problem], document: Document, secrets: Secrets
) -> list[Problem]:
    """The problems without what is written at the place of a secret."""
    places = {document.value(place) for place in secrets.values if place in document.values}
    return [
        replace(problem, message=problem.message.partition(": ")[0])
        if problem.code in _NAMES_WHAT_IS_WRITTEN and problem.position in places
        else problem
        for problem in problems
    ]


def _cover_value(lines: Mapping[str, list[str]], document: Document, place: Place) -> None:
    position = document.value(place)
    written, first = lines[position.file], position.line - 1
    if position != document.keys.get(place):  # where a value is missing, its key stands for it
        start = position.column - 1
        # Of a text that goes on in the next line, only the begin has a place.
        goes_on = position.width == 1 and len(str(_at(document.data, place))) > 1
        end = len(written[first]) if goes_on else start + position.width
        written[first] = _covered(written[first], start, end)
    if place in document.blocks:
        text = _at(document.data, place)
        for index in range(first + 1, min(first + 1 + str(text).count("\n"), len(written))):
            written[index] = _covered(written[index], 0, len(written[index]))


def _cover_name(lines: Mapping[str, list[str]], document: Document, place: Place) -> None:
    position, name = document.key(place), name_of(str(place[-1])).removesuffix("…")
    written, start = lines[position.file], position.column - 1
    line = written[position.line - 1]
    known = len(name) if line.startswith(name, start) else 0  # it is not in quotes
    written[position.line - 1] = _covered(line, start + known, start + position.width)


def _cover_after(lines: Mapping[str, list[str]], key: Position, path: str, *, always: bool) -> None:
    """Cover what stands after a key where that is a secret or may hold one."""
    written = lines.get(key.file, [])
    if not 0 < key.line <= len(written):
        return
    line = written[key.line - 1]
    start = line.find(":", key.column - 1 + key.width) + 1
    section = re.split(r"[.\[]", path, maxsplit=1)[0]
    if start and (always or (section in _SECTIONS and {"{", "["} & set(line[start:]))):
        written[key.line - 1] = _covered_rest(line, start)


def _covered(line: str, start: int, end: int) -> str:
    """A line with what stands between two columns covered, but for blanks around it."""
    inner = line[start:end]
    text = inner.strip()
    begin = start + len(inner) - len(inner.lstrip())
    return line[:begin] + _COVER * len(text) + line[begin + len(text) :]


def _covered_rest(line: str, start: int) -> str:
    """A line with what stands after a column covered, but for expressions and brackets."""
    rest = _LETTERS.sub(lambda found: found[0] if len(found[0]) > 1 else _COVER, line[start:])
    return line[:start] + rest


def _secrets(data: Mapping[str, Any], schema: Schema) -> Iterator[tuple[Place, object]]:
    """Where the schema says `x-secret`, and what is there."""
    yield ("server", "token"), _mapping(data.get("server")).get("token")
    for kind in get_args(Kind):
        for name, part in _mapping(data.get(f"{kind}s")).items():
            place, options = (f"{kind}s", name), _mapping(part)
            yield (*place, "env"), options.get("env")
            told = schema.options(kind, str(options.get("type")))
            yield from _in_options(options, told, place)
    for name, part in _mapping(data.get("context")).items():
        told = schema.options("context", str(name))
        yield from _in_options(_mapping(part), told, ("context", name))


def _in_options(
    data: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]], place: Place
) -> Iterator[tuple[Place, object]]:
    for key in keys.keys() & data.keys():
        there = (*place, key)
        if keys[key].get("x-secret"):
            yield there, data[key]
        elif "properties" in keys[key]:
            yield from _in_options(_mapping(data[key]), keys[key]["properties"], there)


def _texts(value: object, place: Place) -> Iterator[Place]:
    """The single values in a value."""
    match value:
        case dict():
            for key, one in value.items():
                yield from _texts(one, (*place, key))
        case list():
            for index, one in enumerate(value):
                yield from _texts(one, (*place, index))
        case _:
            yield place


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _at(data: Any, place: Place) -> object:
    for step in place:
        data = data[step]
    return data
