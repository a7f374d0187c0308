"""Several files make one config, and problems name the file they are in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.app.checking.system import MachineSystem
from sidecar.config.load import Loaded, load
from sidecar.config.model import Template
from sidecar.config.reading import include
from sidecar.config.schemas.schema import Schema

Check = Callable[[str], Loaded]

BASE = """\
version: 1
runtimes: {claude: {type: claude-code}}
default_route: {runtime: claude, cwd: .}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


Write = Callable[[str, str], Path]


def route(name: str) -> str:
    return f"routes: [{{name: {name}, match: {{sender: {name}}}, runtime: claude, cwd: .}}]\n"


def codes(loaded: Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


def test_mappings_merge_and_routes_are_appended_in_order(check: Check, write: Write) -> None:
    write("a.yaml", "version: 1\nlimits: {queue_depth: 7}\n" + route("a"))
    write("b.yaml", "limits: {turn_timeout: 3m}\n" + route("b"))
    loaded = check(BASE + route("main") + "include: [b.yaml, a.yaml]\n")
    assert loaded.problems == ()
    assert loaded.config is not None
    assert [one.name for one in loaded.config.routes] == ["main", "b", "a"]
    assert loaded.config.limits.queue_depth == 7
    assert loaded.config.limits.turn_timeout == 180.0


def test_a_route_without_a_name_is_called_by_its_place_in_the_whole(
    check: Check, write: Write
) -> None:
    write("a.yaml", "routes: [{runtime: claude, cwd: .}]")
    loaded = check(BASE + route("main") + "include: [a.yaml]\n")
    assert loaded.config is not None
    assert loaded.config.routes[1].name == "routes[1]"


def test_paths_start_at_the_folder_of_the_file_that_says_them(check: Check, write: Write) -> None:
    template = write("deep/templates/x.j2", "hello")
    write(
        "deep/a.yaml",
        "routes: [{runtime: claude, cwd: ./templates, user_turn: {file: templates/x.j2}}]",
    )
    write("b.yaml", "limits: {queue_depth: 3}")
    write("deep/c.yaml", "include: [../b.yaml]")
    loaded = check(BASE + "include: [deep/a.yaml, deep/c.yaml]\n")
    assert loaded.config is not None
    [found] = loaded.config.routes
    assert found.cwd == template.parent
    assert found.user_turn is not None
    assert found.user_turn.name == "deep/templates/x.j2"
    assert loaded.config.limits.queue_depth == 3


def test_a_file_that_stands_for_another_is_read_as_if_it_were_there(
    machine: MachineSystem, schema: Schema, write: Write, tmp_path: Path
) -> None:
    write("app/config.yaml", BASE + "include: ['*.yaml']\n")
    write("app/more.yaml", "limits: {queue_depth: 7}\n")
    template = write("app/t.j2", "hello")
    new = BASE.replace("cwd: .", "cwd: ., user_turn: {file: t.j2}")
    end = "include: ['*.yaml', ../else/more.yaml]\nlimts: {}\n"
    other, config = write("else/other.yaml", new + end), tmp_path / "app/config.yaml"
    write("else/more.yaml", "limits: {queue_depth: 8}\n")
    loaded = load(other, machine, schema, stands_for=config)
    assert loaded.draft is not None
    assert loaded.draft.limits.queue_depth == 7
    assert loaded.draft.default_route is not None
    assert loaded.draft.default_route.cwd == template.parent
    assert loaded.draft.default_route.user_turn == Template("app/t.j2", "hello")
    assert config not in loaded.inputs
    assert {one.position.file for one in loaded.problems} == {"else/other.yaml"}
    told = [(one.position.line, one.code) for one in loaded.problems]
    assert told == [(4, "include-outside"), (5, "unknown-key")]


def test_a_wildcard_takes_files_in_the_order_of_their_names(
    check: Check, write: Write, tmp_path: Path
) -> None:
    write("d/20.yaml", route("b"))
    write("d/10.yaml", route("a"))
    write("d/readme.txt", "no yaml: at: all")
    (tmp_path / "d/30.yaml").mkdir()
    loaded = check(BASE + "include: ['d/*.yaml']\n")
    assert loaded.config is not None
    assert [one.name for one in loaded.config.routes] == ["a", "b"]
    assert tmp_path / "d/*.yaml" in loaded.inputs
    assert tmp_path / "d/10.yaml" in loaded.inputs


def test_a_wildcard_does_not_name_what_editors_leave_beside(
    check: Check, write: Write, tmp_path: Path
) -> None:
    write("d/10.yaml", route("a"))
    write("d/._10.yaml", "\0")
    (tmp_path / "d/.#10.yaml").symlink_to("ann@host.1234")
    write("d/..2026_1/10.yaml", route("a"))
    for pattern in ("d/*.yaml", "d/**/*.yaml"):
        assert codes(check(f"{BASE}include: ['{pattern}']\n")) == []


def test_an_empty_file_is_told_what_it_may_hold(check: Check, write: Write) -> None:
    write("a.yaml", "# routes: []\n")
    [problem] = check(BASE + "include: [a.yaml]\n").problems
    assert (problem.code, problem.position.file) == ("empty", "a.yaml")
    assert "a file that it includes" in problem.hint


def test_a_wildcard_may_match_nothing_and_leaves_out_the_file_that_says_it(check: Check) -> None:
    assert codes(check(BASE + "include: ['*.yaml', 'no/*.yaml']\n")) == []


def test_the_name_of_a_file_can_come_from_a_variable(
    check: Check, write: Write, machine: object
) -> None:
    write("a.yaml", "limits: {queue_depth: 7}\n")
    machine.variables["PART"] = "a"  # type: ignore[attr-defined]  # the fixture's
    loaded = check(BASE + "include: ['${PART}.yaml']\n")
    assert loaded.config is not None
    assert loaded.config.limits.queue_depth == 7


def test_a_problem_in_an_included_file_names_that_file(check: Check, write: Write) -> None:
    write("a.yaml", "limits:\n  queue_deth: 1\n")
    write("b.yaml", "limits: [")
    loaded = check(BASE + "include: [a.yaml, b.yaml]\n")
    assert [(one.position.file, one.code) for one in loaded.problems] == [
        ("a.yaml", "unknown-key"),
        ("b.yaml", "yaml"),
    ]
    assert loaded.problems[0].position.line == 2
    assert loaded.sources["a.yaml"] == "limits:\n  queue_deth: 1\n"


def test_a_problem_in_an_appended_route_has_its_place_in_the_whole(
    check: Check, write: Write
) -> None:
    write("a.yaml", "routes:\n  - {runtime: cloud, cwd: .}\n")
    loaded = check(BASE + route("main") + "include: [a.yaml]\n")
    [problem] = loaded.problems
    assert problem.path == "routes[1].runtime"
    assert (problem.position.file, problem.position.line) == ("a.yaml", 2)


def test_a_key_that_two_files_give_is_a_problem_with_both_places(
    check: Check, write: Write
) -> None:
    write("a.yaml", "runtimes: {claude: {type: claude-code}}\n")
    [problem] = check(BASE + "include: [a.yaml]\n").problems
    assert problem.code == "duplicate-key"
    assert problem.path == "runtimes.claude.type"
    assert problem.related is not None
    assert (problem.position.file, problem.related.file) == ("a.yaml", "config.yaml")


def test_the_version_may_be_said_again_but_not_another_one(check: Check, write: Write) -> None:
    write("a.yaml", "version: 2\n")
    assert codes(check(BASE + "include: [a.yaml]\n")) == ["duplicate-key"]


def test_a_missing_file_is_reported_where_it_is_named(check: Check) -> None:
    [problem] = check(BASE + "include: [parts/a.yaml]\n").problems
    assert problem.code == "unreadable"
    assert problem.message.startswith("parts/a.yaml cannot be read")
    assert problem.position.line == 4


def test_files_that_include_each_other_are_a_problem_that_shows_the_way(
    check: Check, write: Write
) -> None:
    write("a.yaml", "include: [b.yaml]")
    write("b.yaml", "include: [./a.yaml]")
    [problem] = check(BASE + "include: [a.yaml]\n").problems
    assert problem.code == "include-cycle"
    assert problem.message.endswith("a.yaml → b.yaml → a.yaml")


def test_a_file_elsewhere_is_named_by_its_absolute_path(check: Check, tmp_path: Path) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-more.yaml")
    outside.write_text("limits: {queue_depth: 7}\n")
    found = check(f"{BASE}include: [{outside}]\n")
    assert found.config is not None
    assert found.config.limits.queue_depth == 7
    [problem] = check(f"{BASE}include: [../{outside.name}]\n").problems
    assert (problem.code, problem.position.line) == ("include-outside", 4)
    assert "absolute path" in problem.hint


def test_a_file_is_included_once(check: Check, write: Write) -> None:
    write("a.yaml", route("a"))
    assert codes(check(BASE + "include: [a.yaml, ./a.yaml]\n")) == ["include-twice"]


def test_files_include_each_other_ten_deep_and_no_deeper(check: Check, write: Write) -> None:
    for number in range(1, 10):
        write(f"{number}.yaml", f"include: [{number + 1}.yaml]")
    write("10.yaml", "limits: {queue_depth: 7}")
    write("11.yaml", "limits: {queue_depth: 7}")
    loaded = check(BASE + "include: [1.yaml]\n")
    assert codes(loaded) == []
    write("10.yaml", "include: [11.yaml]")
    assert codes(check(BASE + "include: [1.yaml]\n")) == ["include-depth"]


@pytest.mark.parametrize("value", ["text", "5", "null", "[5]", "['']", "{}"])
def test_an_include_that_is_no_list_of_names_is_a_problem_of_form(value: str, check: Check) -> None:
    assert len(codes(check(BASE + f"include: {value}\n"))) == 1


def test_a_pattern_that_is_none_is_a_problem(check: Check) -> None:
    assert len(codes(check(BASE + "include: ['a**/x.yaml']\n"))) <= 1


def test_a_pattern_that_leads_through_too_much_is_refused(check: Check) -> None:
    [problem] = check(BASE + 'include: ["/**/*.yaml"]\n').problems
    assert (problem.code, problem.position.line, problem.position.column) == ("bad-pattern", 4, 11)
    assert problem.message == "more than 10000 files and folders are in its way"
    assert problem.hint == "name a folder that holds little else, such as routes.d/*.yaml"


def test_too_many_files_are_told_once(
    check: Check, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(include, "MAX_FILES", 3)
    for number in range(9):
        write(f"d/{number}.yaml", route(f"r{number}"))
    [problem] = check(BASE + "include: [d/*.yaml]\n").problems
    assert problem.message == "more than 3 files are included"
