"""A short name for what a configuration means: equal ones have the same."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any

from sidecar.config.model import Config, Route

LENGTH = 12
"""Hexadecimal digits that are kept: enough to tell two configurations apart, and too few to find
out a secret that is part of one."""


class Digester:
    """Names one configuration after the other: a route that was in the last one, the same object,
    is not looked at again."""

    def __init__(self) -> None:
        self._routes: tuple[Route, ...] = ()
        self._hashes: list[bytes] = []

    def digest(self, config: Config) -> str:
        """The beginning of a SHA-256 over all that the configuration says."""
        known = dict(zip(map(id, self._routes), self._hashes, strict=True))
        hashes = [known.get(id(route)) or _hash(route) for route in config.routes]
        self._routes, self._hashes = config.routes, hashes
        told = b"".join((_hash(replace(config, routes=())), *hashes))
        return hashlib.sha256(told).hexdigest()[:LENGTH]


def _hash(part: Config | Route) -> bytes:
    return hashlib.sha256(_encode(part).encode("utf-8", "surrogatepass")).digest()


def _plain(value: object) -> object:
    kind: type = type(value)
    return _plainly(kind)(value)


@cache
def _plainly(kind: type) -> Callable[[Any], object]:
    """What makes plain data of values of a type: of a dataclass its name and its fields."""
    if is_dataclass(kind):
        names = (field.name for field in fields(kind) if field.compare)
        return attrgetter("__class__.__name__", *names)
    return sorted if issubclass(kind, frozenset) else str


_encode = json.JSONEncoder(default=_plain, sort_keys=True, separators=(",", ":")).encode
