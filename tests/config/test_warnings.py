"""What is allowed and will not do what people expect: they are told before it hurts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.load import Loaded, load
from sidecar.config.problems import Problem
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]
CONFIG = "version: 1\nruntimes: {c: {type: claude-code}}\ndefault_route: {runtime: c, cwd: .}\n"


def warning(found: Loaded) -> Problem:
    """The only problem, which leaves the config usable."""
    [problem] = found.problems
    assert problem.level == "warning"
    assert found.config is not None
    return problem


@pytest.mark.parametrize("mounted", ["config.yaml", "more.yaml"])
def test_a_file_that_is_mounted_alone_is_said_to_miss_changes(
    mounted: str, check: Check, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.folder / "more.yaml").write_text("limits: {queue_depth: 5}\n")
    text = CONFIG + "include: [more.yaml]\n"
    assert check(text).problems == ()
    monkeypatch.setattr(machine, "is_mount", lambda path: path == machine.folder / mounted)
    found = warning(check(text))
    assert (found.code, found.position.file, found.position.line) == ("mounted-file", mounted, 1)
    assert "subPath" in found.message
    assert found.hint == "mount the folder that holds it, without subPath"


@pytest.mark.parametrize(
    ("grace", "limits", "warned"),
    [
        ("30s", "", False),
        ("25s", "", True),
        ("30s", "limits: {drain_timeout: 30s}\n", True),
        ("40s", "limits: {drain_timeout: 39s}\n", True),
        ("40s", "limits: {drain_timeout: 35s}\n", False),
        ("", "limits: {drain_timeout: 30s}\n", False),
    ],
)
def test_a_drain_that_the_pod_would_cut_short_is_told(
    grace: str, limits: str, warned: bool, check: Check, machine: Any
) -> None:
    machine.variables["SIDECAR_TERMINATION_GRACE"] = grace
    loaded = check(CONFIG + limits)
    assert bool(loaded.problems) is warned
    if warned:
        found = warning(loaded)
        assert (found.code, found.path) == ("grace-too-short", "limits.drain_timeout")
        assert f"killed after {grace}" in found.message
        assert found.position.line == (4 if limits else 1)


def test_a_grace_that_is_no_duration_is_told(check: Check, machine: Any) -> None:
    machine.variables["SIDECAR_TERMINATION_GRACE"] = "30"
    assert warning(check(CONFIG)).code == "bad-grace"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("templates/x.j2", "templates/x.j2"),
        ("'prompt.txt\\n'", ""),
        ('"~/x.jinja\\n"', "~/x.jinja"),
        ("there", "there"),
        ("sub", ""),
        ("See templates/x.j2", ""),
        ("'{{ message.text }}.md'", ""),
        ("Hello", ""),
        (f'"{"x" * 300}"', ""),
        ("{file: there}", ""),
    ],
)
@pytest.mark.parametrize("key", ["system_context", "user_turn", "recovery"])
def test_a_template_that_is_the_path_of_a_file_is_told(
    key: str, text: str, meant: str, check: Check, machine: Any
) -> None:
    (machine.folder / "there").write_text("hello")
    (machine.folder / "sub").mkdir()
    loaded = check(CONFIG.replace("cwd: .", f"cwd: ., {key}: {text}"))
    assert bool(loaded.problems) is bool(meant)
    if meant:
        found = warning(loaded)
        assert (found.code, found.path) == ("path-as-text", f"default_route.{key}")
        assert found.hint == f"did you mean {{file: {meant}}}?"
        assert (found.position.line, found.position.column) == (3, 39 + len(key))


@pytest.mark.parametrize(
    ("key", "text", "warned"),
    [
        ("user_turn", "", True),
        ("user_turn", "{# later\n#}\n", True),
        ("user_turn", "{# why #}x", False),
        ("system_context", "", False),
        ("recovery", "", False),
    ],
)
def test_an_empty_user_turn_is_told(
    key: str, text: str, warned: bool, check: Check, machine: Any
) -> None:
    (machine.folder / "t.j2").write_text(text)
    for template, name in (("{file: t.j2}", "'t.j2'"), (json.dumps(text), "the template")):
        loaded = check(CONFIG.replace("cwd: .", f"cwd: ., {key}: {template}"))
        assert bool(loaded.problems) is warned
        if warned:
            found = warning(loaded)
            assert (found.code, found.path) == ("empty-template", f"default_route.{key}")
            assert found.message == f"{name} is empty: the built-in template takes its place"
            assert found.position.line == 3


@pytest.mark.parametrize(
    ("match", "path", "meant"),
    [
        ("sender: owner", "sender", "sender_kind: 'owner'"),
        ("sender: [hu_1, agent]", "sender[1]", "sender_kind: 'agent'"),
        ("conversation: group", "conversation", "kind: 'group'"),
        ("sender: '${WHO}'", "sender", "sender_kind: a value from ${…}"),
        ("sender: hu_1", "", ""),
        ("sender_kind: owner, kind: group", "", ""),
    ],
)
def test_a_kind_that_is_matched_as_an_id_is_told(
    match: str, path: str, meant: str, check: Check, machine: Any
) -> None:
    machine.variables["WHO"] = "human"
    routes = f"routes:\n  - {{runtime: c, cwd: ., match: {{{match}}}}}\n"
    loaded = check(CONFIG + routes)
    assert bool(loaded.problems) is bool(meant)
    if meant:
        found = warning(loaded)
        assert (found.code, found.path) == ("kind-as-id", f"routes[0].match.{path}")
        assert found.hint == f"did you mean {meant}?"
        assert found.position.line == 5


OPTIONS = {
    "properties": {
        "address": {"type": "string"},
        "url": {"type": "string", "deprecated": True, "x-replacement": "address"},
        "wait": {"$ref": "config.schema.json#/definitions/duration", "deprecated": True},
        "new": {"type": "string", "deprecated": False},
    }
}


@pytest.fixture
def joined(machine: Any) -> Check:
    schema = Schema({("runtime", "remote"): OPTIONS})

    def loaded(options: str) -> Loaded:
        (machine.folder / "config.yaml").write_text(
            f"version: 1\nruntimes:\n  r: {{type: remote, {options}}}\n"
            "default_route: {runtime: r, cwd: .}\n"
        )
        return load(Path("config.yaml"), machine, schema)

    return loaded


def test_a_deprecated_key_works_and_its_replacement_is_told(joined: Check) -> None:
    loaded = joined("url: x")
    found = warning(loaded)
    assert (found.code, found.path) == ("deprecated-key", "runtimes.r.url")
    assert found.message == "the key 'url' is deprecated"
    assert found.hint == "use 'address' instead"
    assert (found.position.line, found.position.column) == (3, 21)
    assert loaded.config is not None
    assert loaded.config.runtimes["r"].options["url"] == "x"


def test_a_deprecated_key_is_told_beside_what_is_wrong_with_it(joined: Check) -> None:
    assert warning(joined("wait: 5s")).path == "runtimes.r.wait"
    both = joined("wait: 5")
    assert {(one.code, one.level) for one in both.problems} == {
        ("deprecated-key", "warning"),
        ("wrong-type", "error"),
    }


def test_other_keys_are_not_deprecated(joined: Check) -> None:
    assert joined("new: x, address: y").problems == ()
