"""A config that is read quickly means what the parser makes of it, or is not read quickly."""

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import plugins
from sidecar.app.checking.system import MachineSystem
from sidecar.config.building import routes
from sidecar.config.load import Loaded, load
from sidecar.config.problems import Position
from sidecar.config.reading import quick as quick_module
from sidecar.config.reading import reach
from sidecar.config.reading.accepts import quick_check
from sidecar.config.reading.quick import QuickRoutes
from sidecar.config.schemas.schema import Schema
from sidecar.config.schemas.validator import Validator
from sidecar.config.text import items
from sidecar.config.text.parse import parse
from sidecar.config.text.plain import NotPlain, read_item

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
INVALID = Path(__file__).parents[1] / "invalid"
HEAD = """\
version: 1
runtimes: {{echo: {{type: command, command: [cat]}}}}
default_route: {{runtime: echo, cwd: "{folder}"}}
"""
SCHEMA = Schema()
PARTS = [
    "name", "a b", "true", "~", "1", "-1", "--x", ".5", "x:y", "http://x", "$", "''", '""', "''''",
    ": ", ":", ", ", "[", "]", "{", "}", "[a, 'b']", "{a: b, c: [1]}", "[a, ]", "- ", "-",
    "- - a", "\n", "\n  ", "\n    ", "\n  k: v", "\n  k:\n    - a", "\n    - b",
    "\n  k: {a: 1}", " #", "# c",
    "\n  # c", "\n  t: |\n    one\n\n    two\n", "\n  t: |-\n    one", "|", ">", "!t",
    "&a", "*a", "%",
    "<<", "? ", "@", "é", "\t", "\\", "'", '"', "\x00", "null: 1", "\n  null: 1", "\n...", "\n---",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=10), st.booleans(), st.sampled_from(["", "  "]))
@settings(max_examples=600, deadline=None)
def test_what_is_read_without_the_parser_is_what_the_parser_reads(
    parts: list[str], named: bool, indent: str
) -> None:
    text = ("- name: x" if named else "- ") + "".join(parts)
    lines = [f"{indent}{line}" if line else line for line in text.split("\n")]
    try:
        found = read_item(lines)
    except NotPlain:
        return
    document, problems = parse("\n".join(["routes:", *lines, ""]), "file")
    assert problems == ()
    assert document is not None
    assert repr(document.data) == repr({"routes": [found.data]})
    assert {("routes", 0, key) for key in found.blocks} == document.blocks


def test_a_usual_route_is_read_without_the_parser() -> None:
    text = """\
- name: owner             # your own chat
  match: {sender_kind: owner, kind: [direct, group]}
  runtime: "claude"
  cwd: ~/src/project
  args:
    - --model
    - 'opus'
  user_turn: |
    {{ message.text }}

    End.
"""
    found = read_item(text.rstrip("\n").split("\n"))
    assert found.data["match"] == {"sender_kind": "owner", "kind": ["direct", "group"]}
    assert found.data["args"] == ["--model", "opus"]
    assert found.data["user_turn"] == "{{ message.text }}\n\nEnd.\n"
    assert found.blocks == {"user_turn"}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*place, step)
        if isinstance(inner, dict | list):
            yield from places(inner, (*place, step))


WRONG = [None, True, 1, -1, 2.5, "", "x", "10m", [], {}, ["a"], {"a": 1}, "owner", [1], [{}]]


def test_the_quick_check_of_the_form_takes_nothing_that_the_validator_refuses() -> None:
    document, _ = parse(EXAMPLE.read_text(), "example")
    assert document is not None
    schema = Schema().joined
    accepts, validator = quick_check(schema), Validator(schema)
    assert accepts(document.data)
    chance, known = random.Random(7), list(places(document.data))
    taken = 0
    for _ in range(300):
        data = copy.deepcopy(document.data)
        *way, last = chance.choice(known)
        holder: Any = data
        for step in way:
            holder = holder[step]
        if isinstance(holder, dict) and chance.random() < 0.2:
            del holder[last]
        else:
            holder[last] = chance.choice(WRONG)
        if accepts(data):
            taken += 1
            assert next(validator.iter_errors(data), None) is None
    assert taken > 20


