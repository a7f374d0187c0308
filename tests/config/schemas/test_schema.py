"""The schema files: complete, documented, in agreement with the code, open to other packages."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sidecar.cli import main
from sidecar.config.load import Loaded, load
from sidecar.config.model import Config
from sidecar.config.problems import Position
from sidecar.config.reading.accepts import quick_mistakes
from sidecar.config.schemas.schema import BUILT_IN, Schema
from sidecar.config.schemas.shipped import read_schema
from sidecar.config.schemas.validator import Validator
from sidecar.config.text.document import Document
from sidecar.config.text.parse import parse
from sidecar.errors import PluginError

Check = Callable[[str], Loaded]
FOLDER = Path(__file__).parents[3] / "schema"
FILES = sorted(path.name for path in FOLDER.glob("*.json"))
TYPED = [f"{kind}.{name}.json" for kind, names in BUILT_IN.items() for name in names]
DOCUMENT, _ = parse((FOLDER.parent / "config.example.yaml").read_text("utf-8"), "example")
assert DOCUMENT is not None
EXAMPLE = DOCUMENT.data
VALUES = [None, True, 1, -1, 2.5, "", "x", "10m", "1MiB", "owner", [], {}, ["a"], {"a": 1}, [{}]]
RELOAD = {"hot", "component", "process"}


def keys(schema: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each key that a schema declares, with its schema."""
    for name, value in schema.items():
        if name == "properties":
            for key, told in value.items():
                if told is not True:
                    yield f"{path}.{key}", told
                    yield from keys(told, f"{path}.{key}")
        elif name == "definitions":
            for key, told in value.items():
                yield from keys(told, f"{path}#{key}")
        elif isinstance(value, dict) and name not in ("default", "if"):
            yield from keys(value, path)


ALL = [(f"{file}{path}", told) for file in FILES for path, told in keys(read_schema(file))]
SHARED = "#/definitions/route/properties/"
"""Begins what default_route takes over from a route, and which is described there."""


def is_leaf(told: Mapping[str, Any]) -> bool:
    inner = told.get("properties") or told.get("$ref", "").endswith(("/match", "/route"))
    return not inner and "additionalProperties" not in told and "items" not in told


def test_every_built_in_type_has_a_file_and_every_file_a_type() -> None:
    assert sorted([*TYPED, "config.schema.json", "test.schema.json"]) == FILES


@pytest.mark.parametrize("file", FILES)
def test_a_schema_is_draft_07_and_refers_to_nothing_outside(file: str) -> None:
    schema = read_schema(file)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)
    text = json.dumps(schema)
    assert "http" not in text.replace(schema["$schema"], "").replace("https://api", "").replace(
        "^https?", ""
    )


@pytest.mark.parametrize(("path", "told"), ALL)
def test_every_key_is_described(path: str, told: Mapping[str, Any]) -> None:
    if told.get("$ref", "").startswith(SHARED):
        return
    description = told.get("description", "")
    assert description.endswith("."), path
    assert description[0].isupper() or description.startswith(("`", "text:", "null")), path


@pytest.mark.parametrize(("path", "told"), ALL)
def test_every_leaf_tells_what_a_change_of_it_restarts_and_shows_a_value(
    path: str, told: Mapping[str, Any]
) -> None:
    if not is_leaf(told) or told.get("$ref", "").startswith(SHARED):
        return
    assert told.get("x-reload") in RELOAD, path
    plain = "enum" in told or told.get("$ref") == "#/definitions/trust"
    assert plain or "examples" in told or told.get("type") == "boolean", path


@pytest.mark.parametrize("file", FILES)
def test_nothing_unknown_is_accepted_anywhere(file: str) -> None:
    def mappings(schema: Any, path: str) -> Iterator[str]:
        if isinstance(schema, dict):
            kinds = [] if path.endswith("/properties") else schema.get("type", [])
            is_mapping = "object" in ([kinds] if isinstance(kinds, str) else kinds)
            if is_mapping and not {"additionalProperties", "allOf"} & set(schema):
                yield path
            for key, value in schema.items():
                yield from mappings(value, f"{path}/{key}")

    assert list(mappings(read_schema(file), file)) == []


