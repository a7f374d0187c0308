"""A quick answer to whether a JSON Schema has nothing to say about a value.

A validator that finds all mistakes takes a tenth of a millisecond for a route, which is a second
for ten thousand. Here only a yes is sure: after a no, the validator tells.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sidecar.config.problems import Place
from sidecar.config.reading.quick import KnownRoute
from sidecar.config.schemas.mistakes import DEPRECATED, Mistake
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.document import Document

Check = Callable[[Any], bool]

_ANNOTATIONS = frozenset(
    {"$schema", "$id", "title", "description", "default", "examples", "definitions"}
)
"""Keywords that check nothing."""
_TOGETHER = frozenset(
    {"type", "properties", "additionalProperties", "required", "propertyNames", "if", "then"}
)
"""Keywords that are compiled together with others."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
    "null": (type(None),), "integer": (int,), "number": (int, float),
}  # fmt: skip


def quick_mistakes(
    document: Document, schema: Schema, hidden: Mapping[Place, str]
) -> list[Mistake]:
    """What is wrong with the form of a document, in which some routes are known to be fine."""
    routes = document.data.get("routes", [])
    if not isinstance(routes, list):
        return schema.check(document, hidden)
    compiler = _Compiler(schema.joined)
    fine = compiler.check(schema.joined["properties"]["routes"]["items"])
    odd = [
        number
        for number, route in enumerate(routes)
        if not isinstance(route, KnownRoute) and not fine(route)
    ]
    if not odd and compiler.check(schema.joined)({**document.data, "routes": []}):
        return []
    return schema.check(document, hidden, odd)


def quick_check(root: Mapping[str, Any]) -> Check:
    """The check of a schema document: true where a value is sure to be valid."""
    return _Compiler(root).check(root)


class _Compiler:
    """Turns parts of a schema into checks."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[str, Check] = {}

    def check(self, schema: Any) -> Check:
        """The check of a part of the schema."""
        if schema is True:
            return _always
        if not isinstance(schema, Mapping) or schema.get(DEPRECATED):
            return _never
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        checks = [_typed(schema["type"])] if "type" in schema else []
        if not _TOGETHER.isdisjoint(schema.keys() - {"type", "if", "then"}):
            checks.append(self._object(schema))
        if "if" in schema or "then" in schema:
            checks.append(self._condition(schema))
        checks += [
            self._keyword(name, wanted)
            for name, wanted in schema.items()
            if name not in _ANNOTATIONS | _TOGETHER and not name.startswith("x-")
        ]
        return checks[0] if len(checks) == 1 else _every(checks)

    def _reference(self, reference: str) -> Check:
        known = self._known
        if reference not in known:
            # A part that refers to itself finds this one, which looks the real one up.
            known[reference] = lambda value: known[reference](value)
            found: Any = self._root
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]
            known[reference] = self.check(found)
        return known[reference]

    def _object(self, schema: Mapping[str, Any]) -> Check:
        properties = {name: self.check(one) for name, one in schema.get("properties", {}).items()}
        required = tuple(schema.get("required", ()))
        other = self.check(schema.get("additionalProperties", True))
        named = self.check(schema.get("propertyNames", True))

        def holds(value: Any) -> bool:
            if not isinstance(value, dict):
                return True
            for name in required:
                if name not in value:
                    return False
            for name, inner in value.items():
                if not named(name) or not properties.get(name, other)(inner):
                    return False
            return True

        return holds

    def _condition(self, schema: Mapping[str, Any]) -> Check:
        """Of the form that chooses by a key: where it has this value, then that holds."""
        asked, check = schema.get("if"), self.check(schema.get("then", True))
        if not isinstance(asked, Mapping) or set(asked) != {"required", "properties"}:
            return _never
        key, told = next(iter(asked["properties"].items()))
        wanted = told.get("const") if asked["required"] == [key] and len(told) == 1 else None
        if not isinstance(wanted, str) or len(asked["properties"]) != 1:
            return _never
        return lambda value: not isinstance(value, dict) or value.get(key) != wanted or check(value)

    def _keyword(self, name: str, wanted: Any) -> Check:
        if name == "items":
            item = self.check(wanted)
            return lambda value: not isinstance(value, list) or all(map(item, value))
        if name == "allOf":
            return _every([self.check(one) for one in wanted])
        if name in _SIZES:
            return _sized(*_SIZES[name], wanted)
        return _KEYWORDS[name](wanted) if name in _KEYWORDS else _never


def _every(checks: Sequence[Check]) -> Check:
    def holds(value: Any) -> bool:
        for check in checks:  # noqa: SIM110 -- `all` takes twice as long
            if not check(value):
                return False
        return True

    return holds


def _sized(kind: type[Any], sign: int, wanted: int) -> Check:
    def holds(value: Any) -> bool:
        return not isinstance(value, kind) or sign * len(value) >= sign * wanted

    return holds


def _pattern(wanted: str) -> Check:
    search = re.compile(wanted).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _enum(wanted: list[object]) -> Check:
    # Of numbers, JSON and Python disagree on what is equal.
    told = frozenset(one for one in wanted if one is None or isinstance(one, str))
    return lambda value: (value is None or isinstance(value, str)) and value in told


_SIZES: Mapping[str, tuple[type[Any], int]] = MappingProxyType(
    {
        "minLength": (str, 1),
        "maxLength": (str, -1),
        "minItems": (list, 1),
        "minProperties": (dict, 1),
    }
)
_KEYWORDS: Mapping[str, Callable[[Any], Check]] = MappingProxyType(
    {
        "pattern": _pattern,
        "enum": _enum,
        "const": lambda wanted: lambda value: type(value) is type(wanted) and value == wanted,
        "minimum": lambda least: lambda value: not isinstance(value, int | float) or value >= least,
        "maximum": lambda most: lambda value: not isinstance(value, int | float) or value <= most,
    }
)


def _always(_value: Any) -> bool:
    return True


def _never(_value: Any) -> bool:
    return False


def _typed(told: str | list[str]) -> Check:
    names = [told] if isinstance(told, str) else told
    types = tuple(one for name in names for one in _TYPES[name])
    if bool in types or int not in types:
        return lambda value: isinstance(value, types)
    return lambda value: isinstance(value, types) and not isinstance(value, bool)
