"""A short name for what a configuration means: equal ones have the same."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from functools import cache

from sidecar.config.model import Config

LENGTH = 12
"""Hexadecimal digits that are kept: enough to tell two configurations apart, and too few to find
out a secret that is part of one."""


def digest(config: Config) -> str:
    """The beginning of a SHA-256 over all that the configuration says."""
    text = json.dumps(config, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH]


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(getattr(value, name) for name in _compared(type(value)))]
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value)


@cache
def _compared(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.compare)
