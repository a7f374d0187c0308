"""Filters for prompts. Those that Jinja has too are here because theirs have no bounds."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from datetime import date as date_
from typing import Any, Literal

from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import do_indent, do_int, do_round, make_attrgetter
from jinja2.runtime import Context, LoopContext, Undefined

from sidecar.core import sanitise as core
from sidecar.prompts.meter import meter_of
from sidecar.prompts.operators import allow, check
from sidecar.prompts.texts import NoText, text_of
from sidecar.prompts.view import View, parts_of

WIDEST_INDENT = 100
MOST_DIGITS = 15
"""To which `round` goes, on either side of the point."""
LONGEST_NUMBER = 1000
"""Characters of a text that `int` reads."""
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
    | {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def sanitize(value: object) -> str:
    """Text in which nothing can pass for the sidecar's own words."""
    return core.sanitise(text_of(value))


def label(value: object, limit: int = core.LABEL_LIMIT) -> str:
    """A name as one field of a header line, of at most `limit` characters."""
    return core.label(text_of(value), limit)


def xml_attr(value: object) -> str:
    """Text for between the quotes of an attribute."""
    return text_of(value).translate(_ATTRIBUTE)


def truncate(value: object, length: int = 255, killwords: bool = False, end: str = "…") -> str:
    """At most `length` characters, `end` included; only `killwords` lets it end within a word."""
    text = text_of(value)
    if len(text) <= length:
        return text
    short = core.cut(text, max(0, length - len(end)))
    if not killwords:
        short = short.rpartition(" ")[0] or short
    return f"{short.rstrip()}{end}"[: max(0, length)]


@pass_context
def timeago(context: Context, value: datetime | float | None) -> str:
    """How long before `now` a time is: `just now`, `5m ago`, `3h ago`, `2d ago`."""
    minutes = int((context.parent["now"] - _time(value)).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes}m ago"
    return f"{minutes // 60}h ago" if minutes < 48 * 60 else f"{minutes // 1440}d ago"


def date(value: datetime | float | None, format: str = "%Y-%m-%d %H:%M UTC") -> str:  # noqa: A002
    """A time, in UTC, in a format of `strftime`."""
    return _time(value).strftime(format)


@pass_context
def indent(
    context: Context, value: object, width: int | str = 4, first: bool = False, blank: bool = False
) -> str:
    """The text with its lines, but the first one, moved to the right."""
    text = text_of(value)
    wide = len(width) if isinstance(width, str) else width
    if wide > WIDEST_INDENT:
        raise SecurityError(f"indent is for at most {WIDEST_INDENT} characters")
    meter_of(context).write(len(text) + wide * (text.count("\n") + 1))
    return do_indent(text, width, first, blank)


@pass_context
def join(
    context: Context, value: Iterable[object], d: str = "", attribute: str | int | None = None
) -> str:
    """The items, or an attribute of each, as one text with `d` between them."""
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    between, texts = text_of(d), [text_of(item) for item in value]
    meter_of(context).write(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@pass_context
def replace(context: Context, value: object, old: str, new: str, count: int = -1) -> str:
    """The text with `new` for each `old`, or for the first `count` of them."""
    text, before, after = text_of(value), text_of(old), text_of(new)
    grown = text.count(before) * max(0, len(after) - len(before))
    meter_of(context).write(len(text) + grown)
    return text.replace(before, after, count)


@pass_context
def tojson(context: Context, value: object, indent: int | None = None) -> str:
    """JSON in which no tag can be read: `<` is written as an escape. Times are ISO texts, what has
    attributes is a mapping of them."""
    if indent is not None and indent > WIDEST_INDENT:
        raise SecurityError(f"indent is for at most {WIDEST_INDENT} characters")
    meter, parts = meter_of(context), list[str]()
    encoder = json.JSONEncoder(ensure_ascii=False, indent=indent, default=_plain)
    for part in encoder.iterencode(value):  # one value may be in another many times
        parts.append(part.replace("<", "\\u003c"))
        meter.write(len(parts[-1]))
    return "".join(parts)


def round_(
    value: float, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common"
) -> float:
    """The number, to so many digits after the point."""
    allow("round", abs(precision) <= MOST_DIGITS)
    return do_round(value, precision, method)


def int_(value: Any, default: int = 0, base: int = 10) -> int:
    """The whole number, or the default where it is none, or is too long."""
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return default
    return do_int(value, default, base)


@pass_context
def divisible(context: Context, value: int, number: int) -> bool:
    """Whether one number divides another."""
    allow("divisibleby", not isinstance(value, str))
    check(context, "%", value, number)
    return value % number == 0


def _time(value: datetime | float | None) -> datetime:
    if value is None:
        raise NoText(value)
    return value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)


def _plain(value: object) -> object:
    """What stands in JSON for a value that it does not know."""
    match value:
        case View():
            return parts_of(value)
        case date_() | time():
            return value.isoformat()
        case Iterator() | range() if not isinstance(value, LoopContext):  # such as that of `map`
            return list(value)
        case Undefined():
            return str(value)  # which raises
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _of_text(function: Callable[..., object]) -> Callable[..., object]:
    """One of Jinja's filters, which would take anything for a text."""

    def filter_(value: object, *args: object, **kwargs: object) -> object:
        return function(text_of(value), *args, **kwargs)

    return filter_


OF_TEXTS = ("capitalize", "lower", "string", "title", "trim", "upper", "wordcount")
FILTERS: Mapping[str, Callable[..., object]] = {
    function.__name__.rstrip("_"): function
    for function in (
        sanitize, label, xml_attr, truncate, timeago, date, indent, join, replace, tojson,
        round_, int_,
    )
} | {name: _of_text(JINJA_FILTERS[name]) for name in OF_TEXTS}  # fmt: skip
"""By name."""
PRINTING = frozenset(
    (*OF_TEXTS, "date", "indent", "label", "replace", "sanitize", "timeago", "truncate", "xml_attr")
)
"""Those that take one text, or one time, and so refuse what cannot be printed."""
