"""What differs between two configurations, key by key, and what a change of each key takes.

Only the places of keys are told, never values: some are secret.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from sidecar.config.comparing.plan import Action, Change, Plan, Reload
from sidecar.config.model import (
    Channel,
    Config,
    Context,
    Discovery,
    FileText,
    Rate,
    Route,
    Runtime,
    Server,
    Template,
)
from sidecar.config.problems import dotted

RELOAD: Mapping[str, Reload] = MappingProxyType(
    {
        "version": "process",
        "state": "process",
        "server": "process",
        "server.token": "hot",
        "channels": "component",
        "channels.grant": "hot",
        "channels.allow": "hot",
        "channels.rate_limit": "hot",
        "channels.loop_guard": "hot",
        "channels.notices": "hot",
        "runtimes": "component",
        "control_plane": "component",
        "control_plane.public_keys": "hot",
        "control_plane.roots": "hot",
    }
)
"""By top-level key, or by one below it without the name between; all others are `hot`.

The same is told by `x-reload` in the schema, which a running sidecar does not read.
"""

_WHOLE = (Template, FileText, Rate)
"""Values that are one key of the document."""
_WRITTEN: Mapping[tuple[type, str], tuple[str, ...]] = MappingProxyType(
    {
        (Channel, "options"): (),
        (Runtime, "options"): (),
        (Discovery, "botcord_credentials_dir"): ("botcord", "credentials_dir"),
        (Context, "working_memory"): ("working_memory", "enabled"),
        (Context, "activity_window"): ("activity", "window"),
        (Context, "activity_max_entries"): ("activity", "max_entries"),
        (Context, "activity_share_groups"): ("activity", "share_groups"),
        (Context, "room_ttl"): ("room", "ttl"),
        (Context, "others"): (),
    }
)
"""Where a field stands in the document, if not under its own name."""

_Steps = tuple[str, ...]


def reload_class(section: str, key: str = "") -> Reload:
    """What a change takes of a top-level key, or of a key in it or in one of its parts."""
    return RELOAD.get(f"{section}.{key}") or RELOAD.get(section, "hot")


def difference(old: Config | None, new: Config, waiting: Collection[str] = ()) -> Plan:
    """The way from one configuration to another; from None, what would be started. The keys that
    are `waiting` take a new process, whatever they take otherwise."""
    before = old or Config(state=new.state, default_route=None, server=None)
    found = _Found()
    for name in _fields(Config):
        was, is_ = getattr(before, name), getattr(new, name)
        if name == "routes":
            _compare_routes(found, was, is_, before.secrets | new.secrets)
        elif name in ("channels", "runtimes"):
            found.compare_parts(name, was, is_, partial(_place, name))
        elif name != "secrets":
            found.compare((name,), was, is_, name)
    if old is None:  # defaults that nobody changed are nothing to tell
        return Plan(tuple(change for change in found.changes if change.action == "added"))
    changes = [
        replace(change, reload="process") if change.path in waiting else change
        for change in found.changes
    ]
    return Plan(tuple(changes), found.unchanged)


def server_in_use(used: Server | None, new: Server | None) -> Server | None:
    """The server of a process that uses one, with a new configuration. Of that, the token counts at
    once, but not that of another address, which may be none where only that one is out of the
    reach of others."""
    same = used is not None and new is not None and used.listen == new.listen
    return new if same else used


def pending(used: Config, new: Config) -> tuple[str, ...]:
    """The keys of a configuration that wait for a new process. Of `used`, this one uses what only a
    new one can replace."""
    found = _Found()
    for name in _fields(Config):
        if reload_class(name) == "process":
            was, is_ = getattr(used, name), getattr(new, name)
            found.compare((name,), server_in_use(was, is_) if name == "server" else was, is_, name)
    return tuple(change.path for change in found.changes)


class _Found:
    """The differences so far."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.unchanged: dict[str, int] = {}

    def compare(self, place: _Steps, old: object, new: object, path: str) -> None:
        """Note each key at which two values differ. `place` is without the names of parts, `path`
        is how it is shown.
        """
        if old != new:
            self._note(place, old, new, path)

    def _note(self, place: _Steps, old: object, new: object, path: str) -> None:
        """The same for two values that do differ."""
        kind: type[Any] = type(new)
        if type(old) is kind and is_dataclass(kind) and kind not in _WHOLE:
            for name in _fields(kind):
                was, is_ = getattr(old, name), getattr(new, name)
                if was is not is_ and was != is_:
                    steps = _WRITTEN.get((kind, name), (name,))
                    self._note((*place, *steps), was, is_, _below(path, *steps))
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            for key in {**old, **new}:
                self.compare((*place, key), old.get(key), new.get(key), _below(path, key))
        else:
            action: Action = "changed"
            if len(place) == 1 and None in (old, new):
                action = "added" if old is None else "removed"
            self.changes.append(Change(action, path, reload_class(*place[:2])))

    def compare_parts(
        self,
        section: str,
        old: Mapping[str, object],
        new: Mapping[str, object],
        place: Callable[[str], str],
    ) -> None:
        """Note what differs between two sets of parts. `place` shows a name."""
        kind = reload_class(section)
        self.unchanged[section] = 0
        for name, part in new.items():
            if name not in old:
                self.changes.append(Change("added", place(name), kind, _is_managed(part)))
            elif part is old[name] or part == old[name]:
                self.unchanged[section] += 1
            else:
                before = len(self.changes)
                self._note((section,), old[name], part, place(name))
                if _is_managed(part):
                    changed = self.changes[before:]
                    self.changes[before:] = [replace(one, managed=True) for one in changed]
        self.changes += [
            Change("removed", place(name), kind, _is_managed(part))
            for name, part in old.items()
            if name not in new
        ]


