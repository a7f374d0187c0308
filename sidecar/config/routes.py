"""The routes of a config: what they name must exist, and each must be reachable."""

from functools import partial
from pathlib import Path
from typing import Any

from sidecar.config.choices import budget, session_bounds
from sidecar.config.model import Match, Route, Template
from sidecar.config.part import Part
from sidecar.config.problems import Position, dotted, near
from sidecar.config.quick import KnownRoute
from sidecar.config.reading import At
from sidecar.model import NO_REPLY

DEFAULT_NAME = "default"
"""The name of the default route."""

_ANYWHERE = Path()
_TEXTS = (
    "channel",
    "account",
    "conversation",
    "conversation_prefix",
    "kind",
    "sender",
    "sender_kind",
)


def routes(root: Part) -> tuple[Route, ...]:
    """The routes in order."""
    found: list[Route] = []
    names: dict[str, At] = {}
    if isinstance(root.data.get("default_route"), dict):
        names[DEFAULT_NAME] = partial(root.key_at, "default_route")
    catch_all: tuple[str, Position] | None = None
    if root.reading.quick is not None:
        root.reading.quick.begin_again()
    for part in root.parts("routes"):
        route = _known(part) or _route(part, root, part.get("name") or dotted(part.place))
        if part.reading.quick is not None:
            part.reading.quick.note(part.place, part.source.document, part.data, route)
        found.append(route)
        _check_name(part, route.name, names)
        if catch_all is not None:
            name, position = catch_all
            message = f"never reached: the route {name!r} takes every message"
            part.problem("unreachable-route", message, level="warning", related=position)
        elif not part.data.get("match"):
            catch_all = (route.name, part.key_at())
    if catch_all is None and "default_route" not in root.data:
        message = "messages that no route matches are not answered"
        hint = "add a default_route, or a last route without match"
        at = root.key_at("routes")
        root.problem("no-default-route", message, hint=hint, level="warning", at=at)
    return tuple(found)


def _known(part: Part) -> Route | None:
    """What stands for a route that is known to be fine; its folder has to be there all the same."""
    quick = part.reading.quick
    if quick is None or not isinstance(part.data, KnownRoute):
        return None
    known = part.data.known
    if known.cwd and not part.reading.has_folder(known.cwd):
        part.problem("no-folder", f"{known.cwd} is no folder", "cwd")
    return Route(known.name, "", _ANYWHERE)


def default_route(root: Part) -> Route | None:
    """The route of what no other route takes."""
    if not root.has("default_route"):
        return None
    return _route(root.part("default_route"), root, DEFAULT_NAME)


def _route(part: Part, root: Part, name: str) -> Route:
    turn_timeout, idle_timeout = part.get("turn_timeout"), part.get("idle_timeout")
    _check_known(part, ("runtime",), "runtimes", root)
    cwd = part.absolute(part.data["cwd"], "cwd") if part.has("cwd") else None
    if cwd is not None and not part.reading.has_folder(str(cwd)):
        part.problem("no-folder", f"{part.shown(str(cwd), 'cwd')} is no folder", "cwd")
    return Route(
        name=name,
        runtime=part.get("runtime", ""),
        cwd=cwd,
        match=_match(part.part("match"), root),
        trust=part.get("trust", "owner"),
        queue=part.get("queue"),
        args=part.texts("args"),
        turn_timeout=part.duration("turn_timeout", 0.0) if turn_timeout else None,
        idle_timeout=part.duration("idle_timeout", 0.0) if idle_timeout else None,
        system_context=_template(part, "system_context"),
        user_turn=_template(part, "user_turn"),
        no_reply=part.get("no_reply", NO_REPLY),
        model=part.get("model"),
        effort=part.get("effort"),
        budget=budget(part),
        session=session_bounds(part.part("session")),
        recovery=_template(part, "recovery"),
        managed=part.is_managed,
    )


def _match(part: Part, root: Part) -> Match:
    found = part.get("channel")
    if not _has_found_channels(root):
        for index in range(len(found) if isinstance(found, list) else 0):
            _check_known(part, ("channel", index), "channels", root)
        if isinstance(found, str):
            _check_known(part, ("channel",), "channels", root)
    texts: dict[str, Any] = {key: part.texts(key) for key in _TEXTS if part.has(key)}
    return Match(**texts, mentioned=part.get("mentioned"))


def _has_found_channels(root: Part) -> bool:
    """Whether there are channels that the config does not name."""
    discovery = root.part("discovery").part("botcord")
    return bool(
        discovery.get("credentials_dir") or root.part("control_plane").get("enabled", False)
    )


def _check_known(part: Part, steps: tuple[str | int, ...], among: str, root: Part) -> None:
    """Note a problem where a text is no key of the mapping `among` of the document."""
    text: Any = part.data
    for step in steps:
        text = text[step]
    if not isinstance(text, str):
        return
    known = root.data.get(among)
    names = list(known) if isinstance(known, dict) else []
    if text not in names:
        what = among.removesuffix("s")
        told = part.shown(text, *steps)
        hint = "" if told != repr(text) else near(text, names)
        hint = hint or f"{among}: {', '.join(names) or 'none'}"
        part.problem(f"unknown-{what}", f"there is no {what} {told}", *steps, hint=hint)


def _check_name(part: Part, name: str, names: dict[str, At]) -> None:
    at = partial(part.value_at, "name") if "name" in part.data else part.key_at
    first = names.setdefault(name, at)
    if first is not at:
        message = f"two routes are named {name!r}"
        part.problem("duplicate-route", message, "name", related=first)


def _indent(text: str, written: str = "") -> int:
    """How much further to the right the first line of a text stands in its file."""
    return max(0, written.find(text.split("\n", 1)[0]))


def _template(part: Part, key: str) -> Template | None:
    found = part.get(key)
    if found is None:
        return None
    if isinstance(found, str):
        document, place = part.source.document, (*part.place, key)
        file, line = document.file(place), document.text_line(place)
        written = part.reading.lines(file)[line - 1 : line]
        return Template(file, found, line, _indent(found, *written))
    inner, reading = part.part(key), part.reading
    path = inner.absolute(inner.data["file"], "file")
    shown = inner.shown(reading.name(path), "file")
    text = reading.open(path, partial(inner.value_at, "file"), shown)
    return Template(reading.name(path), text or "")