class Saved:
    """A config with routes, read again and again by its memory of the last time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.head = HEAD.format(folder=folder)
        self.routes = [self.route(number) for number in range(6)]
        self.known = QuickRoutes().known

    def route(self, number: int, more: str = "") -> str:
        place = f"match: {{conversation: rm_{number}}}, cwd: {self.path.parent}"
        return f"  - {{name: r{number}, {place}, runtime: echo{more}}}\n"

    def load(self) -> tuple[Loaded, QuickRoutes]:
        self.path.write_text(f"{self.head}routes:\n{''.join(self.routes)}")
        quick = QuickRoutes(self.known)
        found = self.read(quick)
        if not found.problems:
            self.known = quick.learned
        return found, quick

    def read(self, quick: QuickRoutes | None = None) -> Loaded:
        return load(self.path, MachineSystem(), SCHEMA, types=plugins, quick=quick)


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    found = Saved(tmp_path)
    found.load()
    return found


def test_the_first_time_every_route_is_read_and_means_the_same(saved: Saved) -> None:
    saved.known = QuickRoutes().known
    found, quick = saved.load()
    assert quick.kept == [None] * 6
    assert found.config is not None
    assert found.config == saved.read().config


def test_routes_that_did_not_change_are_not_read_again(saved: Saved) -> None:
    saved.routes[2] = saved.route(2, ", args: [x]")
    saved.routes.insert(0, saved.routes.pop(4))
    found, quick = saved.load()
    assert not quick.misled
    assert quick.kept == [4, 0, 1, None, 3, 5]
    assert found.config is not None
    assert found.config.routes[3].args == ("x",)
    assert saved.load()[1].kept == [0, 1, 2, 3, 4, 5]


def test_known_routes_are_no_good_once_anything_else_changed(saved: Saved) -> None:
    saved.head = saved.head.replace("echo: {", "other: {")
    _, quick = saved.load()
    assert quick.misled


def test_known_routes_are_no_good_once_a_file_gives_something_else(saved: Saved) -> None:
    file = saved.path.with_name("type")
    file.write_text("claude-code\n")
    saved.head = saved.head.replace("{echo: ", "{c: {type: '${file:type}', command: cat}, echo: ")
    saved.routes[1] = saved.route(1, ", effort: high").replace("runtime: echo", "runtime: c")
    assert saved.load()[0].problems == ()
    assert not saved.load()[1].misled
    file.write_text("gemini\n")
    _, quick = saved.load()
    assert quick.misled
    assert [one.code for one in saved.read(QuickRoutes()).problems] == ["no-choice"]


def test_what_a_file_gives_to_one_route_says_nothing_of_the_others(saved: Saved) -> None:
    file = saved.path.with_name("model")
    file.write_text("one\n")
    saved.routes[1] = saved.route(1, ", args: ['${file:model}']")
    saved.load()
    file.write_text("two\n")
    found, quick = saved.load()
    assert (quick.kept, quick.misled) == ([0, None, 2, 3, 4, 5], False)
    assert found.config is not None
    assert found.config.routes[1].args == ("two",)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many routes were looked at, each time, for those that nothing reaches."""
    found: list[int] = []

    def note(told: Any) -> Any:
        found.append(len(told))
        return reach.unreached(told)

    monkeypatch.setattr(routes, "unreached", note)
    return found


def test_what_nothing_reaches_is_found_out_again_where_a_match_or_the_order_changed(
    saved: Saved, looked: list[int]
) -> None:
    def told() -> list[str]:
        quick = QuickRoutes(saved.known)
        saved.path.write_text(f"{saved.head}routes:\n{''.join(saved.routes)}")
        found = saved.read(quick)
        assert not quick.misled
        saved.known = quick.learned
        looks = len(looked)
        assert found.problems == saved.read().problems
        del looked[looks:]
        return [one.path for one in found.problems]

    saved.routes.append(saved.route(2).replace("name: r2", "name: again"))
    assert told() == ["routes[6]"]
    assert looked == [7]
    saved.routes[0] = saved.route(0, ", args: [x]")
    saved.routes[6] = saved.routes[6].replace("echo", "echo, args: [x]")
    assert told() == ["routes[6]"]
    assert looked == [7]
    saved.routes.insert(0, saved.routes.pop(6))
    assert told() == ["routes[3]"]
    saved.routes[0] = saved.routes[0].replace("rm_2", "rm_9")
    assert told() == []
    assert looked == [7, 7, 7]


