"""Errors of the JSON Schema as problems for people: where, what, and what to write instead."""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sidecar.config.problems import Place, Problem, dotted, near, similar
from sidecar.config.text.document import Document
from sidecar.config.values import EXPECTED, PARSERS

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

HIDDEN = "a value from ${…}"
"""Stands for a value that must not be shown."""
WRITTEN = "a text that is not shown"
"""Stands for a secret text that is written in the config itself."""
DEPRECATED = "deprecated"
"""The keyword of a key that still works and should not be used; `x-replacement` is a better one."""

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
MOST = 200
"""Problems of one level or kind that are told: more help nobody, and take seconds to find."""
_LONGEST = 60
"""Characters of a wrong value that are shown."""
_NUMBER = re.compile(r"([0-9]+)[ _/]*([A-Za-z]*)")
_NO_NAME = re.compile(r"[=:\s]")
"""Ends what can be a name in a key among secrets: in `{TOKEN=secret}` the key is all of it."""
_COMMAS = re.compile(r"[,\s]+")
_SIZE_UNITS = {"": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A problem of form, and the place that it spoils.

    One that does not break the place leaves it usable: an unknown key can be left out.
    """

    problem: Problem
    place: Place
    breaks: bool = True


def explain(
    errors: "Iterable[ValidationError]", document: Document, hidden: Mapping[Place, str]
) -> list[Mistake]:
    """The mistakes that errors tell of, each once, the first `MOST` of them. Values at `hidden`
    places are not shown, but what stands for them."""
    found: dict[Mistake, None] = {}
    for mistake in (one for error in errors for one in _mistakes(error, document, hidden)):
        found[mistake] = None
        if len(found) == MOST:
            break
    return list(found)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A keyword of a schema that a value does not fulfil."""

    keyword: str
    wanted: Any
    schema: Mapping[str, Any]
    value: Any
    shown: str
    secret: str
    key: str | int


def _mistakes(
    error: "ValidationError", document: Document, hidden: Mapping[Place, str]
) -> Iterator[Mistake]:
    place: Place = tuple(error.absolute_path)
    secret = hidden.get(place, "")
    failed = _Failed(
        keyword=str(error.validator),
        wanted=error.validator_value,
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        value=error.instance,
        shown=_shown(error.instance, secret),
        secret=secret,
        key=place[-1] if place else "",
    )
    if "propertyNames" in error.absolute_schema_path:
        there = (*place, str(failed.value))
        shown = _shown(name_of(str(failed.value)) if secret else failed.value)
        message, path = f"{shown} is not {expected(failed.schema)}", _path(there, hidden)
        yield Mistake(Problem("bad-name", message, document.key(there), path), there)
    elif failed.keyword == "additionalProperties":
        yield from _unknown_keys(failed, document, place)
    elif failed.keyword == "required":
        yield from _missing_keys(failed, document, place)
    elif failed.keyword == DEPRECATED:
        yield Mistake(_deprecated_key(failed, document, place), place, breaks=False)
    else:
        code = "wrong-type" if failed.keyword == "type" else "wrong-value"
        message = _MESSAGES.get(failed.keyword, _does_not_fit)(failed)
        at, path = document.value(place), _path(place, hidden)
        yield Mistake(Problem(code, message, at, path, _hint(failed)), place)


def name_of(key: str) -> str:
    """A key that stands among secrets, without what may be one."""
    name = _NO_NAME.split(key, maxsplit=1)[0]
    return name if name == key else f"{name}…"


def _path(place: Place, hidden: Mapping[Place, str]) -> str:
    among_secrets = place[:-1] in hidden and isinstance(place[-1], str)
    return dotted((*place[:-1], name_of(str(place[-1]))) if among_secrets else place)


def _unknown_keys(failed: _Failed, document: Document, place: Place) -> Iterator[Mistake]:
    known = failed.schema["properties"]
    for key in failed.value:
        if key not in known:
            there = (*place, key)
            free = [one for one in known if one not in failed.value]
            hint = near(key, free) or f"known keys: {', '.join(known)}"
            message, at = f"unknown key {key!r}", document.key(there)
            problem = Problem("unknown-key", message, at, dotted(there), hint)
            yield Mistake(problem, there, breaks=False)


def _missing_keys(failed: _Failed, document: Document, place: Place) -> Iterator[Mistake]:
    known = failed.schema.get("properties", {})
    for key in failed.wanted:
        if key not in failed.value:
            told = known.get(key)
            hint = told.get("description", "") if isinstance(told, Mapping) else ""
            mistyped = similar(key, (one for one in failed.value if one not in known))
            if mistyped is not None:
                hint = f"did you write {mistyped!r} for it?"
            message, at = f"the key {key!r} is missing", document.key(place)
            yield Mistake(Problem("missing-key", message, at, dotted(place), hint), place)


def _deprecated_key(failed: _Failed, document: Document, place: Place) -> Problem:
    better = failed.schema.get("x-replacement")
    hint = f"use {better!r} instead" if better else ""
    message, at = f"the key {place[-1]!r} is deprecated", document.key(place)
    return Problem("deprecated-key", message, at, dotted(place), hint, level="warning")


def _does_not_fit(failed: _Failed) -> str:
    return f"{failed.shown} does not fit ({failed.keyword})"


def _expects(failed: _Failed) -> str:
    return f"expected {expected(failed.schema)}, found {failed.shown}"


_MESSAGES: Mapping[str, Callable[[_Failed], str]] = MappingProxyType(
    {
        "type": _expects,
        "pattern": _expects,
        "enum": lambda failed: f"{failed.shown} is not one of {words(failed.wanted)}",
        "const": lambda failed: f"expected {_shown(failed.wanted)}, found {failed.shown}",
        "minimum": lambda failed: f"{failed.shown} is less than {failed.wanted}",
        "maximum": lambda failed: f"{failed.shown} is more than {failed.wanted}",
        "exclusiveMinimum": lambda failed: f"{failed.shown} is not more than {failed.wanted}",
        "minLength": lambda _: "the text is empty",
        "minItems": lambda _: "the list is empty",
    }
)


def _hint(failed: _Failed) -> str:
    """What to write instead, where it can be guessed."""
    if failed.secret == HIDDEN:
        return "what ${…} gives is always a text" if failed.keyword == "type" else ""
    value = failed.value
    if failed.secret and isinstance(value, str):
        return ""
    if failed.keyword == "enum":
        return near(str(value), map(str, failed.wanted))
    if failed.keyword not in ("type", "pattern"):
        return ""
    if value is None:
        return "remove the key, or give it a value"
    if "x-kind" in failed.schema:
        return _with_unit(failed.schema["x-kind"], value)
    return _in_right_type(failed, value, _types(failed.schema))


def _in_right_type(failed: _Failed, value: object, types: Collection[str]) -> str:
    word = str(value).lower()
    if "string" in types and isinstance(value, bool | int | float):
        return "a text goes in quotes" + ("" if failed.secret else f': "{failed.shown}"')
    if "boolean" in types and word in _BOOLEANS:
        return f"did you mean {_BOOLEANS[word]}?"
    if isinstance(value, str) and "integer" in types and word.isascii() and word.isdigit():
        return f"a number has no quotes: {word}"
    if "array" in types and isinstance(value, str):
        return _as_list(failed, value)
    return ""


def _as_list(failed: _Failed, text: str) -> str:
    """A question with the list that a text would be: of arguments and of names, with an item for
    each word."""
    from sidecar.config.text.written import flow, written  # only for a mistake

    items = failed.schema.get("items", {})
    if failed.key in ("args", "command") or "x-command" in failed.schema:
        try:
            found = shlex.split(text)
        except ValueError:  # a quote is not closed
            return ""
    elif str(items.get("$ref")).startswith("#/definitions/env_name"):
        found = [word for word in _COMMAS.split(text) if word]
    else:
        found = [text]
    return f"did you mean {flow(written(found))}?" if found else ""


def _with_unit(kind: str, value: object) -> str:
    """A question with the number and a unit that would do."""
    found = _NUMBER.fullmatch(str(value))
    if not found:
        return ""
    number, unit = found[1], found[2].lower()
    candidates = {
        "duration": number + (unit if unit == "ms" else unit[:1] or "s"),
        "size": number + _SIZE_UNITS.get(unit[:1], ""),
        "memory": number + _SIZE_UNITS.get(unit[:1], ""),
        "rate": f"{number}/1{unit[:1] or 'm'}",
    }
    try:
        PARSERS[kind](candidates[kind])
    except ValueError:
        return ""
    return f"did you mean {candidates[kind]}?"


def expected(schema: Mapping[str, Any]) -> str:
    """What a schema takes, in words."""
    if "x-kind" in schema:
        return EXPECTED[schema["x-kind"]]
    if "x-expected" in schema:
        return str(schema["x-expected"])
    return " or ".join(_TYPES[one] for one in _types(schema))


def _types(schema: Mapping[str, Any]) -> list[str]:
    told = schema.get("type", list(_TYPES))
    return [told] if isinstance(told, str) else list(told)


def words(values: Iterable[object]) -> str:
    """Choices as people write them."""
    return ", ".join("null" if value is None else str(value) for value in values)


def _shown(value: object, secret: str = "") -> str:
    """A value in a few words; of a secret, what kind it is, or what stands for it."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() if secret:
            return secret
        case bool():
            return _TYPES["boolean"] if secret else str(value).lower()
        case int() | float() if secret:
            return _TYPES["number"]
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
