"""Model, effort, budget, sessions of a route: what is chosen holds, what cannot be is told."""

from collections.abc import Callable
from typing import Any

import pytest

from sidecar.config.load import Loaded
from sidecar.config.model import Budget, SessionBounds

Check = Callable[[str], Loaded]
FLAGS = [
    ("claude-code", "model", "[--model, opus]"),
    ("claude-code", "effort", "[--effort=high]"),
    ("codex", "model", "[-m, o]"),
    ("codex", "model", "[-mo]"),
    ("codex", "model", "[--config, model=o]"),
    ("codex", "effort", "[-c, model_reasoning_effort=high]"),
    ("codex", "effort", "[-cmodel_reasoning_effort=high]"),
    ("gemini", "model", "[--model=pro]"),
    ("acp, command: [bin/gemini, --acp]", "model", "[-m, pro]"),
]


def config(runtime: str, route: str = "") -> str:
    return f"version: 1\nruntimes:\n  a: {runtime}\ndefault_route: {{runtime: a, cwd: .{route}}}\n"


@pytest.fixture(autouse=True)
def all_programs(machine: Any) -> None:
    machine.programs = ("claude", "codex", "codex-acp", "gemini", "sidecar")
    path = machine.folder / "bin" / "gemini"
    path.parent.mkdir()
    path.touch(0o755)


def test_a_route_has_what_it_chooses(check: Check) -> None:
    found = check(
        config(
            "{type: claude-code, model: sonnet, memory_max: 4GiB, nice: 5, session: {idle: 1h}}",
            ", model: opus, effort: high, budget: {usd: 2.5}, session: {max_turns: 3}",
        )
    )
    assert found.problems == ()
    assert found.config is not None
    route, runtime = found.config.default_route, found.config.runtimes["a"]
    assert route is not None
    assert (route.model, route.effort, route.budget) == ("opus", "high", Budget(2.5, "day"))
    assert route.session == SessionBounds(max_turns=3)
    assert runtime.session == SessionBounds(idle=3600.0)
    assert (runtime.model, runtime.memory_max, runtime.nice) == ("sonnet", 4 << 30, 5)


@pytest.mark.parametrize(("kind", "key", "args"), FLAGS)
@pytest.mark.parametrize("where", ["runtime", "route", "across", "back"])
def test_what_args_and_a_key_both_set_is_told_where_it_stands(
    kind: str, key: str, args: str, where: str, check: Check
) -> None:
    choice, given = f", {key}: x", f", args: {args}"
    inside = {"runtime": choice + given, "route": "", "across": given, "back": choice}[where]
    outside = {"runtime": "", "route": choice + given, "across": choice, "back": given}[where]
    text = config(f"{{type: {kind}{inside}}}", outside)
    [problem] = check(text).problems
    assert (problem.code, problem.level) == ("set-twice", "error")
    line = text.splitlines()[problem.position.line - 1]
    assert line[problem.position.column - 1 :].startswith(args[1:3])
    assert problem.related is not None


def test_a_command_that_sets_what_a_key_sets_is_told(check: Check) -> None:
    text = config("{type: acp, command: [gemini, --acp, -m, pro]}", ", model: x")
    [problem] = check(text).problems
    assert (problem.code, problem.path) == ("set-twice", "runtimes.a.command[2]")
    # To other programs it may mean anything.
    for program in ("sidecar", "codex-acp"):
        command = f"{{type: acp, command: [{program}, -m, it], model: x, effort: high}}"
        assert check(config(command)).problems == ()


@pytest.mark.parametrize("args", ["[--models, a]", "[-c, model_provider=x]", "[--verbose]"])
def test_other_arguments_stay_beside_a_choice(args: str, check: Check) -> None:
    assert check(config(f"{{type: codex, model: x, args: {args}}}")).problems == ()


def test_a_runtime_that_knows_no_such_choice_says_so(check: Check) -> None:
    command = "{type: command, command: [sidecar]}"
    for kind, key in ((command, "model"), (command, "effort"), ("{type: gemini}", "effort")):
        text = config(kind, f", {key}: x")
        [problem] = check(text).problems
        assert (problem.code, problem.path) == ("no-choice", f"default_route.{key}")
        assert f"knows no {key}" in problem.message
        assert text.splitlines()[3][problem.position.column - 1 :].startswith(key)
        [problem] = check(config(f"{kind[:-1]}, {key}: x}}")).problems
        assert (problem.code, problem.path) == ("unknown-key", f"runtimes.a.{key}")


@pytest.mark.parametrize("name", ["--flag", "a b", "'a\"b'", '"a\\n"', "'-x'"])
def test_a_choice_cannot_be_a_flag_or_break_out_of_one(name: str, check: Check) -> None:
    found = check(config(f"{{type: codex, effort: {name}}}"))
    assert [one.code for one in found.problems] == ["wrong-value"]


@pytest.mark.parametrize(
    ("kind", "warned"),
    [
        ("{type: claude-code}", False),
        ("{type: command, command: [sidecar], protocol: ndjson}", False),
        ("{type: command, command: [sidecar]}", True),
        ("{type: codex}", True),
        ("{type: gemini}", True),
        ("{type: acp, command: [sidecar]}", False),
        ("{type: acp, command: [bin/gemini, --acp]}", True),
    ],
)
def test_a_budget_of_a_runtime_that_tells_no_cost_is_warned_of(
    kind: str, warned: bool, check: Check
) -> None:
    found = check(config(kind, ", budget: {usd: 5}"))
    assert found.config is not None
    assert [one.code for one in found.problems] == ["cost-unknown"] * warned


@pytest.mark.parametrize(("name", "warned"), [("", True), ("name: r, ", False)])
def test_a_budget_whose_sum_belongs_to_no_name_is_warned_of(
    name: str, warned: bool, check: Check
) -> None:
    route = f"  - {{{name}match: {{kind: group}}, runtime: a, cwd: ., budget: {{usd: 5}}}}\n"
    found = check(config("{type: claude-code}", ", budget: {usd: 5}") + f"routes:\n{route}")
    assert found.config is not None
    assert [one.code for one in found.problems] == ["budget-unnamed"] * warned
    for one in found.problems:
        at = (one.position.line, route[one.position.column - 1 :][:6])
        assert (one.path, *at) == ("routes[0].budget", 6, "budget")
        assert "`name`" in one.hint


@pytest.mark.parametrize(
    "text", ["budget: {per: day}", "budget: {usd: 0}", "budget: {usd: 1, per: year}",
             "session: {max_turns: 0}", "session: {idle: often}"],
)  # fmt: skip
def test_bounds_that_make_no_sense_are_refused(text: str, check: Check) -> None:
    assert check(config("{type: claude-code}", f", {text}")).config is None


def test_a_budget_of_nothing_is_told_in_words(check: Check) -> None:
    [problem] = check(config("{type: claude-code}", ", budget: {usd: 0}")).problems
    assert (problem.message, problem.path) == ("0 is not more than 0", "default_route.budget.usd")


@pytest.mark.parametrize("text", ["memory_max: 1MiB", "memory_max: 64B", "nice: 20", "nice: -1"])
def test_limits_under_which_nothing_runs_are_refused(text: str, check: Check) -> None:
    assert check(config(f"{{type: claude-code, {text}}}")).config is None