def test_the_examples_of_the_schema_fit_it() -> None:
    schema = Schema()
    for file in FILES:
        for path, told in keys(read_schema(file)):
            part = told
            if "$ref" in told:
                name = told["$ref"].rpartition("#/definitions/")[2]
                part = read_schema()["definitions"].get(name)
            for example in told.get("examples", []) if part else []:
                validator = Validator(schema.joined).evolve(schema=part)
                assert list(validator.iter_errors(example)) == [], (file, path)


def defaults(told: Mapping[str, Any]) -> object:
    """A section of which every default is written out."""
    if "properties" in told:
        parts = told["properties"].items()
        # What has a required key has no default as a whole.
        found = {key: defaults(part) for key, part in parts if "required" not in part}
        return {key: value for key, value in found.items() if value != "nothing"}
    return told.get("default", "nothing")


def test_a_config_that_writes_every_default_equals_one_that_writes_none(
    check: Check, schema: Schema
) -> None:
    short: dict[str, Any] = {
        "version": 1,
        "channels": {"demo": {"type": "botcord", "credentials": "demo.json"}},
        "runtimes": {
            "claude": {"type": "claude-code"},
            "script": {"type": "command", "command": ["claude"]},
        },
        "routes": [{"runtime": "claude", "cwd": "."}],
    }
    plain = check(json.dumps(short)).config
    main, long = read_schema(), json.loads(json.dumps(short))
    for section, told in main["properties"].items():
        if section in ("channels", "runtimes", "routes", "version", "default_route"):
            continue
        long[section] = defaults(told)
        if long[section] == "nothing":
            del long[section]
    channel = defaults(main["definitions"]["channel"])
    options = {key: defaults(part) for key, part in schema.options("channel", "botcord").items()}
    assert isinstance(channel, dict)
    long["channels"]["demo"] |= channel | {
        key: value for key, value in options.items() if value != "nothing"
    }
    for name, runtime in long["runtimes"].items():
        shared = defaults(main["definitions"]["runtime"])
        assert isinstance(shared, dict)
        told = schema.options("runtime", short["runtimes"][name]["type"]).items()
        runtime |= shared | {key: part["default"] for key, part in told if "default" in part}
    route = defaults(main["definitions"]["route"])
    assert isinstance(route, dict)
    long["routes"][0] |= route
    found = check(json.dumps(long))
    assert [one for one in found.problems if one.level == "error"] == []
    assert isinstance(plain, Config)
    assert found.config == plain


OPTIONS = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string"},
        "every": {"$ref": "#/definitions/pause", "default": "5s"},
        "folder": {"type": "string", "x-path": True, "default": "."},
        "login": {"type": "string", "x-account": True, "x-default-id": True},
    },
    "definitions": {"pause": {"type": "string", "pattern": "^[0-9]+s$", "x-kind": "duration"}},
}


@pytest.fixture
def joined(machine: Any) -> Check:
    schema = Schema({("channel", "telegram"): OPTIONS, ("runtime", "echo"): {}})

    def loaded(text: str) -> Loaded:
        (machine.folder / "config.yaml").write_text(text)
        return load(Path("config.yaml"), machine, schema)

    return loaded


def test_a_type_of_another_package_is_checked_and_filled_in_like_ours(
    joined: Check, machine: Any
) -> None:
    found = joined(
        "version: 1\nchannels: {t: {type: telegram, url: x, allow: {senders: [a]}}}\n"
        "runtimes: {e: {type: echo, args: [x]}}\ndefault_route: {runtime: e, cwd: .}\n"
    )
    assert found.problems == ()
    assert found.config is not None
    assert found.config.channels["t"].options == {
        "url": "x",
        "every": "5s",
        "folder": str(machine.folder),
        "login": "t",
    }
    assert found.config.channels["t"].allow.senders == ("a",)
    assert found.config.runtimes["e"].options == {}


