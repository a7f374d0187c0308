"""The context as a test, or an author, gives it: what is left out is empty, as where there is
nothing to tell."""

from collections.abc import Mapping

from sidecar.prompts.contract import CONTRACT

_EMPTY: Mapping[str, object] = {"text": "", "int": 0, "bool": False, "list": []}
_TYPES = {entry.name: entry.type.partition(" ")[0] for entry in CONTRACT}


def given(facts: Mapping[str, object], now: float) -> dict[str, object]:
    """The facts, complete. A time that is left out is `now`, in seconds since the epoch."""
    return {name: _filled(value, name, now) for name, value in facts.items()}


def _filled(value: object, place: str, now: float) -> object:
    if isinstance(value, list):
        return [_filled(one, f"{place}[]", now) for one in value]
    if not isinstance(value, Mapping):
        return value
    inner = {name.removeprefix(f"{place}."): kind for name, kind in _TYPES.items()
             if name.startswith(f"{place}.")}  # fmt: skip
    empty = {name: now if kind == "seconds" else _EMPTY.get(kind)
             for name, kind in inner.items() if "." not in name}  # fmt: skip
    return {**empty, **{key: _filled(one, f"{place}.{key}", now) for key, one in value.items()}}