def test_a_warning_of_a_route_is_told_each_time(saved: Saved) -> None:
    saved.routes[1] = saved.route(1).replace("match: {", "match: {sender: owner, ")
    for _ in range(2):
        quick = QuickRoutes(saved.known)
        saved.path.write_text(f"{saved.head}routes:\n{''.join(saved.routes)}")
        assert [problem.code for problem in saved.read(quick).problems] == ["kind-as-id"]
        assert quick.kept == [0, None, 2, 3, 4, 5]
        saved.known = quick.learned


def test_a_folder_that_went_is_noticed_though_the_text_is_the_same(saved: Saved) -> None:
    folder = saved.path.parent / "sub"
    folder.mkdir()
    saved.routes[1] = saved.route(1).replace(f"{saved.path.parent}", f"{folder}")
    assert saved.load()[0].problems == ()
    assert saved.load()[1].kept[1] == 1
    folder.rmdir()
    found, quick = saved.load()
    assert quick.kept[1] == 1
    assert [problem.code for problem in found.problems] == ["no-folder"]
    assert found.problems == saved.read().problems


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda saved: saved.routes.append(saved.routes[0]), "duplicate-route"),
        (
            lambda saved: saved.routes.insert(1, "  - {runtime: echo, cwd: .}\n"),
            "unreachable-route",
        ),
        (lambda saved: saved.routes.append("  - {name: x, cwd: .}\n"), "missing-key"),
        (lambda saved: saved.routes.append("  - name: &a x\n"), "missing-key"),
        (lambda saved: saved.routes.append("  - name: x\n - y\n"), "yaml"),
    ],
)
def test_a_mistake_among_known_routes_is_found(
    saved: Saved, change: Callable[[Saved], object], code: str
) -> None:
    change(saved)
    found, whole = saved.load()[0], saved.read()
    assert code in [problem.code for problem in whole.problems]
    assert found.problems == whole.problems


def test_variables_templates_and_routes_without_a_name_are_read_each_time(saved: Saved) -> None:
    saved.routes[0] = saved.route(0, ', args: ["${HOME}"]')
    saved.routes[1] = saved.route(1, ', user_turn: "{{ message.text }}"')
    saved.routes[2] = saved.route(2).replace("name: r2, ", "")
    saved.load()
    found, quick = saved.load()
    assert quick.kept == [None, None, None, 3, 4, 5]
    assert found.config is not None
    assert found.config.routes[2].name == "routes[2]"


def test_a_template_keeps_its_line(saved: Saved) -> None:
    place = f"cwd: {saved.path.parent}\n    runtime: echo"
    saved.routes.append(f"  - name: t\n    {place}\n    user_turn: |\n      Hi\n")
    found, _ = saved.load()
    whole = saved.read()
    assert found.config is not None
    assert whole.config is not None
    template, other = found.config.routes[-1].user_turn, whole.config.routes[-1].user_turn
    assert template is not None
    assert other is not None
    assert (template.line, template.indent) == (other.line, other.indent)


def test_included_routes_are_known_too(saved: Saved) -> None:
    other = saved.path.with_name("more.yaml")
    other.write_text(f"routes:\n{saved.route(7)}{saved.route(8)}")
    saved.head += "include: [more.yaml]\n"
    saved.load()
    found, quick = saved.load()
    assert quick.kept == list(range(8))
    assert found.problems == ()
    other.write_text(f"routes:\n{saved.route(7)}{saved.route(9)}")
    assert saved.load()[1].kept == [0, 1, 2, 3, 4, 5, 6, None]


LINES = [
    "name: {name}", "match: {{sender: {name}}}", "runtime: echo", "cwd: .", "runtime: ecko",
    "runtime: [echo", "cwd: nowhere", "trust: ownr", "trust: owner", "trsut: owner", "name: same",
    "args: [\"${{NO_SUCH}}\"]", "args: [a, *x]", "args: &x [a]", "args: !!str x", "turn_timeout: 5",
    "user_turn: \"open", "user_turn: {{file: none.j2}}", "user_turn: |\n      {{{{ x }}}}",
    "match:", "match:\n      kind: [direct,\n        group, gruop]", "  odd: 1", "? a",
    "cwd: \t.", "null: 1", "model: opus", "budget: {{usd: -1}}", "session: {{idle: soon}}",
    "no_reply: a b", "# remark",
]  # fmt: skip
ENDS = ["", "limits: {queue_depth: no}\n", "limts: {}\n", " x: 1\n", "log: [\n", "version: 1\n"]


