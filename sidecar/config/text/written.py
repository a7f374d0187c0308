"""Values as YAML that the parser reads back as the same values."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.config.text.scalars import resolve

_PLAIN = re.compile(
    r"(?!.*: )(?:--?(?=[A-Za-z]))?[A-Za-z0-9_./~](?:[A-Za-z0-9_./~+@=%: -]*[A-Za-z0-9_./~+@=%-])?"
)
"""Texts that need no quotes, in brackets neither."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value to be written: a scalar, or a mapping or list of others, and where it comes from."""

    value: str | int | float | dict[str, "Written"] | list["Written"] | None
    origin: str = ""


def written(value: object, origin: str = "") -> Written:
    """A JSON value to be written, all of it from one origin."""
    match value:
        case dict():
            return Written({key: written(one, origin) for key, one in value.items()}, origin)
        case list():
            return Written([written(one, origin) for one in value], origin)
        case str() | int() | float() | None:
            return Written(value, origin)
    raise TypeError(f"no JSON value: {type(value).__name__}")


def plain(of: Written) -> object:
    """The JSON value."""
    match of.value:
        case dict():
            return {key: plain(one) for key, one in of.value.items()}
        case list():
            return [plain(one) for one in of.value]
    return of.value


def flow(of: Written) -> str:
    """The value on one line."""
    match of.value:
        case dict():
            inner = ", ".join(f"{_scalar(key)}: {flow(one)}" for key, one in of.value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{', '.join(map(flow, of.value))}]"
    return _scalar(of.value)


def block(of: dict[str, Written], *, origins: Callable[[str], bool] = lambda origin: False) -> str:
    """A mapping, a line for each key. A comment tells where its value comes from, where `origins`
    is true of that."""
    told = _mapping(of, "")
    lines = [(text, origin if origin and origins(origin) else "") for text, origin in told]
    width = min(48, max((len(text) for text, origin in lines if origin), default=0))
    return "".join(
        f"{text:{width}}  # {origin}\n" if origin else f"{text}\n" for text, origin in lines
    )


def _mapping(of: dict[str, Written], indent: str) -> Iterator[tuple[str, str]]:
    for key, one in of.items():
        head = f"{indent}{_scalar(key)}:"
        match one.value:
            case dict() if one.value:
                yield head, ""
                yield from _mapping(one.value, f"{indent}  ")
            case list() if any(isinstance(item.value, dict) for item in one.value):
                yield head, ""
                yield from _items(one.value, f"{indent}  ")
            case str() if _fits_block(one.value):
                mark, lines = _block_text(one.value)
                yield f"{head} {mark}", one.origin
                yield from ((f"{indent}  {line}" if line else "", "") for line in lines)
            case _:
                yield f"{head} {flow(one)}", one.origin


def _items(items: Sequence[Written], indent: str) -> Iterator[tuple[str, str]]:
    for item in items:
        if isinstance(item.value, dict) and item.value:
            (first, origin), *rest = _mapping(item.value, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}", origin
            yield from rest
        else:
            yield f"{indent}- {flow(item)}", item.origin


def _fits_block(text: str) -> bool:
    """Whether a text of several lines can be a block: nothing in it needs to be escaped."""
    body = text.rstrip("\n")
    return "\n" in text and bool(body) and body[0] != " " and body.replace("\n", "").isprintable()


def _block_text(text: str) -> tuple[str, list[str]]:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    return ("|-", "|", "|+")[min(ends, 2)], (body + "\n" * max(0, ends - 1)).split("\n")


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
    text = str(value)
    return text if _PLAIN.fullmatch(text) and resolve(text) == text else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return (
        char if char.isprintable() else {"\n": "\\n", "\t": "\\t"}.get(char, f"\\U{ord(char):08X}")
    )
