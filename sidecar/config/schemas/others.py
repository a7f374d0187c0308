"""The component types of other packages, found as far as a config needs them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, get_args

from sidecar.api import ComponentKind
from sidecar.config.schemas.schema import Kind, Others, Schema
from sidecar.errors import PluginError


class Types(Protocol):
    """Finds the types that other packages register, as `sidecar.plugins` does."""

    def installed(self, kind: ComponentKind, /) -> Collection[str]:
        """Their names."""

    def options(self, kind: ComponentKind, name: str, /) -> Mapping[str, object]:
        """The JSON Schema of the options of one. Raises PluginError."""


def joined(schema: Schema, data: Mapping[str, Any], types: Types) -> Schema:
    """The schema for a document: with the types that it names, where not all are built in."""
    found: Others = {}
    for kind in get_args(ComponentKind):
        unknown = set(_named(kind, data)).difference(schema.types(kind))
        for name in types.installed(kind) if unknown else ():
            # Those that the document does not name are known by name: one may be meant.
            found[kind, name] = _options(kind, name, types) if name in unknown else ""
    return Schema(found) if found else schema


def with_all(schema: Schema, types: Types) -> Schema:
    """The schema with all types that are installed."""
    found = {
        (kind, name): _options(kind, name, types)
        for kind in get_args(ComponentKind)
        for name in types.installed(kind)
        if name not in schema.types(kind)
    }
    return Schema(found) if found else schema


def _named(kind: ComponentKind, data: Mapping[str, Any]) -> Iterator[str]:
    """The names of types that a document holds; it need not have the right form."""
    if kind not in get_args(Kind):
        yield from _mapping(data.get(kind))
        return
    for part in _mapping(data.get(f"{kind}s")).values():
        name = _mapping(part).get("type")
        if isinstance(name, str):
            yield name


def _options(kind: ComponentKind, name: str, types: Types) -> Mapping[str, Any] | str:
    """The schema of the options of a type, or why it cannot be used."""
    try:
        told = types.options(kind, name)
        Schema({(kind, name): told}).try_out(kind, name)
    except PluginError as error:
        return str(error)
    return told


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
