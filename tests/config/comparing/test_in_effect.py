"""No key is accepted and then forgotten: another value of each makes another configuration."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from sidecar.config.load import Loaded
from sidecar.config.problems import dotted
from sidecar.config.schemas.keys import Key, find, inside
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]
SCHEMA = Schema()
ELSEWHERE = {"version", "include", "tests", "type"}
"""The first and the last have no other value; what is included has tests of its own, and tests are
data for `sidecar test`."""
COMMANDS = {"acp": ["agent", "acp"], "command": ["cat"]}
KINDS = {"duration": "7m", "size": "7MiB", "rate": "7/7m", "memory": "77MiB"}

VALUES = {
    "server.token": "swordfish",
    "reload.debounce": "1s",
    "state.journal_ttl": "2d",
    "control_plane.credentials": "elsewhere.json",
    "runtimes.r.env": {"NAME": "text"},
    "routes[0].match.mentioned": False,
}
"""Where what the schema tells makes no difference, or is out of bounds."""


def leaves(key: Key) -> Iterator[Key]:
    for one in inside(SCHEMA, key):
        if one.place[-1] in ELSEWHERE:
            continue
        if "properties" in one.told and "string" not in one.told.get("type", ()):
            yield from leaves(one)
        else:
            yield one


def sections() -> Iterator[Key]:
    yield from (one for one in leaves(Key((), SCHEMA.joined)) if one.place[0] not in PARTS)
    for place in (("channels", "demo"), ("runtimes", "r"), ("routes", 0)):
        for key in find(SCHEMA, place):
            yield from leaves(key)


PARTS = {"channels", "runtimes", "routes"}
KEYS = list(sections())


def another(told: Mapping[str, Any]) -> Any:
    """A value that is valid, and not the default."""
    if "x-kind" in told:
        return KINDS[told["x-kind"]]
    choices = told.get("enum") or told.get("items", {}).get("enum")
    if choices:
        return next(one for one in choices if one is not None and one != told.get("default"))
    kind = told.get("type")
    if kind == "boolean":
        return not told.get("default", False)
    if "integer" in (kind or ()):
        return max(told.get("minimum", 0), told.get("default") or 0) + 1
    return next(one for one in told["examples"] if one != told.get("default"))


def config(type_: str) -> dict[str, Any]:
    runtime = {"type": type_, **({"command": COMMANDS[type_]} if type_ in COMMANDS else {})}
    route = {"runtime": "r", "cwd": "."}
    channel = {"type": "botcord", "credentials": "c.json"}
    found = {"channels": {"demo": channel}, "runtimes": {"r": runtime}, "version": 1}
    return {**found, "routes": [{**route, "match": {"mentioned": True}}], "default_route": route}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{dotted(key.place)} {key.type}".strip())
def test_another_value_makes_another_configuration(key: Key, check: Check) -> None:
    type_ = key.type if key.place[0] == "runtimes" and key.type else "claude-code"
    before = check(json.dumps(config(type_))).draft
    changed = json.loads(json.dumps(config(type_)))
    holder, way = changed, key.place
    for depth in range(1, len(way)):
        step = way[depth - 1]
        if isinstance(holder, dict):
            holder.setdefault(step, {})
        holder = holder[step]
        [told, *_] = [one.told for one in find(SCHEMA, way[:depth])]
        for name in told.get("required", ()):
            if name not in holder and name != "type" and depth > 1:
                holder[name] = another(find(SCHEMA, (*way[:depth], name))[0].told)
    path = dotted(way)
    holder[way[-1]] = VALUES[path] if path in VALUES else another(key.told)
    after = check(json.dumps(changed))
    assert after.draft is not None
    form = [one for one in after.problems if one.code.startswith(("wrong", "unknown-key", "bad"))]
    assert form == []
    assert after.draft != before


def test_all_sections_are_looked_at() -> None:
    told = {key.place[0] for key in KEYS} | ELSEWHERE
    assert set(SCHEMA.joined["properties"]) <= told
    assert len(KEYS) > 100