def test_mistakes_in_the_options_of_another_package_are_told_like_ours(joined: Check) -> None:
    found = joined(
        "version: 1\nchannels:\n  a: {type: telegram, urll: x, every: 5}\n  b: {type: telegramm}\n"
        "  c: {type: telegram, url: x}\n  d: {type: telegram, url: x, login: c}\n"
        "runtimes: {e: {type: echo, speed: 5}}\ndefault_route: {runtime: e, cwd: .}\n"
    )
    told = {(one.code, one.path): one.hint for one in found.problems}
    assert told[("unknown-key", "channels.a.urll")] == "did you mean 'url'?"
    assert ("missing-key", "channels.a") in told
    assert told[("wrong-type", "channels.a.every")] == "did you mean 5s?"
    assert told[("wrong-value", "channels.b.type")] == "did you mean 'telegram'?"
    assert ("duplicate-account", "channels.d.login") in told
    assert ("unknown-key", "runtimes.e.speed") in told


def test_a_type_cannot_bring_a_broken_schema() -> None:
    with pytest.raises(PluginError, match="'x'"):
        Schema({("runtime", "x"): {"properties": {"a": {"type": "strin"}}}})


def test_joining_types_leaves_the_shipped_schema_as_it_is() -> None:
    before = json.dumps(read_schema())
    Schema({("channel", "telegram"): OPTIONS})
    assert json.dumps(read_schema()) == before


def references(schema: Any) -> Iterator[str]:
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "$ref" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from references(value)


def test_the_printed_schema_is_one_document_that_accepts_what_the_check_accepts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)
    assert all(found.startswith("#/definitions/") for found in references(schema))
    alone = Draft7Validator(schema)
    channel = {"type": "botcord", "credentials": "x", "send_rate": {"total": "20/1m"}}
    assert alone.is_valid({"version": 1, "channels": {"demo": channel}})
    for wrong in ({"credentials": 5}, {"send_rate": {"total": "20"}}, {"unknown": 1}):
        assert not alone.is_valid({"version": 1, "channels": {"demo": {**channel, **wrong}}})


def test_types_of_other_packages_are_in_the_joined_document() -> None:
    joined = Schema({("channel", "telegram"): OPTIONS}).joined
    alone = Draft7Validator(json.loads(json.dumps(joined)))
    channel = {"type": "telegram", "url": "x", "every": "5s"}
    assert alone.is_valid({"version": 1, "channels": {"t": channel}})
    assert not alone.is_valid({"version": 1, "channels": {"t": {**channel, "every": "5m"}}})
    with pytest.raises(PluginError, match="'a/b' is no name"):
        Schema({("channel", "a/b"): OPTIONS})


def test_the_printed_schema_and_the_check_agree_on_what_is_generated() -> None:
    """The first is checked by the usual validator of the draft, the second as configs are."""
    known = Schema()
    alone = Draft7Validator(json.loads(json.dumps(known.joined)))
    chance = random.Random(11)
    valid = 0
    for _ in range(500):
        section = chance.choice(list(EXAMPLE))
        data = json.loads(json.dumps({"version": 1, section: EXAMPLE[section]}))
        holder: Any = data
        while isinstance(holder, dict | list) and holder:
            step = chance.choice(list(holder if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[step], dict | list) or chance.random() < 0.2:
                holder[step] = chance.choice(VALUES)
                break
            holder = holder[step]
        right = alone.is_valid(data)
        valid += right
        document = Document(data, {}, {(): Position("file")})
        for found in (known.check(document), quick_mistakes(document, known, {})):
            assert (found == []) is right, data
    assert valid > 10
