"""What a change of a config is said to be."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.comparing.diff import RELOAD, difference, pending, reload_class
from sidecar.config.comparing.digest import Digester
from sidecar.config.comparing.plan import Plan, brief, from_json, to_json, to_text
from sidecar.config.model import (
    Channel,
    Config,
    Context,
    Grant,
    Limits,
    LoopGuard,
    Match,
    Rate,
    Route,
    Runtime,
    Server,
    State,
    Template,
)
from sidecar.config.schemas.shipped import folder, read_schema

STATE = State(Path("/state"))


def route(name: str, **options: Any) -> Route:
    return Route(name, options.pop("runtime", "a"), Path("/src"), **options)


def config(**options: Any) -> Config:
    return Config(**{"state": STATE, "default_route": None, **options})


def told(old: Config | None, new: Config) -> list[str]:
    return [brief(change) for change in difference(old, new).changes]


RATE = {"total": "1/1m"}
BASE = config(
    channels={"demo": Channel("demo", "botcord", {"credentials": "/c", "send_rate": RATE})},
    runtimes={"a": Runtime("a", "command", {"command": ["x"]}, env={"TOKEN": "hunter2hunter2"})},
    routes=(route("one"), route("two"), route("three")),
    default_route=route("default"),
    secrets=frozenset({"hunter2hunter2", ""}),
)  # fmt: skip


def channel(**changes: Any) -> Config:
    return replace(BASE, channels={"demo": replace(BASE.channels["demo"], **changes)})


def runtime(**changes: Any) -> Config:
    return replace(BASE, runtimes={"a": replace(BASE.runtimes["a"], **changes)})


CHANGES = {
    "a limit": (replace(BASE, limits=Limits(output=1)), ["~ limits.output"], {"hot"}),
    "a nested key": (
        replace(BASE, context=Context(activity_window=1.0)), ["~ context.activity.window"], {"hot"},
    ),
    "who may do what": (channel(grant=Grant(human="owner", senders={"x": "owner"})),
        ["~ channels.demo.grant.human", "~ channels.demo.grant.senders.x"], {"hot"}),
    "a rate": (channel(rate_limit=Rate(1, 1.0)), ["~ channels.demo.rate_limit"], {"hot"}),
    "a guard that goes": (channel(loop_guard=None), ["~ channels.demo.loop_guard"], {"hot"}),
    "a guard": (
        channel(loop_guard=LoopGuard(turns=1)), ["~ channels.demo.loop_guard.turns"], {"hot"},
    ),
    "an option": (channel(options={"credentials": "/c", "send_rate": {"total": "2/1m"}}),
        ["~ channels.demo.send_rate.total"], {"component"}),
    "another channel": (
        replace(BASE, channels={"x": Channel("x", "botcord")}),
        ["+ channels.x", "- channels.demo"], {"component"},
    ),
    "an environment": (runtime(env={"TOKEN": "new"}), ["~ runtimes.a.env.TOKEN"], {"component"}),
    "a server that goes": (replace(BASE, server=None), ["- server"], {"process"}),
    "a token": (replace(BASE, server=Server(token="x" * 9)), ["~ server.token"], {"hot"}),
    "no default route": (replace(BASE, default_route=None), ["- default_route"], {"hot"}),
    "a template of the default route": (
        replace(BASE, default_route=route("default", user_turn=Template("f", "t"))),
        ["~ default_route.user_turn"], {"hot"},
    ),
    "a route": (
        replace(BASE, routes=(route("one"), route("two", match=Match(kind=("group",))),
            route("three"), route("four"))),
        ["~ routes.two.match.kind", "+ routes.four"], {"hot"},
    ),
    "an order": (
        replace(BASE, routes=(route("three"), route("one"), route("two"))),
        ["~ routes.three"], {"hot"},
    ),
    "a secret route": (
        replace(BASE, routes=(*BASE.routes, route("for hunter2hunter2"))),
        ["+ routes[3]"], {"hot"},
    ),
    "a route without a name": (
        replace(BASE, routes=(*BASE.routes, route("routes[3]"))), ["+ routes[3]"], {"hot"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_by_its_place_in_the_file_and_by_what_it_takes(name: str) -> None:
    new, lines, classes = CHANGES[name]
    plan = difference(BASE, new)
    assert [brief(change) for change in plan.changes] == lines
    assert {change.reload for change in plan.changes} == classes
    assert Digester().digest(BASE) != Digester().digest(new)
    back = {brief(change)[2:] for change in difference(new, BASE).changes}
    assert back == {line[2:] for line in lines} or name in ("an order", "another channel")


def test_a_token_waits_for_a_restart_together_with_another_address_only() -> None:
    def with_server(*server: str) -> Config:
        return replace(BASE, server=Server(*server))

    used = with_server("x:1", "first")
    assert pending(used, with_server("x:1", "second")) == ()
    assert pending(used, with_server("x:2", "first")) == ("server.listen",)
    both = with_server("x:2", "second")
    waiting = pending(used, both)
    assert waiting == ("server.listen", "server.token")
    assert pending(used, replace(BASE, server=None)) == ("server",)
    assert pending(replace(BASE, server=None), both) == ("server",)
    assert [one.reload for one in difference(used, both, waiting).changes] == ["process"] * 2


def test_nothing_of_a_secret_is_told() -> None:
    new = replace(
        runtime(env={"TOKEN": "swordfish-swordfish"}),
        server=Server(token="swordfish-swordfish"),
        secrets=frozenset({"swordfish-swordfish"}),
    )
    plan = difference(BASE, new)
    shown = f"{plan} {json.dumps(to_json(plan))} {to_text(plan)}"
    assert "env.TOKEN" in shown
    assert "hunter2" not in shown
    assert "swordfish" not in shown


def test_against_nothing_it_tells_what_would_start() -> None:
    assert told(None, BASE) == [
        "+ default_route", "+ server", "+ channels.demo", "+ runtimes.a",
        "+ routes.one", "+ routes.two", "+ routes.three",
    ]  # fmt: skip


def test_an_equal_config_changes_nothing_and_has_the_same_digest() -> None:
    again = replace(
        BASE,
        routes=(replace(BASE.routes[0], user_turn=None), *BASE.routes[1:]),
        channels=dict(BASE.channels),
    )
    plan = difference(BASE, again)
    assert plan == Plan((), {"channels": 1, "runtimes": 1, "routes": 3})
    assert Digester().digest(BASE) == Digester().digest(again)


def test_one_config_after_the_other_has_the_digest_that_each_has_alone() -> None:
    digester, routes = Digester(), [route(f"r{number}") for number in range(9)]
    chance = random.Random(5)
    for number in range(50):
        change = chance.randrange(len(routes))
        match number % 4:
            case 0:
                routes[change] = replace(routes[change], args=(f"{number}",))
            case 1:
                routes.insert(0, routes.pop(change))
            case 2:
                del routes[change]
            case _:
                routes.append(route(f"r{number}"))
        new = replace(BASE, routes=tuple(routes), limits=Limits(queue_depth=number + 1))
        assert digester.digest(new) == Digester().digest(new)


def test_a_template_that_moved_in_its_file_is_the_same() -> None:
    one, two = (
        config(default_route=route("default", user_turn=Template("f", "t", line=line)))
        for line in (1, 2)
    )
    assert told(one, two) == []
    assert Digester().digest(one) == Digester().digest(two)


def test_every_key_of_the_model_is_compared() -> None:
    assert {field.name for field in fields(Config)} == {
        *("state", "default_route", "server", "log", "limits", "reload", "channels"),
        *("discovery", "runtimes", "routes", "context", "control_plane", "tests", "secrets"),
    }
    for field in fields(Config):
        if field.name in ("secrets", "state", "server", "routes", "channels", "runtimes"):
            continue
        assert told(BASE, replace(BASE, **{field.name: ({"x": 1},)})), field.name


def longest_common(one: list[str], two: list[str]) -> int:
    """How many names can stay where they are: the longest common subsequence, the slow way."""
    rows = [[0] * (len(two) + 1)]
    for name in one:
        row = [0]
        for index, other in enumerate(two):
            same = rows[-1][index] + 1 if name == other else 0
            row.append(max(same, rows[-1][index + 1], row[-1]))
        rows.append(row)
    return rows[-1][-1]


@given(st.permutations("abcdefgh"), st.permutations("abcdefgh"))
def test_the_fewest_routes_are_said_to_have_moved(old: list[str], new: list[str]) -> None:
    plans = [config(routes=tuple(map(route, names))) for names in (old, new)]
    plan = difference(*plans)
    moved = {change.path.removeprefix("routes.") for change in plan.changes}
    assert all(change.action == "moved" for change in plan.changes)
    assert [x for x in old if x not in moved] == [x for x in new if x not in moved]
    assert plan.unchanged["routes"] == 8 - len(moved) == longest_common(old, new)


def test_a_route_that_is_taken_to_the_front_is_the_only_one_that_moved() -> None:
    names = [f"r{number}" for number in range(500)]
    old = config(routes=tuple(map(route, names)))
    new = config(routes=tuple(map(route, [names[-1], *names[:-1]])))
    assert told(old, new) == ["~ routes.r499"]


def test_a_plan_survives_the_way_to_another_process() -> None:
    plan = difference(BASE, CHANGES["a route"][0])
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


def test_a_plan_reads_well() -> None:
    new = replace(
        channel(options={"credentials": "/d", "send_rate": {"total": "1/1m"}}),
        routes=(*BASE.routes[1:], BASE.routes[0]),
        limits=Limits(output=1),
        server=None,
    )
    assert to_text(difference(BASE, new)) == (
        "- server                     takes effect with the next start\n"
        "~ limits.output              at once\n"
        "~ channels.demo.credentials  starts anew\n"
        "~ routes.one                 moved, at once\n"
        "= unchanged: 1 runtime, 2 routes"
    )
    assert to_text(difference(BASE, new).cut(1)).splitlines()[1] == "… and 3 more"


def _classes(part: Mapping[str, Any]) -> Iterator[str]:
    part = _resolved(part)
    if "x-reload" in part:
        yield part["x-reload"]
    inner = [*part.get("properties", {}).values()]
    inner += [part[key] for key in ("additionalProperties", "items") if key in part]
    for key in ("oneOf", "anyOf"):
        inner += part.get(key, [])
    for found in inner:
        if isinstance(found, Mapping):
            yield from _classes(found)


def _resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = read_schema()
    for step in part["$ref"].partition("#/")[2].split("/"):
        found = found[step]
    return {**_resolved(found), **{key: value for key, value in part.items() if key != "$ref"}}


def _keys() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each section and key of the schema, those of every type too."""
    for section, part in read_schema()["properties"].items():
        found = _resolved(part)
        inner = found.get("additionalProperties") or found.get("items") or found
        own = _resolved(inner) if isinstance(inner, Mapping) else found
        yield from ((section, key, value) for key, value in own.get("properties", {}).items())
        if "properties" not in own:
            yield section, "", found
    for kind in ("channel", "runtime"):
        for file in sorted(folder().glob(f"{kind}.*.json")):
            for key, value in read_schema(file.name)["properties"].items():
                if value is not True:
                    yield f"{kind}s", key, value


def test_the_schema_and_the_plan_agree_on_what_a_change_takes() -> None:
    seen = set()
    for section, key, part in _keys():
        seen |= {section, f"{section}.{key}"}
        for found in _classes(part):
            assert found == reload_class(section, key), (section, key)
    assert set(RELOAD) <= seen
    assert {"channels.credentials", "runtimes.command", "tests.message"} <= seen
