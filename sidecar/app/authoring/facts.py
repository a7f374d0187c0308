"""The situation as a test, or an author, gives it: context that is left out is empty, as where
there is nothing to tell, and what does not exist is told."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from sidecar.config.model import Config
from sidecar.config.problems import near
from sidecar.core.memory import neutral
from sidecar.model import Message
from sidecar.prompts.contract import CONTRACT, PROVIDERS

_EMPTY: Mapping[str, object] = {"text": "", "int": 0, "bool": False, "list": []}
_FORMS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "a text"),
    "int": (int, "a whole number"),
    "bool": (bool, "true or false"),
    "list": (list, "a list"),
    "seconds": ((int, float), "a time in seconds"),
}
"""What a kind of value is, and what that is called. All other kinds are mappings."""
_NONE = frozenset(entry.name for entry in CONTRACT if entry.type.endswith(" or none"))
_TYPES = {entry.name: entry.type.partition(" ")[0] for entry in CONTRACT}


def given(facts: Mapping[str, object], now: float) -> dict[str, object]:
    """The facts, complete. A time that is left out is `now`, in seconds since the epoch."""
    return {name: _filled(value, name, now) for name, value in facts.items()}


def unknown(facts: Mapping[str, object], others: Collection[str] = ()) -> Iterator[str]:
    """What of the facts does not exist, or is of the wrong kind, in words. `others` are the
    contexts of other packages, of which nothing is known but their names."""
    known = {*PROVIDERS, *others}
    for name, value in facts.items():
        if name not in known:
            yield f"there is no context {name!r}: {_meant(name, known)}"
        elif name in PROVIDERS:
            yield from _unknown(value, name)


def unknown_channels(messages: Iterable[Message], config: Config) -> Iterator[str]:
    """The channels of messages that the config does not have, in words. Where it finds channels in
    a folder, any may be there."""
    if config.discovery.botcord_credentials_dir is not None or not config.channels:
        return
    for name in dict.fromkeys(message.channel for message in messages):
        if name not in config.channels:
            yield f"there is no channel {name!r}: {_meant(name, config.channels)}"


def _unknown(value: object, place: str) -> Iterator[str]:
    if wanted := _wrong_form(value, place):
        yield f"{place} is {wanted}, not {value!r}"
    elif isinstance(value, list):
        for one in value:
            yield from _unknown(one, f"{place}[]")
    elif isinstance(value, Mapping):
        known = _inside(place)
        for key, one in value.items():
            if key in known:
                yield from _unknown(one, f"{place}.{key}")
            else:
                yield f"{place} has no {key!r}: {_meant(str(key), known)}"


def _wrong_form(value: object, place: str) -> str:
    """What stands at a place, where the value is no such thing."""
    kind = "" if place.endswith("[]") else _TYPES[place]
    form, told = _FORMS.get(kind, (Mapping, "a mapping"))
    if value is None and (place in _NONE or kind == "seconds"):
        return ""
    if isinstance(value, bool) and kind != "bool":
        return told
    return "" if isinstance(value, form) else told


def _meant(name: str, known: Collection[str]) -> str:
    return near(name, known) or f"there are {', '.join(sorted(known))}"


def _inside(place: str) -> Mapping[str, str]:
    """The names in a mapping that stands at a place, and their kinds."""
    found = {name.removeprefix(f"{place}."): kind for name, kind in _TYPES.items()
             if name.startswith(f"{place}.")}  # fmt: skip
    return {name: kind for name, kind in found.items() if "." not in name}


def _filled(value: object, place: str, now: float) -> object:
    if isinstance(value, list):
        return [_filled(one, f"{place}[]", now) for one in value]
    if isinstance(value, str) and place.startswith("memory."):
        return neutral(value)  # as the provider does it
    if not isinstance(value, Mapping):
        return value
    empty = {name: now if kind == "seconds" else _EMPTY.get(kind)
             for name, kind in _inside(place).items()}  # fmt: skip
    return {**empty, **{key: _filled(one, f"{place}.{key}", now) for key, one in value.items()}}
