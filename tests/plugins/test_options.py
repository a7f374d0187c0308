"""The options of types from other packages: checked, shown and explained like those of ours."""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.checking.candidate import Candidate
from sidecar.app.checking.check import check
from sidecar.app.commands.doctor import examine
from sidecar.config.comparing.diff import difference
from sidecar.config.problems import render_text
from sidecar.config.values import EXPECTED

pytestmark = pytest.mark.usefixtures("installed")

Register = Callable[..., Path]
Check = Callable[[str], Candidate]

SMS = """
from sidecar.api import ChannelType, ContextType, RuntimeType
OPTIONS = {
    "description": "Text messages.",
    "required": ["number"],
    "properties": {
        "number": {"type": "string", "pattern": "^[+][0-9]+$", "x-expected": "such as +4930123"},
        "pin": {"description": "The key.", "type": "string", "x-secret": True},
        "login": {"type": "object", "properties": {"word": {"type": "string", "x-secret": True}}},
        "headers": {"type": "object", "x-secret": True},
        "every": {"$ref": "config.schema.json#/definitions/duration", "default": "5s"},
        "retry": {"$ref": "#/definitions/count", "default": 3},
    },
    "definitions": {"count": {"type": "integer", "minimum": 0}},
}
CHANNEL = ChannelType("sms", OPTIONS, print, lambda name, options: name)
RUNTIME = RuntimeType("robot", {"properties": {"speed": {"enum": ["slow", "fast"]}}}, print)
CONTEXT = ContextType("weather", {"properties": {"place": {"type": "string"}}}, print)
"""
HEAD = """\
version: 1
runtimes: {r: {type: command, command: [/bin/cat]}}
default_route: {runtime: r, cwd: .}
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.chdir(tmp_path)

    def checked(text: str) -> Candidate:
        (tmp_path / "config.yaml").write_text(text)
        return check(Path("config.yaml"))

    return checked


@pytest.fixture
def sms(register: Register) -> None:
    register(
        "more",
        SMS,
        channels={"sms": "more:CHANNEL"},
        runtimes={"robot": "more:RUNTIME"},
        context={"weather": "more:CONTEXT"},
    )


@pytest.mark.usefixtures("sms")
def test_mistakes_are_told_with_line_column_and_caret(told: Check) -> None:
    found = told(
        "version: 1\n"
        "channels:\n"
        "  a: {type: sms, numbr: '+49', every: 5}\n"
        "  b: {type: sms, number: '049', retry: -1}\n"
        "runtimes: {r: {type: robot, speed: quick}}\n"
        "default_route: {runtime: r, cwd: .}\n"
        "context:\n"
        "  weather: {plase: Berlin}\n"
    )
    assert found.config is None
    assert (
        render_text(found.problems, found.sources)
        == """\
config.yaml:3:3: error: the key 'number' is missing
    3 |   a: {type: sms, numbr: '+49', every: 5}
      |   ^
      = did you write 'numbr' for it?
config.yaml:3:18: error: unknown key 'numbr'
    3 |   a: {type: sms, numbr: '+49', every: 5}
      |                  ^^^^^
      = did you mean 'number'?
config.yaml:3:39: error: expected DURATION, found 5
    3 |   a: {type: sms, numbr: '+49', every: 5}
      |                                       ^
      = did you mean 5s?
config.yaml:4:26: error: expected such as +4930123, found '049'
    4 |   b: {type: sms, number: '049', retry: -1}
      |                          ^^^^^
config.yaml:4:40: error: -1 is less than 0
    4 |   b: {type: sms, number: '049', retry: -1}
      |                                        ^^
config.yaml:5:36: error: 'quick' is not one of slow, fast
    5 | runtimes: {r: {type: robot, speed: quick}}
      |                                    ^^^^^
