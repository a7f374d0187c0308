"""The options of a component type as a part of the joined schema: checked, moved, made strict."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sidecar.api import ComponentKind
from sidecar.config.schemas.shipped import MAIN
from sidecar.config.values import PARSERS
from sidecar.errors import PluginError

RELOADED: Mapping[ComponentKind, str] = {
    "channel": "component",
    "runtime": "component",
    "context": "hot",
}
"""What a change of an option takes, as `x-reload` tells it: another channel or runtime takes the
place of the present one; a turn asks the context providers that it finds when it begins."""

_NAMES = {
    "channel": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    "runtime": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    "context": re.compile(r"[a-z][a-z0-9_]{0,63}"),  # also a name in templates
}


def moved(part: Any, place: str) -> Any:
    """A copy of a schema file to stand at a definition of the joined one, the main one at none."""
    if isinstance(part, list):
        return [moved(one, place) for one in part]
    if not isinstance(part, Mapping):
        return part
    return {
        key: _reference(value, place)
        if key == "$ref" and isinstance(value, str)
        else moved(value, place)
        for key, value in part.items()
        if not (place and key in ("$schema", "$id"))
    }


def strict(
    kind: ComponentKind, name: str, options: Mapping[str, Any], shared: Collection[str]
) -> Mapping[str, Any]:
    """The options of a type from another package, as strict as the built-in ones.

    `shared` are the keys that all types of the kind have.

    Raises:
        PluginError: the name or the schema cannot be used.
    """
    if not _NAMES[kind].fullmatch(name):
        raise PluginError(f"{name!r} is no name of a {kind} type")
    here = moved(options, f"{kind}.{name}")
    own = _checked(kind, name, here)
    for key in own:
        if key in shared:
            raise PluginError(
                f"the schema of the {kind} type {name!r}: the key {key!r} belongs to all {kind}s"
            )
    marked = {key: _marked(one, RELOADED[kind]) for key, one in own.items()}
    return {
        **here,
        "type": "object",
        "properties": {**dict.fromkeys(shared, True), **marked},
        "additionalProperties": False,
    }


def _checked(kind: ComponentKind, name: str, options: Any) -> Mapping[str, Any]:
    """The options that a schema names, if it is one and uses our keywords rightly."""
    from jsonschema import Draft7Validator  # takes a while, and most have no such types
    from jsonschema.exceptions import SchemaError

    told = f"the schema of the {kind} type {name!r}"
    try:
        Draft7Validator.check_schema(options)
    except SchemaError as error:
        raise PluginError(f"{told} is none: {error.message}") from error
    if not isinstance(options, Mapping):
        raise PluginError(f"{told} names no options")
    wrong = next(Draft7Validator(_keywords(kind)).iter_errors(options), None)
    if wrong is not None:
        raise PluginError(f"{told}: {'.'.join(map(str, wrong.absolute_path))}: {wrong.message}")
    return {key: one for key, one in options.get("properties", {}).items() if one is not True}


def with_types(
    kind: str, names: Collection[str], definitions: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The definition of a channel or a runtime that knows more types."""
    definition = definitions[kind]
    type_ = definition["properties"]["type"]
    known = {**type_, "enum": [*type_["enum"], *names]}
    cases = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": name}}},
            "then": part_of(kind, name, definitions),
        }
        for name in names
    ]
    properties = {**definition["properties"], "type": known}
    return {**definition, "properties": properties, "allOf": [*definition["allOf"], *cases]}


def part_of(kind: str, name: str, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """What holds for a type: its definition, or nothing where it has none."""
    definition = f"{kind}.{name}"
    return {"$ref": f"#/definitions/{definition}"} if definition in definitions else {}


def _reference(reference: str, place: str) -> str:
    file, _, way = reference.partition("#")
    target = place if not file else "" if file == MAIN else file.removesuffix(".json")
    return f"#/definitions/{target}{way}" if target else f"#{way}"


def _keywords(kind: ComponentKind) -> Mapping[str, Any]:
    """The schema of what our own keywords can be in the schema of a type."""
    flags = ("x-path", "x-command", "x-credentials", "x-secret", "x-account", "x-default-id")
    option = {
        "properties": {
            **{flag: {"type": "boolean"} for flag in flags},
            **{text: {"type": "string"} for text in ("x-expected", "x-replacement")},
            "x-kind": {"enum": list(PARSERS)},
            "x-reload": {"const": RELOADED[kind]},
            "properties": {"additionalProperties": {"$ref": "#/definitions/option"}},
        }
    }
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "properties": {
            "properties": {"additionalProperties": {"$ref": "#/definitions/option"}},
            "x-flags": {"type": "object", "additionalProperties": texts},
            "x-tells-cost": {"type": "object"},
            "x-programs": {"type": "object", "additionalProperties": {"type": "object"}},
        },
        "definitions": {"option": option},
    }


def _marked(part: Any, reload: str) -> Any:
    """An option, and those in it, with their reload class."""
    if not isinstance(part, Mapping):
        return part
    if "properties" not in part:
        return {**part, "x-reload": reload}
    inner = {key: _marked(one, reload) for key, one in part["properties"].items()}
    return {**part, "properties": inner}