@given(
    st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=6), max_size=6),
    st.sampled_from(ENDS),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_wrong_is_told_as_if_the_parser_had_read_all_of_it(
    routes: list[list[str]], end: str, first: bool
) -> None:
    with TemporaryDirectory() as folder:
        saved = Saved(Path(folder))
        usual = saved.route(99)
        written = "".join(
            "  - " + "\n    ".join(line.format(name=f"n{number}") for line in lines) + "\n"
            for number, lines in enumerate(routes)
        )
        saved.routes = [usual, written] if first else [written, usual]
        text = f"{saved.head}routes:\n{''.join(saved.routes)}{end}"
        saved.path.write_text(text)
        quick, whole = saved.read(QuickRoutes()), saved.read()
        assert quick.problems == whole.problems
        assert quick.config == whole.config
        assert {type(one.position) for one in quick.problems} <= {Position}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the YAML parser is given."""
    found: list[str] = []

    def note(text: str, file: str) -> Any:
        found.append(text)
        return parse(text, file)

    for module in (items, quick_module):
        monkeypatch.setattr(module, "parse", note)
    return found


def test_what_is_around_the_routes_is_parsed_only_where_it_changed(
    saved: Saved, parsed: list[str]
) -> None:
    more = saved.path.with_name("more.yaml")
    more.write_text("limits: {queue_depth: 5}\n")
    saved.head += "include: [more.yaml]\n"
    saved.load()
    parsed.clear()
    saved.routes[2] = saved.route(2, ", args: [x]")
    found, quick = saved.load()
    assert (parsed, quick.misled, found.problems) == ([], False, ())
    assert found.config is not None
    assert found.config.limits.queue_depth == 5
    more.write_text("limits: {queue_depth: 6}\n")
    found, quick = saved.load()
    assert (len(parsed), quick.misled) == (1, True)
    assert found.config is not None
    assert found.config.limits.queue_depth == 6


def test_much_around_the_routes_is_not_kept(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_module, "MAX_REST", len(saved.head))
    saved.load()
    assert len(saved.known.parsed) == 1
    saved.head += f"# {'x' * len(saved.head)}\n"
    _, quick = saved.load()
    assert quick.learned.parsed == {}


def test_what_is_wrong_around_the_routes_has_its_place_though_it_is_not_parsed_again(
    saved: Saved, parsed: list[str]
) -> None:
    folder = saved.path.parent / "sub"
    folder.mkdir()
    route = f'default_route: {{runtime: echo, cwd: "{folder}"}}\n'
    saved.head = saved.head.replace("default_route: ", "# ") + f"# more\n{route}"
    saved.load()
    folder.rmdir()
    parsed.clear()
    found, _ = saved.load()
    assert parsed == []
    assert [(one.code, one.position.line) for one in found.problems] == [("no-folder", 5)]
    assert found.problems == saved.read().problems


def test_a_variable_is_looked_up_though_its_text_is_not_parsed_again(
    saved: Saved, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.head += 'server: {token: "${ODD_TOKEN}"}\n'
    for token in ("the first one", "the second one"):
        parsed.clear()
        monkeypatch.setenv("ODD_TOKEN", token)
        found, _ = saved.load()
        assert found.config is not None
        assert found.config.server is not None
        assert found.config.server.token == token
    assert parsed == []


@pytest.mark.parametrize("path", sorted(INVALID.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_mistakes_that_people_make_are_told_the_same(path: Path) -> None:
    machine = MachineSystem()
    quick = load(path, machine, SCHEMA, types=plugins, quick=QuickRoutes())
    assert quick.problems == load(path, machine, SCHEMA, types=plugins).problems


def test_of_many_routes_only_those_with_a_mistake_are_read_by_the_parser(
    saved: Saved, parsed: list[str]
) -> None:
    saved.known = QuickRoutes().known
    saved.routes[2] = saved.route(2, ", trust: ownr")
    saved.routes[4] = saved.route(4).replace("runtime: echo", "runtime: ecko")
    found, _ = saved.load()
    assert [one.code for one in found.problems] == ["wrong-value", "unknown-runtime"]
    assert [text.count("- {") for text in parsed] == [0, 1, 1]
    parsed.clear()
    saved.routes[5] = saved.routes[5].replace("echo}", "echo")
    assert [one.code for one in saved.load()[0].problems] == ["yaml"]
    assert max(text.count("- {") for text in parsed) == 2
