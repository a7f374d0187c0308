"""Secrets that are written in a config are in no message, no path and no excerpt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.load import Loaded, load
from sidecar.config.problems import render_github, render_json, render_text
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]
SECRET = "83451234123"
HEAD = "version: 1\ndefault_route: {runtime: c, cwd: .}\n"
RUNTIME = "runtimes:\n  c:\n    type: claude-code\n"


def told(found: Loaded) -> str:
    problems = found.problems
    assert problems
    shown = (render_text(problems, found.sources), render_json(problems), render_github(problems))
    return "\n".join(shown)


@pytest.mark.parametrize(
    "written",
    [
        "server: {token: SECRET}",
        "server: {token: [SECRET]}",
        "server: {token: {a: SECRET}}",
        "server: {token: SECRET.5}",
        "server: {token: !SECRET}",
        "server: {token: !x SECRET}",
        "server: {token: &SECRET}",
        "server: {token: *SECRET}",
        "server: {token: SECRET, token: 'other one'}",
        "server: {token: 'other one', token: SECRET}",
        "server: {token: SECRET}\nserver: {token: 'other one'}",
        "runtimes: {a: {type: claude-code, env: {A: SECRET}}}\nruntimes: {}",
        "server: {listen: x, token: 'SECRET'",
        "server:\n  token: 'SECRET",
        "server:\n  token:\n    a-SECRET: [",
        "server:\n  token: |\n    SECRET\n   x: [",
        f"{RUNTIME}    env: {{PIN: SECRET}}",
        f"{RUNTIME}    env: {{TOKEN=SECRET}}",
        f"{RUNTIME}    env: {{'TOKEN=SECRET': x}}",
        f"{RUNTIME}    env: {{TOKEN SECRET}}",
        f"{RUNTIME}    env: TOKEN=SECRET",
        f"{RUNTIME}    env:\n      TOKEN=SECRET\n      OTHER=SECRET",
        f"{RUNTIME}    env: [TOKEN=SECRET]",
        f"{RUNTIME}    env:\n      A: SECRET\n      A: x",
        f"{RUNTIME}    env:\n      A: {{B: SECRET}}",
        f"{RUNTIME}    env:\n      A: SECRET\n      B: [SECRET",
        f"{RUNTIME}    env:\n      TOKEN SECRET\n      B: [",
    ],
)
@pytest.mark.parametrize("machine_reads", ["quickly", "wholly"])
def test_a_secret_of_the_wrong_form_is_not_shown(
    written: str, machine_reads: str, check: Check, check_quickly: Check
) -> None:
    checked = check if machine_reads == "wholly" else check_quickly
    assert SECRET not in told(checked(HEAD + written.replace("SECRET", SECRET) + "\n"))


def test_a_part_of_a_secret_option_is_not_shown(machine: Any) -> None:
    pins = {"type": "array", "items": {"type": "string"}, "x-secret": True}
    schema = Schema({("runtime", "remote"): {"properties": {"pins": pins}}})
    text = HEAD + f"runtimes: {{c: {{type: remote, pins: [{SECRET}]}}}}\n"
    (machine.folder / "config.yaml").write_text(text)
    assert SECRET not in told(load(Path("config.yaml"), machine, schema))


def test_what_is_no_secret_is_still_shown(check: Check) -> None:
    found = told(
        check(f"{HEAD}{RUNTIME}    args: 5\n    nice: 'x'\n    env: {{MY-KEY: x, A: 5}}\n")
    )
    assert "expected a list, found 5" in found
    assert "expected a whole number, found 'x'" in found
    assert "'MY-KEY' is not the name of an environment variable" in found
    assert "expected a text, found a number" in found
    assert "a text goes in quotes\n" in found
    twice = told(check(f"{HEAD}{RUNTIME}    nice: 5\n    nice: 6\nserver: {{token: x}}\n"))
    assert "    6 |     nice: 5" in twice


def test_in_a_text_that_cannot_be_read_expressions_and_other_keys_stay(check: Check) -> None:
    found = told(check("server: {token: '${TOKEN}', listen: x}\nlog: {level: loud\n"))
    assert "log: {level: loud" in found
    found = told(check("server: {token: ${TOKEN}}\n"))
    assert "server: {token: ${TOKEN}}" in found


def test_a_key_that_an_included_file_gives_again_does_not_show_its_value(
    check: Check, machine: Any
) -> None:
    (machine.folder / "a.yaml").write_text(f"server: {{token: {SECRET}}}\n")
    found = check(f"{HEAD}{RUNTIME}server: {{token: one}}\ninclude: [a.yaml]\n")
    assert "server.token is given twice" in told(found)
    assert SECRET not in told(found)


def test_what_an_expression_gives_is_not_shown_as_a_name(check: Check, machine: Any) -> None:
    machine.variables["NAME"] = "topsecretvalue"
    route = "{name: '${NAME}', runtime: c, cwd: .}"
    found = check(f"{HEAD}{RUNTIME}routes: [{route}, {route}]\ninclude: ['${{NAME}}/a.yaml']\n")
    assert [one.code for one in found.problems if one.level == "error"] == [
        "duplicate-route",
        "unreadable",
    ]
    assert any(one.code == "unreachable-route" for one in found.problems)
    assert "topsecretvalue" not in told(found)
    assert "a value from ${…} cannot be read" in told(found)


def test_an_included_file_is_not_named_where_its_name_is_secret(check: Check, machine: Any) -> None:
    machine.variables["NAME"] = "topsecretvalue"
    (machine.folder / "topsecretvalue.yaml").write_text("limits: {queue_depth: 5}\n")
    found = check(f"{HEAD}{RUNTIME}include: ['${{NAME}}.yaml', '${{NAME}}.yaml']\n")
    assert [one.message for one in found.problems] == ["a value from ${…} is included twice"]
