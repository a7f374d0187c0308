"""Routes added to the text of a config, or taken out of it; all else stays to the letter."""

import re
from collections.abc import Mapping, Sequence

from sidecar.config.problems import near
from sidecar.config.text.document import Document
from sidecar.config.text.written import flow, written

_ROUTES = "routes"
_NUMBERED = re.compile(r"routes\[\d+\]")
"""What a route without a name is called where routes are shown."""
_DASH = re.compile(r"( *)-( +)")
_EMPTY = re.compile(r"(routes *:) *(?:\[ *\]|~|null)? *(#.*)?\r?\n?")
_QUIET = re.compile(r" *(?:#.*)?\r?\n?")
"""A line that is blank, or only a comment."""


class NotEditable(Exception):
    """The text cannot be edited so; the exception tells why, and what to do instead."""


def index_of(data: Mapping[str, object], name: str, whose: object = "the file") -> int:
    """The place of the route with a name among those in the data of a document.

    Raises:
        NotEditable: there is none; the text tells which ones `whose` data has.
    """
    there = [one.get("name") if isinstance(one, dict) else None for one in _routes(data)]
    if name in there:
        return there.index(name)
    named = [one for one in there if isinstance(one, str)]
    if _NUMBERED.fullmatch(name):
        hint = "a route without a name is edited in the file, or given a `name` there first"
    else:
        known = f"the names are {', '.join(named)}" if named else "none has a name"
        hint = near(name, named) or known
    raise NotEditable(f"no route of {whose} is named {name!r}: {hint}")


def _routes(data: Mapping[str, object]) -> list[object]:
    routes = data.get(_ROUTES)
    return routes if isinstance(routes, list) else []


def added(
    text: str, document: Document, route: Mapping[str, object], before: str | None = None
) -> str:
    """The text of a document with one more route: as the last one, or before another.

    Raises:
        NotEditable: the text is not laid out so that it can be done.
    """
    lines = _lines(text)
    if not _routes(document.data):
        if before is not None:
            raise NotEditable(f"there is no route {before!r}: the config has none")
        return _joined(_first(lines, document, route), text)
    index = None if before is None else index_of(document.data, before)
    at = _end(lines, document, -1) if index is None else _start(lines, document, index)
    dash, key = _columns(lines, document, index or 0)
    lines[at:at] = _item(route, dash, key)
    return _joined(lines, text)


def removed(text: str, document: Document, name: str) -> str:
    """The text of a document without a route, and without the comment right above it.

    Raises:
        NotEditable: there is no such route, or the text is not laid out so that it can be done.
    """
    lines, index = _lines(text), index_of(document.data, name)
    start, end = _start(lines, document, index), _end(lines, document, index)
    if len(_routes(document.data)) == 1:
        at = document.key((_ROUTES,)).line - 1
        lines[at] = re.sub(r"(routes *:)", r"\1 []", lines[at], count=1)
    del lines[start:end]
    return "".join(lines)


def _joined(lines: Sequence[str], text: str) -> str:
    """The lines as a text, in which all end as those of `text` do, if these end alike."""
    joined = "".join(lines)
    if text.count("\r\n") < text.count("\n") or "\n" not in text:
        return joined
    return re.sub(r"(?<!\r)\n", "\r\n", joined)


def _lines(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return lines


def _first(lines: list[str], document: Document, route: Mapping[str, object]) -> list[str]:
    """The lines with the first route: where an empty list is, or before the default route."""
    item = _item(route, 2, 4)
    if _ROUTES in document.data:
        at = document.key((_ROUTES,)).line - 1
        found = _EMPTY.fullmatch(lines[at])
        if found is None:
            raise NotEditable(f"line {at + 1} holds more than `routes`: write it on its own line")
        lines[at] = f"{found[1]}{f'  {found[2]}' if found[2] else ''}\n"
        return [*lines[: at + 1], *item, *lines[at + 1 :]]
    default = document.keys.get(("default_route",))
    if default is not None and default.column != 1:
        raise NotEditable("the config is written on one line, in brackets")
    at = len(lines) if default is None else _above(lines, default.line - 1, 0)
    return [*lines[:at], "routes:\n", *item, *lines[at:]]


def _item(route: Mapping[str, object], dash: int, key: int) -> list[str]:
    """A route as an item of a list, its dash and its keys in these columns."""
    told = [f"{name}: {flow(written(value))}\n" for name, value in route.items()]
    head = f"{' ' * dash}-".ljust(key)
    return [f"{head}{told[0]}", *(f"{' ' * key}{line}" for line in told[1:])]


def _columns(lines: Sequence[str], document: Document, index: int) -> tuple[int, int]:
    """Where the dash of a route stands, and where its keys do, from 0."""
    at = document.values[(_ROUTES, index)].line - 1
    found = _DASH.match(lines[at])
    if found is None or found.end() != document.values[(_ROUTES, index)].column - 1:
        raise NotEditable(f"line {at + 1} does not begin with the `- ` of a route")
    return len(found[1]), found.end()


def _start(lines: Sequence[str], document: Document, index: int) -> int:
    """The first line of a route, with the comment right above it."""
    dash, _ = _columns(lines, document, index)
    return _above(lines, document.values[(_ROUTES, index)].line - 1, dash)


def _above(lines: Sequence[str], at: int, column: int) -> int:
    mark = f"{' ' * column}#"
    while at > 0 and lines[at - 1].startswith(mark):
        at -= 1
    return at


def _end(lines: Sequence[str], document: Document, index: int) -> int:
    """The line after the last one of a route. What is blank there is not its own, and a comment
    only where it stands to the right of the dash, as keys that are commented out do."""
    number = index if index >= 0 else len(_routes(document.data)) + index
    dash, _ = _columns(lines, document, number)
    end = at = document.values[(_ROUTES, number)].line
    while at < len(lines):
        inside = len(lines[at]) - len(lines[at].lstrip(" ")) > dash
        if lines[at].strip() and inside:
            end = at + 1
        elif not _QUIET.fullmatch(lines[at]):
            break
        at += 1
    return end
