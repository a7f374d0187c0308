"""What the control plane set: agents as channels, and routes. It is a small config of its own.

Its text is JSON, which is YAML too: the checker reads it as any config, and the sidecar reads it
back without a YAML parser. Nothing in it is interpolated.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sidecar.config.model import Channel

Entry = Mapping[str, object]

_HEAD = """\
# What the control plane set. The sidecar writes this file: change it with `sidecar agents`, or
# give the same channel, or a route before these, in your own config.
"""


@dataclass(frozen=True, slots=True)
class Managed:
    """Channels by their id, which is that of the agent, and routes in order."""

    channels: Mapping[str, Entry] = field(default_factory=dict)
    routes: tuple[Entry, ...] = ()


def read(text: str) -> Managed:
    """What a text of `write` holds. Raises ValueError for any other."""
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    data = json.loads("\n".join(lines))
    match data:
        case {"channels": dict(channels), "routes": list(routes)} if all(
            isinstance(one, dict) for one in (*channels.values(), *routes)
        ):
            return Managed(channels, tuple(routes))
    raise ValueError("it is not as the sidecar wrote it")


def write(managed: Managed) -> str:
    """The text of the file."""
    data = {"version": 1, "channels": managed.channels, "routes": managed.routes}
    return _HEAD + json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def with_agent(managed: Managed, agent: str, credentials: Path, route: Entry) -> Managed:
    """The same with an agent, and with the route that takes what no other route of it takes."""
    channel = {"type": "botcord", "agent": agent, "credentials": str(credentials)}
    added = replace(managed, channels={**managed.channels, agent: channel})
    return with_route(added, agent, {}, route)[0]


def without_agent(managed: Managed, agent: str) -> Managed:
    """The same without an agent and without its routes."""
    channels = {name: one for name, one in managed.channels.items() if name != agent}
    routes = tuple(route for route in managed.routes if not _is_of(route, agent))
    return Managed(channels, routes)


def with_route(
    managed: Managed, agent: str, match: Entry, route: Entry
) -> tuple[Managed, int, bool]:
    """The same with a route for an agent's messages that match; its index, and whether it is new.

    It takes the place of the one with the same match. A new one stands before that which takes
    all messages of the agent, so that it is reached.
    """
    whole = {"account": agent, **match}
    new = {"name": _name(agent, match), "match": whole, **route}
    routes = list(managed.routes)
    for index, one in enumerate(routes):
        if one.get("match") == whole:
            routes[index] = new
            return replace(managed, routes=tuple(routes)), index, False
    general = {"account": agent}
    last = next((i for i, one in enumerate(routes) if one.get("match") == general), len(routes))
    routes.insert(last, new)
    return replace(managed, routes=tuple(routes)), last, True


def is_users(channels: Mapping[str, Channel], agent: str, credentials: Path) -> bool:
    """Whether one of the user's channels has an agent, or uses `credentials`, those that the
    control plane has of it."""
    return any(
        agent in (name, one.options.get("agent"))
        or one.options.get("credentials") == str(credentials)
        for name, one in channels.items()
        if not one.managed
    )


def _is_of(route: Entry, agent: str) -> bool:
    match = route.get("match")
    return isinstance(match, Mapping) and match.get("account") == agent


def _name(agent: str, match: Entry) -> str:
    """A name that another match does not have; a name has at most 64 characters."""
    told = json.dumps([agent, match], sort_keys=True).encode()
    return f"managed-{agent[:40]}-{hashlib.sha256(told).hexdigest()[:8]}"
