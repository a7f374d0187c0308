"""What a channel or a context provider told, made safe for templates.

Whoever tells it: others wrote the rules, previews and names in it.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from sidecar.core.sanitise import cut, label, sanitise
from sidecar.prompts.contract import PROVIDERS

DEEPEST = 8
"""Levels of mappings and lists; what is deeper is left out."""
WIDEST = 200
"""Values of one list or mapping; what is more is left out."""
LONGEST = 100_000
"""Characters of one text; what is more is left out."""


def provided(facts: Mapping[str, object], others: Iterable[str] = ()) -> dict[str, object]:
    """The value of each context provider by name: what it told, else its empty value. `others`
    are the providers of other packages."""
    told = {**PROVIDERS, **dict.fromkeys(others)}
    return {name: safe(facts[name]) if name in facts else told[name] for name in told}


def safe(value: object, depth: int = 0) -> object:
    """Plain data with all its texts sanitised, and its keys as labels; what is no plain data is
    nothing."""
    if isinstance(value, str):
        return sanitise(value if len(value) <= LONGEST else cut(value, LONGEST))
    if value is None or isinstance(value, int | float):
        return value
    if depth < DEEPEST:
        if isinstance(value, dict | Mapping):
            return safe_mapping(value, depth + 1)
        if isinstance(value, list | tuple):
            return [safe(one, depth + 1) for one in value[:WIDEST]]
    return None


def safe_mapping(found: Mapping[str, object], depth: int = 1) -> dict[str, object]:
    """A mapping, made safe."""
    pairs = found.items() if len(found) <= WIDEST else islice(found.items(), WIDEST)
    return {label(str(key)): safe(value, depth) for key, value in pairs}
