"""The configuration as it takes effect: files joined, defaults filled in, secrets covered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sidecar.config.building.part import Source
from sidecar.config.model import Config
from sidecar.config.problems import Place
from sidecar.config.schemas.schema import Kind, Schema
from sidecar.config.text.written import Written, written

COVER = "***"
"""Stands for a secret."""
DEFAULT = "default"
"""The origin of what is written nowhere."""


def effective(
    config: Config, source: Source, schema: Schema, *, resolved: bool = False
) -> dict[str, Written]:
    """All values of a valid config, with where each comes from, in the order of the schema.

    With `resolved`, paths are absolute and what one key takes over from another is filled in.
    """
    return _Effective(config, source, schema, resolved).all()


@dataclass(frozen=True, slots=True)
class _Effective:
    config: Config
    source: Source
    schema: Schema
    resolved: bool

    def all(self) -> dict[str, Written]:
        return self._mapping(self.schema.joined, self.source.document.data, (), secret=False)

    def _mapping(
        self, told: Mapping[str, Any], data: Mapping[str, Any], place: Place, *, secret: bool
    ) -> dict[str, Written]:
        found: dict[str, Written] = {}
        for key, part in self._keys(told, data, place):
            there, whole = (*place, key), self.schema.resolved(part)
            if key in data:
                found[key] = self._given(whole, data[key], there, secret=secret)
            elif (default := self._default(whole, there)) is not None:
                found[key] = default
        rest = told.get("additionalProperties")
        anything = self.schema.resolved(rest) if isinstance(rest, Mapping) else {}
        for key in [key for key in data if key not in found]:
            found[key] = self._given(anything, data[key], (*place, key), secret=secret)
        return found

    def _keys(
        self, told: Mapping[str, Any], data: Mapping[str, Any], place: Place
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What a mapping can hold; of channels and runtimes also the keys of its type."""
        yield from told.get("properties", {}).items()
        for kind in get_args(Kind):
            if len(place) == 2 and place[0] == f"{kind}s":
                yield from self.schema.options(kind, str(data["type"])).items()

    def _given(self, told: Mapping[str, Any], value: Any, place: Place, *, secret: bool) -> Written:
        secret = secret or "x-secret" in told
        origin = self._origin(place)
        if isinstance(value, dict):
            return Written(self._mapping(told, value, place, secret=secret), origin)
        if isinstance(value, list):
            items = self.schema.resolved(told.get("items", {}))
            inner = enumerate(value)
            return Written(
                [self._given(items, one, (*place, at), secret=secret) for at, one in inner], origin
            )
        if self._is_secret(value, place, secret=secret):
            return Written(COVER, origin)
        return Written(self._path(told, value, place), origin)

    def _default(self, told: Mapping[str, Any], place: Place) -> Written | None:
        """What holds where nothing is written; None where nothing does."""
        if place == ("state", "dir") and "XDG_STATE_HOME" in self.source.reading.system.env:
            return Written(str(self.config.state.dir), "environment XDG_STATE_HOME")
        if "x-default-id" in told:
            return Written(str(place[1]), DEFAULT)
        if "x-default-from" in told and self.resolved:
            section, key = told["x-default-from"].split(".")
            return self._taken_over(section, key)
        if "default" in told:
            return written(self._path(told, told["default"], place), DEFAULT)
        if "properties" in told and "required" not in told:
            inner = self._mapping(told, {}, place, secret=False)
            return Written(inner, DEFAULT) if inner else None
        return None

    def _taken_over(self, section: str, key: str) -> Written:
        data: Any = self.source.document.data.get(section, {})
        told = self.schema.resolved(self.schema.joined["properties"][section]["properties"][key])
        value = data.get(key, told["default"])
        hidden = self._is_secret(value, (section, key), secret="x-secret" in told)
        return Written(COVER if hidden else value, f"{section}.{key}")

    def _is_secret(self, value: Any, place: Place, *, secret: bool) -> bool:
        """Whether a value must not be shown; that an empty one is empty may be known."""
        interpolation = self.source.interpolation
        if place in interpolation.lazy:
            return True
        return value not in ("", None) and (secret or place in interpolation.hidden)

    def _path(self, told: Mapping[str, Any], value: Any, place: Place) -> Any:
        """A value; as an absolute path where it is one and that is wanted."""
        if not self.resolved or "x-path" not in told or not isinstance(value, str):
            return value
        file = self.source.document.value(place).file
        return str(self.source.reading.absolute(value, file))

    def _origin(self, place: Place) -> str:
        position = self.source.document.key(place)
        sources = self.source.interpolation.hidden.get(place, [])
        return ", ".join([f"{position.file}:{position.line}", *dict.fromkeys(sources)])


def leaves(of: Mapping[str, Written], place: Place = ()) -> Iterator[tuple[Place, Written]]:
    """Each single value with its place; an empty mapping or list counts as one."""
    for key, one in of.items():
        yield from _leaves(one, (*place, key))


def _leaves(of: Written, place: Place) -> Iterator[tuple[Place, Written]]:
    match of.value:
        case dict() if of.value:
            yield from leaves(of.value, place)
        case list() if of.value:
            for index, one in enumerate(of.value):
                yield from _leaves(one, (*place, index))
        case _:
            yield place, of
