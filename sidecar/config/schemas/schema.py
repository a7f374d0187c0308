"""The JSON Schema of a config: one document, joined with the types of other packages."""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from sidecar.api import ComponentKind
from sidecar.config.model import EMPTY
from sidecar.config.problems import Place
from sidecar.config.schemas.joining import moved, part_of, strict, with_types
from sidecar.config.schemas.mistakes import Mistake, explain
from sidecar.config.schemas.shipped import read_schema
from sidecar.config.text.document import Document
from sidecar.errors import PluginError

BUILT_IN = {
    "channel": ("botcord",),
    "runtime": ("claude-code", "codex", "gemini", "acp", "command"),
}
"""The types whose options lie beside the main schema, as `channel.botcord.json`."""

Kind = Literal["channel", "runtime"]
"""What has a `type` in the config."""

NOTHING_HIDDEN: Mapping[Place, str] = MappingProxyType({})

Others = dict[tuple[ComponentKind, str], Mapping[str, Any] | str]
"""Types of other packages: the JSON Schema of their options, or a text that tells why one cannot
be used, empty when nobody tried."""


class Schema:
    """Checks documents. `others` are the types of other packages that it knows.

    `joined` is all of it as one document that refers to nothing outside: the options of a type
    are its definition `channel.botcord`. Do not change it. `unusable` are those of the others that
    cannot be used, with the reason; they may have any options.

    Raises:
        PluginError: such a type has a name or a schema that cannot be used.
    """

    def __init__(self, others: Others = EMPTY) -> None:  # type: ignore[assignment]  # read-only and empty
        main = moved(read_schema(), "")
        definitions = main["definitions"]
        for kind, names in BUILT_IN.items():
            for name in names:
                definitions[f"{kind}.{name}"] = moved(
                    read_schema(f"{kind}.{name}.json"), f"{kind}.{name}"
                )
        for (kind, name), told in others.items():
            if not isinstance(told, str):
                shared = definitions[kind]["properties"] if kind in BUILT_IN else ()
                definitions[f"{kind}.{name}"] = strict(kind, name, told, shared)
        for kind in BUILT_IN:
            more = [name for of, name in others if of == kind]
            definitions[kind] = with_types(kind, more, definitions)
        contexts = main["properties"]["context"]["properties"]
        for name in (name for of, name in others if of == "context"):
            contexts[name] = part_of("context", name, definitions)
        self.joined: Mapping[str, Any] = main
        self.others = frozenset(others)
        self.unusable = {type_: told for type_, told in others.items() if isinstance(told, str)}

    def check(
        self,
        document: Document,
        hidden: Mapping[Place, str] = NOTHING_HIDDEN,
        routes: Collection[int] | None = None,
    ) -> list[Mistake]:
        """What is wrong with the form of a document, as far as `explain` tells. Values at `hidden`
        places are secrets; what stands for them is shown. `routes` are the only ones to look at, by
        number."""
        from sidecar.config.schemas.validator import (  # take a while, if needed at all
            Validator,
            errors_of,
        )

        validator, data = Validator(self.joined), document.data
        if routes is None:
            return explain(validator.iter_errors(data), document, hidden)
        return explain(errors_of(validator, data, "routes", routes), document, hidden)

    def types(self, kind: ComponentKind) -> list[str]:
        """The names of all types of a kind; for contexts, all keys of their section."""
        if kind == "context":
            return list(self.joined["properties"]["context"]["properties"])
        return list(self.joined["definitions"][kind]["properties"]["type"]["enum"])

    def options(self, kind: ComponentKind, name: str) -> Mapping[str, Mapping[str, Any]]:
        """The keys of one type alone, without those that all types share, with their schemas.

        A schema has what its `$ref` names, its own keywords over that, and so have its parts.
        A type that is not known has no keys.
        """
        definitions = self.joined["definitions"]
        keys = definitions.get(f"{kind}.{name}", {}).get("properties", {}).items()
        shared = definitions[kind]["properties"] if kind in BUILT_IN else ()
        return {key: self._whole(told) for key, told in keys if key not in shared}

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part of the schema with what its `$ref` names, its own keywords over that."""
        if not isinstance(part, Mapping):  # true: anything
            return EMPTY
        if "$ref" not in part:
            return part
        found: Any = self.joined
        for step in part["$ref"].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found[int(step)] if isinstance(found, list) else found[step]
        return {**self.resolved(found), **{key: part[key] for key in part if key != "$ref"}}

    def try_out(self, kind: ComponentKind, name: str) -> None:
        """Use all of the options of a type once.

        Raises:
            PluginError: they refer to what is not there, or to themselves without an end.
        """
        told = f"the schema of the {kind} type {name!r}"
        try:
            for reference in _references(self.joined["definitions"][f"{kind}.{name}"]):
                self.resolved({"$ref": reference})
            self.options(kind, name)
        except (LookupError, TypeError, ValueError) as error:
            raise PluginError(f"{told}: nothing is at a $ref: {error}") from error
        except RecursionError as error:
            raise PluginError(f"{told} has options that contain themselves") from error

    def _whole(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self.resolved(part)
        if "properties" not in found:
            return found
        inner = {key: self._whole(told) for key, told in found["properties"].items()}
        return {**found, "properties": inner}


def _references(part: Any) -> Iterator[str]:
    """Each `$ref` in a part of a schema."""
    for key, one in part.items() if isinstance(part, dict) else enumerate(part):
        if key == "$ref" and isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            yield from _references(one)
