"""What `sidecar config explain` knows of each key, and what it says to a mistyped one."""

import re
from typing import Any

import pytest

from sidecar.config.problems import dotted
from sidecar.config.schemas.keys import WHEN, Key, UnknownKey, facts, find, inside, place_of
from sidecar.config.schemas.schema import Schema


def told(schema: Schema, path: str) -> dict[str, Any]:
    [key] = find(schema, place_of(path))
    return facts(schema, key)


def test_a_key_is_told_with_all_that_the_schema_knows(schema: Schema) -> None:
    assert told(schema, "channels.demo.send_rate.total") == {
        "path": "channels.demo.send_rate.total",
        "description": "In all conversations.",
        "type": "botcord",
        "value": "a rate such as 20/1m: a count and a duration",
        "default": "20/1m",
        "reload": "component",
        "secret": False,
        "examples": ["20/1m"],
    }


@pytest.mark.parametrize(
    ("path", "fact", "value"),
    [
        ("routes[0].match.kind", "value", "one of direct, group, or a list of them"),
        ("routes[].queue", "default", None),
        ("log.level", "value", "one of debug, info, warning, error"),
        ("limits.concurrent_turns", "value", "a whole number, from 1 to 1000"),
        ("version", "value", "1"),
        ("version", "required", True),
        ("server.token", "secret", True),
        ("runtimes.claude.env", "secret", True),
        ("default_route.turn_timeout", "default_from", "limits.turn_timeout"),
        ("channels.demo.agent", "default_from", "the id of the channel"),
        ('channels["a.b"].grant.senders["x y"]', "value", "one of owner, trusted, public"),
        ("tests[3].expect.user_turn.contains", "value", "a text or a list"),
    ],
)
def test_what_is_special_about_a_key_is_told(
    schema: Schema, path: str, fact: str, value: object
) -> None:
    assert told(schema, path)[fact] == value


def test_a_key_that_several_types_have_is_told_for_each(schema: Schema) -> None:
    found = [facts(schema, key) for key in find(schema, place_of("runtimes.x.command"))]
    assert [one["type"] for one in found] == schema.types("runtime")
    assert len({one["value"] for one in found}) == 2


def test_a_section_is_told_with_its_keys(schema: Schema) -> None:
    assert list(told(schema, "")["keys"])[:3] == ["version", "include", "state"]
    assert {"type", "grant", "credentials", "stream"} <= told(schema, "channels.demo")[
        "keys"
    ].keys()
    assert "keys" not in told(schema, "limits.output")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("limts", "unknown key 'limts' (did you mean 'limits'?)"),
        ("limits.turn_timeuot", "in limits (did you mean 'turn_timeout'?)"),
        ("channels.demo.credentails", "in channels.demo (did you mean 'credentials'?)"),
        ("routes.match", "in routes: it is a list, its first item is routes[0]"),
        ("limits[0]", "limits is no list"),
        ("limits.output.more", "unknown key 'more' in limits.output: it has no keys"),
        ("log.x", "known keys: level, format, file"),
        ("a[", "'a[' is no path such as"),
        ("limits..output", "is no path"),
        ('channels["a]', "is no path"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_told_with_the_one_that_is_meant(
    schema: Schema, path: str, message: str
) -> None:
    with pytest.raises(UnknownKey, match=re.escape(message)):
        find(schema, place_of(path))


def test_every_key_can_be_asked_for_by_its_path_and_has_a_meaning(schema: Schema) -> None:
    todo, seen = [Key((), schema.joined)], 0
    while todo:
        key = todo.pop()
        assert place_of(dotted(key.place)) == key.place
        assert any(one.told == key.told for one in find(schema, key.place))
        known = facts(schema, key)
        assert known["value"]
        assert known.get("reload", "hot") in WHEN
        seen += 1
        todo += inside(schema, key)
        for step in ("NAME", 0):
            wanted = "items" if step == 0 else "additionalProperties"
            if isinstance(key.told.get(wanted), dict):
                todo += find(schema, (*key.place, step))
    assert seen > 120
