"""The JSON Schema of a config: found, joined with the types of other packages, compiled once."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.jsonschema import DRAFT7

from sidecar.config.document import Document
from sidecar.config.mistakes import Mistake, explain
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


class Schema:
    """Checks documents. `extra_channels` and `extra_runtimes` are the options, as JSON Schemas,
    of types from other packages.

    Raises:
        PluginError: such a type has the name of a built-in one, or a schema that is none.
    """

    def __init__(
        self,
        extra_channels: Mapping[str, Mapping[str, object]] = EMPTY,  # type: ignore[assignment]  # read-only and empty
        extra_runtimes: Mapping[str, Mapping[str, object]] = EMPTY,  # type: ignore[assignment]  # read-only and empty
    ) -> None:
        main = dict(read_schema())
        main["definitions"] = dict(main["definitions"])
        parts: dict[str, Mapping[str, Any]] = {
            f"{kind}.{name}.json": read_schema(f"{kind}.{name}.json")
            for kind, names in BUILT_IN.items()
            for name in names
        }
        for kind, extra in (("channel", extra_channels), ("runtime", extra_runtimes)):
            for name, options in extra.items():
                parts[f"{kind}.{name}.json"] = _part(kind, name, options, main)
            main["definitions"][kind] = _with_types(kind, extra, main["definitions"][kind])
        self.main: Mapping[str, Any] = main
        self.extra = frozenset(extra_runtimes)
        self._parts = parts
        self._registry: Registry[Any] = Registry().with_resources(
            (name, DRAFT7.create_resource(part)) for name, part in [(MAIN, main), *parts.items()]
        )
        self._validator = Draft7Validator(main, registry=self._registry)

    def check(self, document: Document, hidden: Collection[Place] = ()) -> list[Mistake]:
        """All that is wrong with the form of a document. Values at `hidden` places are secrets
        and are not shown."""
        return explain(self._validator.iter_errors(document.data), document, hidden)

    def options(self, kind: Kind, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The keys of one type alone, without those that all types share, with their schemas.

        A schema has what its `$ref` names, its own keywords over that, and so have its parts.
        A type that is not known has no keys.
        """
        base = f"{kind}.{name}.json"
        if base not in self._parts:
            return {}
        shared = self.main["definitions"][kind]["properties"]
        return {
            key: self._resolved(part, base)
            for key, part in self._parts[base]["properties"].items()
            if key not in shared
        }

    def _resolved(self, part: Mapping[str, Any], base: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "$ref" in part:
            target = self._registry.resolver(base).lookup(part["$ref"])
            found = self._resolved(target.contents, part["$ref"].partition("#")[0] or base)
        found |= {key: value for key, value in part.items() if key != "$ref"}
        if "properties" in part:
            inner = part["properties"].items()
            found["properties"] = {key: self._resolved(told, base) for key, told in inner}
        return found


def _part(
    kind: str, name: str, options: Mapping[str, Any], main: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The options of a type from another package, as strict as the built-in ones."""
    if name in BUILT_IN[kind]:
        raise PluginError(f"the {kind} type {name!r} is built in")
    try:
        Draft7Validator.check_schema(options)
    except SchemaError as error:
        raise PluginError(f"the schema of the {kind} type {name!r}: {error.message}") from error
    shared = dict.fromkeys(main["definitions"][kind]["properties"], True)
    properties = {**shared, **options.get("properties", {})}
    return {**options, "type": "object", "properties": properties, "additionalProperties": False}


def _with_types(
    kind: str, names: Collection[str], definition: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The definition of a channel or a runtime that knows more types."""
    type_ = definition["properties"]["type"]
    known = {**type_, "enum": [*type_["enum"], *names]}
    cases = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": name}}},
            "then": {"$ref": f"{kind}.{name}.json"},
        }
        for name in names
    ]
    properties = {**definition["properties"], "type": known}
    return {**definition, "properties": properties, "allOf": [*definition["allOf"], *cases]}
