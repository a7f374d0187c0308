"""The JSON Schema of a config: one document, joined with the types of other packages."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import create

from sidecar.config.document import Document
from sidecar.config.mistakes import DEPRECATED, Mistake, explain
from sidecar.config.model import EMPTY
from sidecar.config.problems import Place
from sidecar.config.shipped import MAIN, read_schema
from sidecar.errors import PluginError

BUILT_IN = {
    "channel": ("botcord",),
    "runtime": ("claude-code", "codex", "gemini", "acp", "command"),
}
"""The types whose options lie beside the main schema, as `channel.botcord.json`."""

Kind = Literal["channel", "runtime"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Schema:
    """Checks documents. `extra_channels` and `extra_runtimes` are the options, as JSON Schemas,
    of types from other packages.

    `joined` is all of it as one document that refers to nothing outside: the options of a type
    are its definition `channel.botcord`. Do not change it.

    Raises:
        PluginError: such a type has the name of a built-in one, or a schema that is none.
    """

    def __init__(
        self,
        extra_channels: Mapping[str, Mapping[str, object]] = EMPTY,  # type: ignore[assignment]  # read-only and empty
        extra_runtimes: Mapping[str, Mapping[str, object]] = EMPTY,  # type: ignore[assignment]  # read-only and empty
    ) -> None:
        main = _moved(read_schema(), "")
        definitions = main["definitions"]
        for kind, names in BUILT_IN.items():
            for name in names:
                definitions[f"{kind}.{name}"] = _moved(
                    read_schema(f"{kind}.{name}.json"), f"{kind}.{name}"
                )
        for kind, extra in (("channel", extra_channels), ("runtime", extra_runtimes)):
            for name, options in extra.items():
                definitions[f"{kind}.{name}"] = _part(kind, name, options, main)
            definitions[kind] = _with_types(kind, extra, definitions[kind])
        self.joined: Mapping[str, Any] = main
        self.extra = frozenset(extra_runtimes)
        self._validator = _Validator(main)

    def check(self, document: Document, hidden: Collection[Place] = ()) -> list[Mistake]:
        """All that is wrong with the form of a document. Values at `hidden` places are secrets
        and are not shown."""
        return explain(self._validator.iter_errors(document.data), document, hidden)

    def types(self, kind: Kind) -> list[str]:
        """The names of all types of a kind."""
        return list(self.joined["definitions"][kind]["properties"]["type"]["enum"])

    def options(self, kind: Kind, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The keys of one type alone, without those that all types share, with their schemas.

        A schema has what its `$ref` names, its own keywords over that, and so have its parts.
        A type that is not known has no keys.
        """
        definitions = self.joined["definitions"]
        part = definitions.get(f"{kind}.{name}", {"properties": {}})
        shared = definitions[kind]["properties"]
        keys = part["properties"].items()
        return {key: self._whole(told) for key, told in keys if key not in shared}

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part of the schema with what its `$ref` names, its own keywords over that."""
        if "$ref" not in part:
            return part
        found: Any = self.joined
        for step in part["$ref"].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found[int(step)] if isinstance(found, list) else found[step]
        return {**self.resolved(found), **{key: part[key] for key in part if key != "$ref"}}

    def _whole(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self.resolved(part)
        if "properties" not in found:
            return found
        inner = {key: self._whole(told) for key, told in found["properties"].items()}
        return {**found, "properties": inner}


def _deprecated(
    _validator: Any, deprecated: Any, _instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """The keyword `deprecated`: a value that is there is one too many."""
    if deprecated is True:
        yield ValidationError("deprecated")


def _applicable(schema: Any) -> Iterable[tuple[str, Any]]:
    """What holds beside a `$ref`: as in draft 7 nothing, but a deprecated key stays one."""
    if "$ref" not in schema:
        return schema.items()  # type: ignore[no-any-return]  # of any schema
    reference = ("$ref", schema["$ref"])
    return (reference, (DEPRECATED, True)) if schema.get(DEPRECATED) else (reference,)


_Validator = create(
    meta_schema=Draft7Validator.META_SCHEMA,
    validators={**Draft7Validator.VALIDATORS, DEPRECATED: _deprecated},
    type_checker=Draft7Validator.TYPE_CHECKER,
    format_checker=Draft7Validator.FORMAT_CHECKER,
    applicable_validators=_applicable,
)


def _moved(part: Any, place: str) -> Any:
    """A copy of a schema file to stand at a definition of the joined one, the main one at none."""
    if isinstance(part, list):
        return [_moved(one, place) for one in part]
    if not isinstance(part, Mapping):
        return part
    return {
        key: _moved_reference(value, place)
        if key == "$ref" and isinstance(value, str)
        else _moved(value, place)
        for key, value in part.items()
        if not (place and key in ("$schema", "$id"))
    }


def _moved_reference(reference: str, place: str) -> str:
    file, _, way = reference.partition("#")
    target = place if not file else "" if file == MAIN else file.removesuffix(".json")
    return f"#/definitions/{target}{way}" if target else f"#{way}"


def _part(
    kind: str, name: str, options: Mapping[str, Any], main: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The options of a type from another package, as strict as the built-in ones."""
    if name in BUILT_IN[kind]:
        raise PluginError(f"the {kind} type {name!r} is built in")
    if not _NAME.fullmatch(name):
        raise PluginError(f"{name!r} is no name of a {kind} type")
    try:
        Draft7Validator.check_schema(options)
    except SchemaError as error:
        raise PluginError(f"the schema of the {kind} type {name!r}: {error.message}") from error
    shared = dict.fromkeys(main["definitions"][kind]["properties"], True)
    moved = _moved(options, f"{kind}.{name}")
    properties = {**shared, **moved.get("properties", {})}
    return {**moved, "type": "object", "properties": properties, "additionalProperties": False}


def _with_types(
    kind: str, names: Collection[str], definition: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The definition of a channel or a runtime that knows more types."""
    type_ = definition["properties"]["type"]
    known = {**type_, "enum": [*type_["enum"], *names]}
    cases = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": name}}},
            "then": {"$ref": f"#/definitions/{kind}.{name}"},
        }
        for name in names
    ]
    properties = {**definition["properties"], "type": known}
    return {**definition, "properties": properties, "allOf": [*definition["allOf"], *cases]}
