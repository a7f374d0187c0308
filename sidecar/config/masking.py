"""The texts of a config for excerpts: secrets that are written in them are covered."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from sidecar.config.document import Document
from sidecar.config.problems import Place
from sidecar.config.schema import Kind, Schema

_COVER = "*"


def masked(
    sources: Mapping[str, str], document: Document, schema: Schema, shown: Collection[Place]
) -> dict[str, str]:
    """The sources with every value that the schema calls secret covered, in its full width.

    Those at `shown` places stay: there the file holds an expression, not the secret.
    """
    written = _secrets(document.data, schema)
    places = [place for place in written if place not in shown and place in document.values]
    if not places:
        return dict(sources)
    lines = {name: text.splitlines(keepends=True) for name, text in sources.items()}
    for place in places:
        _cover(lines, document, place)
    return {name: "".join(of_file) for name, of_file in lines.items()}


def _cover(lines: Mapping[str, list[str]], document: Document, place: Place) -> None:
    position, written = document.value(place), lines[document.value(place).file]
    first, start, end = position.line - 1, position.column - 1, position.column + position.width - 1
    if position != document.keys.get(place):  # where a value is missing, its key stands for it
        line = written[first]
        written[first] = line[:start] + _COVER * (end - start) + line[end:]
    if place in document.blocks:
        text = _at(document.data, place)
        for index in range(first + 1, min(first + 1 + str(text).count("\n"), len(written))):
            written[index] = _COVER * (len(written[index].rstrip("\r\n"))) + "\n"


def _secrets(data: Mapping[str, Any], schema: Schema) -> Iterator[Place]:
    """Where the schema says `x-secret`."""
    yield ("server", "token")
    for kind in get_args(Kind):
        for name, part in _mapping(data.get(f"{kind}s")).items():
            place = (f"{kind}s", name)
            yield from ((*place, "env", key) for key in _mapping(_mapping(part).get("env")))
            told = schema.options(kind, str(_mapping(part).get("type")))
            yield from _in_options(_mapping(part), told, place)
    for name, part in _mapping(data.get("context")).items():
        told = schema.options("context", str(name))
        yield from _in_options(_mapping(part), told, ("context", name))


def _in_options(
    data: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]], place: Place
) -> Iterator[Place]:
    for key in keys.keys() & data.keys():
        there = (*place, key)
        if keys[key].get("x-secret"):
            yield from _texts(data[key], there)
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
