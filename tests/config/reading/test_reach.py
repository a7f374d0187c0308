"""Routes that no message reaches are named, and only these."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.load import Loaded
from sidecar.config.model import Match, Route
from sidecar.config.reading import reach
from sidecar.config.reading.reach import conditions, unreached
from sidecar.core.routing import Router
from sidecar.model import Conversation, Message, Sender

Check = Callable[[str], Loaded]
HEAD = "version: 1\nruntimes: {c: {type: claude-code}}\ndefault_route: {runtime: c, cwd: .}\n"


def found(*matches: dict[str, Any]) -> dict[int, tuple[int, ...]]:
    return unreached([conditions(Match(**match)) for match in matches])


GROUP, DIRECT, ANN = {"kind": ("group",)}, {"kind": ("direct",)}, {"sender": ("ann",)}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, ANN),
        (ANN, ANN),
        (GROUP, {**GROUP, **ANN}),
        ({"sender": ("ann", "bob")}, {"sender": ("bob", "ann")}),
        ({"sender": ("ann", "bob")}, {**DIRECT, "sender": ("bob",)}),
        ({"mentioned": True}, {"mentioned": True, **ANN}),
        ({"conversation_prefix": ("rm_",)}, {"conversation_prefix": ("rm_oc_",)}),
        ({"conversation_prefix": ("rm_", "x")}, {"conversation": ("rm_1", "x2"), **ANN}),
        (
            {"account": ("a",), "conversation_prefix": ("rm_",), "sender": ("ann", "bob")},
            {"account": ("a",), "conversation": ("rm_1",), "sender": ("bob",), "mentioned": False},
        ),
    ],
)
def test_a_route_below_one_that_takes_all_its_messages_is_never_reached(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    assert found(earlier, later) == {1: (0,)}
    assert found(earlier, {"sender": ("zoe",), "mentioned": False}, later)[2] == (0,)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (ANN, {}),
        ({**GROUP, **ANN}, GROUP),
        (GROUP, DIRECT),
        ({"sender": ("ann",)}, {"sender": ("ann", "bob")}),
        ({"mentioned": True}, {"mentioned": False}),
        ({"conversation_prefix": ("rm_oc_",)}, {"conversation_prefix": ("rm_",)}),
        ({"conversation": ("rm_1",)}, {"conversation_prefix": ("rm_1",)}),
        ({"conversation_prefix": ("rm_",)}, {"conversation": ("rm_1", "x")}),
        ({"account": ("ann",)}, ANN),
    ],
)
def test_a_route_that_takes_what_the_earlier_one_leaves_is_reached(
    earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    assert found(earlier, later) == {}


def test_several_routes_can_take_all_messages_of_one() -> None:
    assert found(ANN, {"sender": ("bob",)}, GROUP, {"sender": ("ann", "bob")}) == {3: (0, 1)}


IDS = ["x", "r", "rm_", "rm_1", "rm_12"]
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.lists(st.sampled_from(IDS), min_size=1, max_size=2).map(tuple),
        "conversation_prefix": st.lists(st.sampled_from(IDS), min_size=1, max_size=2).map(tuple),
        "sender": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2).map(tuple),
        "kind": st.sampled_from([("direct",), ("group",), ("direct", "group")]),
        "mentioned": st.booleans(),
    },
)
MESSAGES = [
    Message("c", "a", "m", Conversation(id_, kind), Sender(sender, "human"), "", 0.0, mentioned)
    for id_, kind, sender, mentioned in product(
        [*IDS, *(f"{id_}z" for id_ in IDS)], ("direct", "group"), ("a", "b", "z"), (True, False)
    )
]


@given(st.lists(MATCHES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_is_said_never_to_be_reached_no_message_reaches(matches: list[dict[str, Any]]) -> None:
    never = found(*matches)
    router = Router(
        [Route(str(n), "r", Path("/"), Match(**m)) for n, m in enumerate(matches)], None
    )
    reached = {route.name for message in MESSAGES if (route := router.match(message))}
    assert reached.isdisjoint(map(str, never))
    assert all(taker < number for number, takers in never.items() for taker in takers)


def test_what_would_take_too_long_to_find_out_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"sender": tuple(map(str, range(20))), "conversation": tuple(map(str, range(20)))}
    assert found(many, many) == {1: (0,)}
    monkeypatch.setattr(reach, "MOST_LOOKS", 300)
    assert found(many, many) == {}
    assert found(ANN, ANN, many, many, ANN) == {1: (0,), 4: (0,)}
    assert found(*[ANN] * 300) == dict.fromkeys(range(1, 151), (0,))


@pytest.mark.parametrize("how", ["quickly", "wholly"])
def test_a_route_that_is_never_reached_is_told_with_what_takes_its_messages(
    how: str, check: Check, check_quickly: Check
) -> None:
    checked = check if how == "wholly" else check_quickly
    route = "  - {{name: {}, match: {{{}}}, runtime: c, cwd: .}}\n"
    told = [("one", "sender: a"), ("two", "sender: b"), ("three", "sender: b, kind: group")]
    routes = "".join(route.format(*one) for one in [*told, ("four", "sender: [a, b]")])
    loaded = checked(f"{HEAD}routes:\n{routes}")
    assert loaded.config is not None
    assert [(one.code, one.level, one.path, one.message) for one in loaded.problems] == [
        ("unreachable-route", "warning", "routes[2]",
         "never reached: the route 'two' takes all that it would take"),
        ("unreachable-route", "warning", "routes[3]",
         "never reached: 2 earlier routes take all that it would take"),
    ]  # fmt: skip
    assert [one.related.line for one in loaded.problems if one.related] == [6, 5]


def test_a_match_with_a_mistake_takes_nothing_from_others(check: Check) -> None:
    routes = "".join(
        f"  - {{match: {{{match}}}, runtime: c, cwd: .}}\n"
        for match in ("sendr: a", "kind: grup", "sender: '${NO_SUCH}'", "sender: b")
    )
    loaded = check(f"{HEAD}routes:\n{routes}")
    assert [one.code for one in loaded.problems] == ["unknown-key", "wrong-value", "unset-variable"]
