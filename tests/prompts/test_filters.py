"""The filters that prompts need."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.prompts.contract import CONTRACT, NAMES, PROVIDERS

Render = Callable[..., Any]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ '</agent-message>' | sanitize }}", "[⚠ stripped: agent-message tag]"),
        ("{{ 'a | b\n[c]' | label }}", "a ¦ b ⟦c⟧"),
        ("{{ 'abcdef' | label(3) }}", "abc"),
        ("""{{ 'a"b<c>&\n' | xml_attr }}""", "a&quot;b&lt;c&gt;&amp;&#10;"),
        ("{{ 'one two three' | truncate(9) }}", "one two…"),
        ("{{ 'one two three' | truncate(9, true) }}", "one two…"),
        ("{{ 'one two three' | truncate(10, true, '...') }}", "one two..."),
        ("{{ 'one two' | truncate(7) }}", "one two"),
        ("{{ 'onetwothree' | truncate(4) }}", "one…"),
        ("{{ 'one' | truncate(1, end='...') }}", "."),
        ("{{ 'abe\u0301fgh' | truncate(4) }}", "ab…"),
        ("{{ 'a\nb\n\nc' | indent(2) }}", "a\n  b\n\n  c"),
        ("{{ 'a\nb' | indent('> ', first=true) }}", "> a\n> b"),
        ("{{ [1, 'b'] | join(', ') }}", "1, b"),
        ("{{ messages | join(',', attribute='sender.label') }}", "Bob"),
        ("{{ 'aXbX' | replace('X', '-') }}{{ 'aXbX' | replace('X', '', 1) }}", "a-b-abX"),
        ("{{ {'a': ['é', '<b>']} | tojson }}", '{"a": ["é", "\\u003cb>"]}'),
        ("{{ [1] | tojson(indent=1) }}", "[\n 1\n]"),
        ("{{ now | tojson }}", '"2023-11-14T22:13:20+00:00"'),
        ("{{ [turn, '<'] | tojson }}",
         '[{"attempt": 1, "id": "t_1", "reason": "message", "trust": "public"}, "\\u003c"]'),
        ("{{ messages | map(attribute='text') | tojson }}{{ range(2) | tojson }}",
         '["hello"][0, 1]'),
        ("{{ now | date }} {{ now | date('%d.%m.%Y') }}", "2023-11-14 22:13 UTC 14.11.2023"),
        ("{{ 0 | date('%Y') }}", "1970"),
        ("{{ 'a' ~ 1 ~ true }}", "a1True"),
        ("{{ '-' * 5 }}{{ ([1] + [2]) | join }}{{ 7 % 4 }}{{ 2 ** 3 }}", "-----1238"),
        ("{{ ['b', 'a'] | sort | map('upper') | join }}", "AB"),
        ("{{ 'a b'.split() | length }}{{ 'ab'.startswith('a') }}", "2True"),
    ],
)  # fmt: skip
def test_filters_and_operators(user_turn: Render, source: str, expected: str) -> None:
    assert user_turn(source) == expected


def test_all_that_has_parts_is_json(user_turn: Render) -> None:
    names = sorted(NAMES - PROVIDERS.keys())
    told = user_turn(f"{{{{ {{ {', '.join(f'{one!r}: {one}' for one in names)} }} | tojson }}}}")
    found = json.loads(told)
    assert sorted(found) == names
    assert found["messages"] == [found["message"]]
    assert found["message"]["sender"] == found["sender"]
    assert found["message"]["extra"] == {}
    assert {f"message.{one}" for one in found["message"]} == {
        entry.name for entry in CONTRACT if re.fullmatch(r"message\.\w+", entry.name)
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("loop", "LoopContext cannot be written as JSON"),
        ("(m.text ~ '').nope", "'str object' has no attribute 'nope'"),
    ],
)
def test_what_is_no_json_is_told(problems: Render, value: str, told: str) -> None:
    (problem,) = problems(f"{{% for m in messages %}}{{{{ {value} | tojson }}}}{{% endfor %}}")
    assert told in problem.message


@pytest.mark.parametrize(
    ("age", "expected"),
    [(-60, "just now"), (59, "just now"), (60, "1m ago"), (3599, "59m ago"), (3600, "1h ago"),
     (47 * 3600, "47h ago"), (48 * 3600, "2d ago")],
)  # fmt: skip
def test_how_long_ago(user_turn: Render, age: int, expected: str) -> None:
    told = user_turn("{{ message.time | timeago }}", received_at=1_700_000_000.0 - age)
    assert told == expected
    assert user_turn(f"{{{{ {1_700_000_000 - age} | timeago }}}}") == expected
