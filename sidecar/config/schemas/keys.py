"""What the schema tells about the keys of a config, for the person who writes one."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sidecar.config.problems import Place, dotted, near
from sidecar.config.schemas.mistakes import expected, words
from sidecar.config.schemas.schema import Kind, Schema

WHEN = {"hot": "at once", "component": "restarts the part", "process": "next start"}
"""When a change takes effect, by the reload class `x-reload`."""

_STEP = re.compile(r'\.([^.\[\]"]+)|\[([0-9]*)\]|\[("(?:[^"\\]|\\.)*")\]')


class UnknownKey(Exception):
    """No config has such a key; the text tells which one is meant or known."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `told` is its schema; `type` the only type of channel or runtime that has it, empty
    when all have it; `required`: it has to be given."""

    place: Place
    told: Mapping[str, Any]
    type: str = ""
    required: bool = False


def place_of(path: str) -> Place:
    """The place that a path such as `routes[0].match.kind` means; `[]` is the first item.

    Raises UnknownKey.
    """
    steps: list[str | int] = []
    text, end = path if path.startswith("[") else f".{path}", 0
    while path and end < len(text):
        found = _STEP.match(text, end)
        if found is None:
            raise UnknownKey(f"{path!r} is no path such as routes[0].match.kind")
        name, index, quoted = found.groups()
        steps.append(name if name else json.loads(quoted) if quoted else int(index or 0))
        end = found.end()
    return tuple(steps)


def find(schema: Schema, place: Place) -> list[Key]:
    """The keys at a place, one for each type that has its own; sections and the root count too.

    Raises UnknownKey.
    """
    found = [Key((), schema.joined)]
    for step in place:
        inner = [one for key in found for one in _inner(schema, key, step)]
        if not inner:
            raise UnknownKey(_unknown(schema, found, step))
        found = inner
    return found


def inside(schema: Schema, key: Key) -> Iterator[Key]:
    """The keys that a section has."""
    yield from _properties(schema, key, key.told)
    for kind in get_args(Kind):
        if len(key.place) == 2 and key.place[0] == f"{kind}s":
            for name in schema.types(kind):
                part = schema.joined["definitions"].get(f"{kind}.{name}", {})
                own = {**part, "properties": schema.options(kind, name)}
                yield from _properties(schema, key, own, name)


def facts(schema: Schema, key: Key) -> dict[str, object]:
    """What is known of a key, by words for people; what does not apply is not in it."""
    told = key.told
    found: dict[str, object] = {"path": dotted(key.place), "description": told.get("description")}
    found |= {"type": key.type or None, "value": _value(told)}
    found["required"] = True if key.required else None
    if "default" in told:
        found["default"] = told["default"]
    elif "x-default-from" in told:
        found["default_from"] = told["x-default-from"]
    elif "x-default-id" in told:
        found["default_from"] = "the id of the channel"
    if "x-reload" in told:
        found["reload"] = told["x-reload"]
        found["secret"] = bool(told.get("x-secret"))
    found["deprecated"] = told.get("deprecated")
    found["replacement"] = told.get("x-replacement")
    found["examples"] = told.get("examples")
    found["keys"] = {
        str(inner.place[-1]): inner.told.get("description", "") for inner in inside(schema, key)
    } or None
    return {name: value for name, value in found.items() if value is not None or name == "default"}


def _properties(
    schema: Schema, key: Key, told: Mapping[str, Any], type_: str = ""
) -> Iterator[Key]:
    required = told.get("required", ())
    for name, part in told.get("properties", {}).items():
        whole = schema.resolved(part)
        yield Key((*key.place, name), whole, type_ or key.type, name in required)


def _inner(schema: Schema, key: Key, step: str | int) -> Iterator[Key]:
    if isinstance(step, int):
        anything = key.told.get("items")
    else:
        named = [one for one in inside(schema, key) if one.place[-1] == step]
        yield from named
        anything = None if named else key.told.get("additionalProperties")
    if isinstance(anything, Mapping):
        yield Key((*key.place, step), schema.resolved(anything), key.type)


def _unknown(schema: Schema, keys: list[Key], step: str | int) -> str:
    path = dotted(keys[0].place)
    known = list(dict.fromkeys(str(one.place[-1]) for key in keys for one in inside(schema, key)))
    if isinstance(step, int):
        return f"{path or 'a config'} is no list"
    told = f"unknown key {step!r}{f' in {path}' if path else ''}"
    if "items" in keys[0].told:
        return f"{told}: it is a list, its first item is {path}[0]"
    if not known:
        return f"{told}: it has no keys"
    return f"{told} ({near(step, known) or 'known keys: ' + ', '.join(known)})"


def _value(told: Mapping[str, Any]) -> str:
    """What is allowed, in words."""
    choices = told.get("enum") or told.get("items", {}).get("enum")
    if "const" in told:
        return str(told["const"])
    if choices:
        many = "" if "enum" in told else ", or a list of them"
        return f"one of {words(choices)}{many}"
    low, high = told.get("minimum"), told.get("maximum")
    bounds = "" if low is None or high is None else f", from {low} to {high}"
    return expected(told) + bounds