@cache
def _fields(kind: type[Any]) -> tuple[str, ...]:
    """The names of the fields of a dataclass."""
    return tuple(field.name for field in fields(kind))


def _is_managed(part: object) -> bool:
    return bool(getattr(part, "managed", False))


def _place(section: str, name: str) -> str:
    return dotted((section, name))


def _below(path: str, *steps: str) -> str:
    return path + dotted(("root", *steps)).removeprefix("root")


def _compare_routes(
    found: _Found, old: Sequence[Route], new: Sequence[Route], secrets: frozenset[str]
) -> None:
    was, is_ = {route.name: route for route in old}, {route.name: route for route in new}

    @cache
    def numbers() -> dict[str, int]:
        return {name: index for names in (was, is_) for index, name in enumerate(names)}

    def place(name: str) -> str:
        """Routes are shown by name, or by number where they have none or a secret one."""
        number = dotted(("routes", numbers()[name]))
        secret = any(secret and secret in name for secret in secrets)
        return number if secret or name == number else _place("routes", name)

    found.compare_parts("routes", was, is_, place)
    moved = _moved([name for name in was if name in is_], [name for name in is_ if name in was])
    for name in moved:
        found.unchanged["routes"] -= was[name] is is_[name] or was[name] == is_[name]
        found.changes.append(Change("moved", place(name), reload_class("routes")))


def _moved(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The fewest of the same names that have to move for one order to become the other."""
    if old == new:
        return []
    position = {name: index for index, name in enumerate(old)}
    # Patience sorting: the longest run of names whose order stayed is what need not move.
    tops: list[int] = []
    ends: list[str] = []
    before: dict[str, str | None] = {}
    for name in new:
        pile = bisect_left(tops, position[name])
        if pile == len(tops):
            tops.append(position[name])
            ends.append(name)
        tops[pile], ends[pile] = position[name], name
        before[name] = ends[pile - 1] if pile else None
    kept: set[str] = set()
    last = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return [name for name in new if name not in kept]
