"""config.example.yaml: valid as it is, complete, and every slip in it is noticed."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.load import Loaded
from sidecar.config.problems import dotted
from sidecar.config.schemas.schema import BUILT_IN
from sidecar.config.schemas.shipped import read_schema
from sidecar.config.text.parse import parse

Check = Callable[[str], Loaded]
ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.yaml").read_text("utf-8")
DOCUMENT, PROBLEMS = parse(EXAMPLE, "config.example.yaml")
assert DOCUMENT is not None
DATA: Any = DOCUMENT.data


def mappings(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield place
    if not isinstance(value, dict | list):
        return
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from mappings(inner, (*place, step))


FREE = {("channels",), ("runtimes",), ("channels", "demo", "grant", "senders")}
"""Mappings whose keys are names of the user's choice."""
CLOSED = [place for place in mappings(DATA) if place not in FREE]


def inside(data: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        data = data[step]
    return data


def declared_keys() -> set[str]:
    """Every key of the schemas of what this version can run."""

    def keys(schema: Any) -> Iterator[str]:
        if isinstance(schema, dict):
            for name, value in schema.items():
                if name == "properties":
                    yield from value
                    for told in value.values():
                        yield from keys(told)
                else:
                    yield from keys(value)

    files = [f"{kind}.{name}.json" for kind, names in BUILT_IN.items() for name in names]
    return {key for file in (*files, "config.schema.json") for key in keys(read_schema(file))}


def test_it_is_valid_on_a_machine_without_an_account(check: Check) -> None:
    loaded = check(EXAMPLE)
    assert [(one.code, one.level) for one in loaded.problems] == [
        ("credentials-missing", "warning")
    ]
    assert loaded.config is not None
    assert loaded.config.runtimes["example"].options["command"] == ["sidecar", "example-agent"]


def test_it_needs_no_variable_of_the_environment(check: Check, machine: Any) -> None:
    assert machine.variables == {}
    assert check(EXAMPLE).config is not None


def test_it_names_every_key_of_the_schema() -> None:
    named = set(re.findall(r"[a-z_]+(?=:)", EXAMPLE)) | {"title", "thread"}
    assert sorted(declared_keys() - named) == []
    assert "title, thread" in EXAMPLE


def test_editors_find_the_schema_from_it() -> None:
    first = EXAMPLE.splitlines()[0]
    path = first.removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / path).is_file()


def test_its_values_are_the_defaults(check: Check) -> None:
    found = check(EXAMPLE).config
    least = check(
        "version: 1\n"
        "channels: {demo: {type: botcord, credentials: ~/.botcord/credentials/demo.json}}\n"
        "runtimes:\n"
        "  example: {type: command, command: [sidecar, example-agent], protocol: ndjson}\n"
    ).config
    assert found is not None
    assert least is not None
    for part in ("state", "server", "log", "limits", "reload", "channels", "discovery",
                 "context", "control_plane"):  # fmt: skip
        assert getattr(found, part) == getattr(least, part)


@pytest.mark.parametrize(
    "line", [line for line in EXAMPLE.splitlines() if line.startswith("  # example:")]
)
def test_another_agent_takes_over_by_one_edit(line: str, check: Check, machine: Any) -> None:
    machine.programs = ("claude", "codex", "gemini", "kimi")
    [now] = [line for line in EXAMPLE.splitlines() if line.startswith("  example:")]
    edited = EXAMPLE.replace(line, line.replace("# ", "")).replace(now, now.replace("e", "# e", 1))
    loaded = check(edited)
    assert [one for one in loaded.problems if one.level == "error"] == []


@pytest.mark.parametrize("place", CLOSED, ids=lambda place: dotted(place) or "root")
def test_an_unknown_key_is_refused_everywhere(place: tuple[str | int, ...], check: Check) -> None:
    data = json.loads(json.dumps(DATA))
    inside(data, place)["unknwon"] = 1
    found = [one for one in check(json.dumps(data)).problems if one.level == "error"]
    assert [one.code for one in found] == ["unknown-key"]
    assert found[0].path == dotted((*place, "unknwon"))


LEAVES = [
    (*place, key)
    for place in CLOSED
    for key, value in inside(DATA, place).items()
    if not isinstance(value, dict | list)
]


@pytest.mark.parametrize("place", LEAVES, ids=dotted)
def test_a_value_of_another_type_is_refused_everywhere(
    place: tuple[str | int, ...], check: Check
) -> None:
    data = json.loads(json.dumps(DATA))
    inside(data, place[:-1])[place[-1]] = {"a": [1]}
    found = check(json.dumps(data))
    assert found.config is None
    assert any(one.path.startswith(dotted(place)) for one in found.problems)


@pytest.mark.parametrize(
    "place", [place for place in LEAVES if isinstance(place[-1], str)], ids=dotted
)
def test_a_slip_in_a_key_is_refused_and_the_right_one_is_offered(
    place: tuple[str | int, ...], check: Check
) -> None:
    data = json.loads(json.dumps(DATA))
    holder, key = inside(data, place[:-1]), str(place[-1])
    if len(key) < 4 or key[-1] == key[-2]:
        return
    holder[key[:-2] + key[-1] + key[-2]] = holder.pop(key)
    loaded = check(json.dumps(data))
    found = [one for one in loaded.problems if one.code == "unknown-key"]
    expected = [] if key == "type" else [f"did you mean {key!r}?"]
    assert [one.hint for one in found] == expected
    assert loaded.config is None


def test_a_slip_in_the_key_that_decides_about_all_others_is_named(check: Check) -> None:
    data = json.loads(json.dumps(DATA))
    data["channels"]["demo"]["tyep"] = data["channels"]["demo"].pop("type")
    [problem] = [one for one in check(json.dumps(data)).problems if one.level == "error"]
    assert (problem.code, problem.path) == ("missing-key", "channels.demo")
    assert problem.hint == "did you write 'tyep' for it?"
