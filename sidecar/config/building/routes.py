"""The routes of a config: what they name must exist, and each must be reachable."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

from sidecar.config.building.choices import budget, session_bounds
from sidecar.config.building.part import Part
from sidecar.config.model import Match, Route, SessionBounds, Template
from sidecar.config.problems import Position, dotted, near
from sidecar.config.reading.quick import KnownRoute, QuickRoutes
from sidecar.config.reading.reach import EVERY_MESSAGE, Conditions, conditions, unreached
from sidecar.model import NO_REPLY, ConversationKind, SenderKind

DEFAULT_NAME = "default"
"""The name of the default route."""

_KNOWN = Route("", "", None)
"""What stands for each route that is known to be fine."""
_UNBOUND = SessionBounds()
_TEXTS = (
    "channel",
    "account",
    "conversation",
    "conversation_prefix",
    "kind",
    "sender",
    "sender_kind",
)
_MATCH = frozenset((*_TEXTS, "mentioned"))
_IDS = (
    ("sender", "sender_kind", frozenset(get_args(SenderKind))),
    ("conversation", "kind", frozenset(get_args(ConversationKind))),
)
"""Keys of a match that are ids, and those that somebody means who gives them one of these words."""
_WORD = re.compile(r"[^\s{]+")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_FILES = (".j2", ".jinja", ".jinja2", ".md", ".txt")
"""How the names of files end that templates stand in."""


def routes(root: Part) -> tuple[Route, ...]:
    """The routes in order."""
    found: list[Route] = []
    order = _Order(root)
    reading, listed = root.reading, root.data.get("routes")
    quick = reading.quick
    if quick is not None:
        quick.begin_again()
    parts = {part.place[-1]: part for part in root.parts("routes")}
    for number, data in enumerate(listed if isinstance(listed, list) else ()):
        if quick is not None and isinstance(data, KnownRoute):
            _, name, cwd, told = quick.known.routes[data.number]
            if cwd and not reading.has_folder(cwd):
                root.problem("no-folder", f"{cwd!r} is no folder", "routes", number, "cwd")
            quick.kept.append(data.number)
            found.append(_KNOWN)
        elif number in parts:
            part, problems = parts[number], len(reading.problems)
            route = _route(part, root, part.get("name") or dotted(part.place))
            name, told = route.name, _conditions(part, route)
            if quick is not None:
                fine = len(reading.problems) == problems
                quick.note(part.place, part.source.document, part.data, route, told, fine=fine)
            found.append(route)
        else:
            continue
        order.add(number, name, told)
    order.end(quick)
    return tuple(found)


class _Order:
    """What matters of the routes, one after the other, for those that follow."""

    def __init__(self, root: Part) -> None:
        self._root = root
        self._first: dict[str, int | None] = {}
        if isinstance(root.data.get("default_route"), dict):
            self._first[DEFAULT_NAME] = None
        self._routes: list[tuple[int, str]] = []
        self._told: list[Conditions | None] = []

    def add(self, number: int, name: str, told: Conditions | None) -> None:
        """Note a route, and whether its name is another one's."""
        self._routes.append((number, name))
        self._told.append(told)
        first = self._first.setdefault(name, number)
        if first != number:
            message = f"two routes are named {self._shown(number, name)}"
            related = partial(self._name_at, first)
            self._root.problem(
                "duplicate-route", message, "routes", number, "name", related=related
            )

    def end(self, quick: QuickRoutes | None) -> None:
        """Note what is wrong with the order of all of them."""
        known = None if quick is None else quick.unreached_before(self._told)
        found = unreached(self._told) if known is None else known
        if quick is not None:
            quick.unreached = found
        for index, takers in found.items():
            self._unreached(index, takers)
        if EVERY_MESSAGE not in self._told and "default_route" not in self._root.data:
            message = "messages that no route matches are not answered"
            hint = "add a default_route, or a last route without match"
            at = self._root.key_at("routes")
            self._root.problem("no-default-route", message, hint=hint, level="warning", at=at)

    def _unreached(self, index: int, takers: Sequence[int]) -> None:
        number, _ = self._routes[index]
        first, name = self._routes[takers[0]]
        takes_all = self._told[takers[0]] == EVERY_MESSAGE
        what = "every message" if takes_all else "all that it would take"
        taker = f"the route {self._shown(first, name)} takes"
        if len(takers) > 1:
            taker = f"{len(takers)} earlier routes take"
        related = partial(self._root.key_at, "routes", first)
        self._root.problem(
            "unreachable-route", f"never reached: {taker} {what}", "routes", number,
            level="warning", related=related,
        )  # fmt: skip

    def _shown(self, number: int, name: str) -> str:
        return self._root.shown(name, "routes", number, "name")

    def _name_at(self, number: int | None) -> Position:
        """Where a route is named; of None, the default route."""
        if number is None:
            return self._root.key_at("default_route")
        data = self._root.data["routes"][number]
        if isinstance(data, KnownRoute) or "name" in data:
            return self._root.value_at("routes", number, "name")
        return self._root.key_at("routes", number)