config.yaml:8:13: error: unknown key 'plase'
    8 |   weather: {plase: Berlin}
      |             ^^^^^
      = did you mean 'place'?""".replace("DURATION", EXPECTED["duration"])
    )


@pytest.mark.usefixtures("sms")
def test_valid_options_are_filled_in(told: Check) -> None:
    found = told(
        HEAD + "channels: {a: {type: sms, number: '+49', every: 1m}}\n"
        "context: {weather: {place: Berlin}}\n"
    )
    assert found.problems == ()
    assert found.config is not None
    assert found.config.channels["a"].options == {
        "number": "+49",
        "pin": None,
        "login": {"word": None},
        "headers": None,
        "every": "1m",
        "retry": 3,
    }
    assert found.config.context.others == {"weather": {"place": "Berlin"}}


def test_a_type_that_cannot_be_imported_is_a_problem_where_it_is_named_and_hurts_no_other(
    told: Check, register: Register
) -> None:
    register("more", SMS, channels={"sms": "more:CHANNEL"})
    register(
        "broken",
        "raise OSError('no luck')",
        channels={"fax": "broken:X"},
        context={"news": "broken:Y"},
    )
    found = told(
        HEAD + "channels:\n"
        "  a: {type: fax, any: thing}\n"
        "  b: {type: sms, number: '049'}\n"
        "context:\n"
        "  news: {any: thing}\n"
    )
    assert [(one.code, one.position.line, one.position.column) for one in found.problems] == [
        ("type-unusable", 5, 13),
        ("wrong-value", 6, 26),
        ("type-unusable", 8, 3),
    ]
    assert found.problems[0].message == (
        "the channel type 'fax' of broken cannot be imported: OSError: no luck"
    )
    assert found.draft is not None
    assert list(found.draft.channels) == ["b"]


def test_two_packages_with_one_name_are_a_problem_where_it_is_named(
    told: Check, register: Register
) -> None:
    register("first", SMS, runtimes={"robot": "first:RUNTIME"})
    register("second", SMS, runtimes={"robot": "second:RUNTIME"})
    found = told(
        "version: 1\nruntimes: {r: {type: robot, model: x}}\ndefault_route: {runtime: r, cwd: .}\n"
    )
    assert [(one.code, one.position.line, one.message) for one in found.problems] == [
        ("type-unusable", 2, "the runtime type 'robot' is registered by first and second")
    ]


def test_a_type_is_suggested_and_only_those_that_are_named_are_imported(
    told: Check, register: Register
) -> None:
    register("telegram-type", "X = 5", channels={"telegram": "telegram_type:X"})
    found = told(HEAD + "channels: {a: {type: telegramm}}\n")
    assert [(one.code, one.hint) for one in found.problems] == [
        ("wrong-value", "did you mean 'telegram'?")
    ]
    assert "telegram_type" not in sys.modules


@pytest.mark.usefixtures("sms")
def test_secrets_are_covered_wherever_the_schema_says_so(told: Check) -> None:
    found = told(
        HEAD + "channels:\n"
        "  a: {type: sms, number: 5, pin: opensesame, login: {word: shibboleth}}\n"
    )
    shown = render_text(found.problems, found.sources)
    assert "pin: **********, login: {word: **********}" in shown
    found = told(
        HEAD + "channels:\n"
        "  a: {type: sms, number: '+49', pin: opensesame, login: {word: shibboleth},\n"
        "    headers: {X-Key: abracadabra, X-More: [alohomora]}}\n"
    )
    assert found.config is not None
    secrets = {"opensesame", "shibboleth", "abracadabra", "alohomora"}
    assert secrets <= found.config.secrets


@pytest.mark.usefixtures("sms")
def test_changes_are_planned_key_by_key(told: Check) -> None:
    text = HEAD + "channels: {a: {type: sms, number: '+1'}}\ncontext: {weather: {place: Rome}}\n"
    before = told(text).config
    after = told(text.replace("+1", "+2").replace("Rome", "Oslo")).config
    assert before is not None
    assert after is not None
    assert [(one.path, one.reload) for one in difference(before, after).changes] == [
        ("channels.a.number", "component"),
        ("context.weather.place", "hot"),
    ]


def options(text: str) -> str:
    return f"from sidecar.api import ChannelType\nX = ChannelType('odd', {text}, print, print)\n"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("5", "is none: 5 is not of type"),
        ("True", "names no options"),
        ("{'properties': {'a': {'type': 'strin'}}}", "is none: 'strin' is not valid"),
        (
            "{'properties': {'a': {'$ref': '#/definitions/b'}}}",
            "nothing is at a $ref: 'definitions'",
        ),
        ("{'properties': {'a': {'$ref': 'http://x/y.json#/z'}}}", "nothing is at a $ref"),
        ("{'properties': {'a': {'$ref': '#'}}}", "has options that contain themselves"),
        (
            "{'properties': {'grant': {'type': 'string'}}}",
            "the key 'grant' belongs to all channels",
        ),
        ("{'properties': {'a': {'x-kind': 'days'}}}", "a.x-kind: 'days' is not one of"),
        ("{'x-flags': {'model': '-m'}}", "x-flags.model: '-m' is not of type 'array'"),
        (
            "{'properties': {'a': {'x-reload': 'hot'}}}",
            "properties.a.x-reload: 'component' was expected",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_problem_where_its_type_is_named(
    told: Check, register: Register, schema: str, reason: str
) -> None:
    register("odd-type", options(schema), channels={"odd": "odd_type:X"})
    [problem] = told(HEAD + "channels: {a: {type: odd, a: {a: 1}}}\n").problems
    assert (problem.code, problem.position.line) == ("type-unusable", 4)
    assert re.match(r"the schema of the channel type 'odd'", problem.message)
    assert reason in problem.message


def test_a_name_that_no_type_can_have_is_a_problem_where_it_is_named(
    told: Check, register: Register
) -> None:
    register("odd", options("{}"), channels={"a/b": "odd:X"})
    [problem] = told(HEAD + "channels: {a: {type: a/b}}\n").problems
    assert (problem.code, problem.position.line) == ("type-unusable", 4)


@pytest.mark.usefixtures("sms")
def test_the_commands_know_what_is_installed(
    sidecar: Callable[..., Any], site: Path, tmp_path: Path, register: Register
) -> None:
    register("broken", "raise OSError('no luck')", channels={"fax": "broken:X"})
    told = sidecar("schema", path=site)
    assert told.code == 0
    assert told.err == (
        "sidecar: the channel type 'fax' of broken cannot be imported: OSError: no luck\n"
    )
    definitions = json.loads(told.out)["definitions"]
    assert definitions["channel"]["properties"]["type"]["enum"] == ["botcord", "fax", "sms"]
    assert set(definitions["channel.sms"]["properties"]) > {"number", "pin", "grant"}
    told = sidecar("config", "explain", "channels.a.pin", path=site)
    assert told.out == (
        "channels.a.pin (type sms)\n  The key.\n\n  value       a text\n"
        "  change      restarts the part (component)\n  secret      yes\n"
    )
    text = HEAD + "channels: {a: {type: sms, number: '+49', pin: opensesame}}\n"
    (tmp_path / "config.yaml").write_text(text)
    assert sidecar("validate", path=site).out == "config.yaml is valid\n"
    shown = sidecar("config", "show", path=site).out
    assert 'pin: "***"' in shown
    assert "every: 5s" in shown


async def test_a_runtime_that_has_no_program_is_nothing_that_doctor_complains_of(
    register: Register, tmp_path: Path
) -> None:
    register("more", SMS, runtimes={"robot": "more:RUNTIME"})
    text = "version: 1\nserver: null\nruntimes: {r: {type: robot}}\nstate: {dir: state}\n"
    await asyncio.to_thread((tmp_path / "config.yaml").write_text, text)
    found = [one async for one in examine(tmp_path / "config.yaml") if one.part == "runtime r"]
    assert [(one.level, one.text) for one in found] == [("ok", "of type robot: not examined")]