def default_route(root: Part) -> Route | None:
    """The route of what no other route takes."""
    if not root.has_part("default_route"):
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
        budget=budget(part) if part.has("budget") else None,
        session=session_bounds(part.part("session")) if part.has("session") else _UNBOUND,
        recovery=_template(part, "recovery"),
        managed=part.is_managed,
    )


def _conditions(part: Part, route: Route) -> Conditions | None:
    """What has to hold for a route; None where its match is wrong, and so means nothing."""
    wrong = part.is_broken("match") or not part.data.get("match", {}).keys() <= _MATCH
    return None if wrong else conditions(route.match)


def _match(part: Part, root: Part) -> Match:
    found = part.get("channel")
    if found is not None and not _has_found_channels(root):
        for index in range(len(found) if isinstance(found, list) else 0):
            _check_known(part, ("channel", index), "channels", root)
        if isinstance(found, str):
            _check_known(part, ("channel",), "channels", root)
    texts: dict[str, Any] = {key: part.texts(key) for key in _TEXTS if part.has(key)}
    for key, meant, kinds in _IDS:
        if not kinds.isdisjoint(texts.get(key, ())):
            _check_ids(part, key, meant, kinds)
    return Match(**texts, mentioned=part.get("mentioned"))


def _check_ids(part: Part, key: str, meant: str, kinds: frozenset[str]) -> None:
    """Warn of a word where an id belongs."""
    for index, text in enumerate(part.texts(key)):
        if text in kinds:
            steps = (key,) if isinstance(part.data[key], str) else (key, index)
            shown = part.shown(text, *steps)
            told = f"{key!r} is an id, and {shown} is the word for a kind"
            hint = f"did you mean {meant}: {shown}?"
            part.problem("kind-as-id", told, *steps, hint=hint, level="warning")


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


def _indent(text: str, written: str = "") -> int:
    """How much further to the right the first line of a text stands in its file."""
    return max(0, written.find(text.split("\n", 1)[0]))


def _check_text(part: Part, key: str, text: str) -> None:
    """Warn of a template that is the path of a file."""
    if not _WORD.fullmatch(text):
        return
    path = part.absolute(text, key)
    is_file = part.system.exists(path) and not part.system.is_dir(path)
    if is_file or text.endswith(_FILES):
        told = "this text itself is what the agent gets, not what a file holds"
        hint = f"did you mean {{file: {text}}}?"
        part.problem("path-as-text", told, key, hint=hint, level="warning")


def _check_printing(part: Part, key: str, text: str | None, name: str) -> None:
    """Warn of an empty template where what was said would be lost."""
    if key == "user_turn" and text is not None and not _COMMENT.sub("", text).strip():
        told = f"{name} is empty: the built-in template takes its place"
        part.problem("empty-template", told, key, level="warning")


def _template(part: Part, key: str) -> Template | None:
    found = part.get(key)
    if found is None:
        return None
    if isinstance(found, str):
        _check_text(part, key, found.strip())
        _check_printing(part, key, found, "the template")
        document, place = part.source.document, (*part.place, key)
        file, line = document.file(place), document.text_line(place)
        written = part.reading.lines(file)[line - 1 : line]
        return Template(file, found, line, _indent(found, *written))
    inner, reading = part.part(key), part.reading
    path = inner.absolute(inner.data["file"], "file")
    shown = inner.shown(reading.name(path), "file")
    text = reading.open(path, partial(inner.value_at, "file"), shown)
    _check_printing(part, key, text, shown)
    return Template(reading.name(path), text or "")
