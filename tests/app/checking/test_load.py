"""A config file checked by a process of its own, again and again."""

import asyncio
import io
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar import metrics
from sidecar.app.checking import load, overdue
from sidecar.app.checking.candidate import NO_MEMORY, Candidate, Memory, read_answer, write_answer
from sidecar.app.checking.check import check
from sidecar.app.checking.load import Loader, Loading
from sidecar.app.checking.overdue import LONG, Overdue
from sidecar.app.checking.system import MachineSystem
from sidecar.app.reloading.outcome import MOST_ERRORS, error_lines
from sidecar.app.watching.digests import digests
from sidecar.config.model import Budget, Config, Match, Route, SessionBounds, State, Template
from sidecar.config.schemas.mistakes import MOST
from sidecar.config.text.templates import fingerprint, templates
from tests import starting
from tests.patience import PATIENCE, until

COUNT = 450


class Saved:
    """A config with many routes. `change` is what differs in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.yaml"

    def save(self, *, head: str = "", change: str = "", end: str = "") -> None:
        routes = "".join(
            f"  - name: r{number}\n    match: {{conversation: rm_{number}}}\n    runtime: echo\n"
            f"    cwd: {self.path.parent}\n{change if number == 7 else ''}"
            for number in range(COUNT)
        )
        runtimes = "runtimes: {echo: {type: command, command: [cat]}}\n"
        place = f"default_route: {{runtime: echo, cwd: {self.path.parent}}}\n"
        self.path.write_text(f"version: 1\n{head}{runtimes}{place}routes:\n{routes}{end}")

    def check(self, memory: Memory = NO_MEMORY) -> Candidate:
        return Loading(self.path, memory).wait()


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process answers is the same when it is forked, and that is quicker."""
    monkeypatch.setattr(load, "subprocess", starting.checks())


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Saved]:
    found = Saved(tmp_path)
    found.save()
    return found


def usable(candidate: Candidate) -> Config:
    assert candidate.problems == ()
    assert candidate.config is not None
    return candidate.config


def test_what_did_not_change_comes_from_the_memory(saved: Saved) -> None:
    first = saved.check()
    before = usable(first).routes
    assert [route.name for route in before] == [f"r{number}" for number in range(COUNT)]
    saved.save(change="    args: [--fast]\n")
    after = usable(saved.check(first.memory)).routes
    assert after[7].args == ("--fast",)
    assert [number for number in range(COUNT) if after[number] is not before[number]] == [7]


@pytest.mark.usefixtures("forked")
def test_with_another_head_all_is_checked_anew(saved: Saved) -> None:
    first = saved.check()
    saved.save(head="limits: {queue_depth: 5}\n")
    second = saved.check(first.memory)
    assert usable(second).limits.queue_depth == 5
    assert usable(second).routes == usable(first).routes
    saved.path.write_text(saved.path.read_text().replace("{echo: {", "{other: {"))
    problems = saved.check(second.memory).problems
    assert [one.code for one in problems] == ["unknown-runtime"] * MOST + ["more"]
    assert problems[-1].message == f"{COUNT + 1 - MOST} more like these"


@pytest.mark.usefixtures("forked")
def test_a_mistake_is_told_with_its_place_also_where_most_is_known(saved: Saved) -> None:
    first = saved.check()
    saved.save(change="    trust: ownr\n")
    second = saved.check(first.memory)
    assert second.config is None
    [problem] = second.problems
    line = 5 + 7 * 4 + 4
    assert (problem.position.line, problem.position.column) == (line, 12)
    assert problem.hint == "did you mean 'owner'?"
    assert saved.path.read_text() == second.sources[problem.position.file]


@pytest.mark.usefixtures("forked")
def test_a_warning_is_told_each_time_though_most_is_known(saved: Saved) -> None:
    saved.save(end=f"  - {{name: all, runtime: echo, cwd: {saved.path.parent}}}\n")
    text = saved.path.read_text()
    saved.path.write_text(f"{text}  - {{name: late, runtime: echo, cwd: {saved.path.parent}}}\n")
    first = saved.check()
    [told] = first.problems
    assert (told.code, told.position.line) == ("unreachable-route", text.count("\n") + 1)
    assert told.related is not None
    assert (told.related.line, told.related.column) == (text.count("\n"), 5)
    assert first.config is not None
    second = saved.check(first.memory)
    assert second.problems == first.problems
    assert second.config is not None
    assert second.config.routes[7] is first.config.routes[7]


def test_all_of_a_route_comes_over(tmp_path: Path) -> None:
    written = Template("more.yaml", "{{ message.text }}", line=7, indent=4)
    route = Route(
        name="odd", runtime="echo", cwd=tmp_path, match=Match(sender=("hu_1",), mentioned=True),
        trust="public", args=("a", "b"), turn_timeout=5.0, user_turn=written,
        budget=Budget(2.5, "week"), session=SessionBounds(3, None, 60.0), managed=True,
    )  # fmt: skip
    routes = (route, *(replace(route, name=f"r{number}") for number in range(COUNT)))
    config = Config(State(tmp_path), default_route=None, routes=routes)
    old = Memory(routes=(Route("kept", "echo", None),))
    kept = [*(None for _ in routes[1:]), 0]
    file = io.BytesIO()
    write_answer(Candidate(config, config, (), {}, {}), kept, file)
    found = read_answer(file.getvalue(), old).config
    assert found is not None
    assert found.routes == (*routes[:-1], *old.routes)
    assert found.routes[-1] is old.routes[0]
    assert found.routes[0].user_turn is not None
    assert (found.routes[0].user_turn.line, found.routes[0].user_turn.indent) == (7, 4)


async def test_a_check_that_has_begun_is_taken_over(saved: Saved) -> None:
    loader = Loader(saved.path)
    loader.begin()
    begun = loader.begun
    assert begun is not None
    found = await loader.load(saved.path, begun)
    assert found is await begun
    assert len(usable(found).routes) == COUNT
    saved.path.unlink()
    assert (await loader.load(saved.path, begun)).config is None


async def test_what_is_written_while_it_is_checked_is_checked_anew(saved: Saved) -> None:
    whole = saved.path.read_text()
    saved.path.write_text(whole[: whole.index("  - name: r9\n")])
    loader = Loader(saved.path)
    loader.begin()
    assert loader.begun is not None
    half = usable(await loader.begun)
    saved.path.write_text(whole)
    found = await loader.load(saved.path, loader.begun)
    assert len(half.routes) == 9
    assert len(usable(found).routes) == COUNT


HANGS = """\
import os, pathlib, time
config = pathlib.Path(sys.argv[1])
if "hang" in config.read_text():
    os.fork()
    config.with_name("begun").touch()
    time.sleep(600)
"""
SAVES = """\
import pathlib, time
config = pathlib.Path(sys.argv[1])
if config.read_text().count("# again") < 3:
    with config.open("a") as file:
        file.write("# again\\n")
    time.sleep(600)
"""


def before_the_check(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have the process do something as soon as it may read files."""
    begin, end = load._PROGRAM.split("from sidecar", 1)
    given = "import select; select.select([0], [], [])\n"
    monkeypatch.setattr(load, "_PROGRAM", f"{begin}{given}{program}from sidecar{end}")


@pytest.mark.usefixtures("forked")
async def test_a_newer_save_ends_a_check_that_hangs_and_its_forks_and_is_checked(
    saved: Saved, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before_the_check(monkeypatch, HANGS)
    monkeypatch.setattr(load, "LONG", 0.0)
    monkeypatch.setattr(overdue, "LOOK", 0.01)
    caplog.set_level(logging.INFO)
    count = metrics.value("config_checks_cut_total")
    saved.save(head="# hang\n")
    loader = Loader(saved.path)
    loader.begin()
    await until((saved.path.parent / "begun").exists)
    saved.save(head="limits: {queue_depth: 5}\n")
    async with asyncio.timeout(PATIENCE):
        found = await loader.load(saved.path, loader.begun)
    assert usable(found).limits.queue_depth == 5
    assert metrics.value("config_checks_cut_total") > count
    assert "a newer save ends the check of" in caplog.text


@pytest.mark.usefixtures("forked")
async def test_saves_without_end_leave_each_check_more_time_until_one_ends(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[float] = []

    class Noted(Overdue):
        def __init__(self, outdated: Callable[[], bool], end: Callable[[], None], long: float):
            allowed.append(long)
            super().__init__(outdated, end, 0.0)

    before_the_check(monkeypatch, SAVES)
    monkeypatch.setattr(load, "Overdue", Noted)
    monkeypatch.setattr(overdue, "LOOK", 0.01)
    loader = Loader(saved.path)
    async with asyncio.timeout(PATIENCE):
        usable(await loader.load(saved.path))
        usable(await loader.load(saved.path))
    assert allowed == [LONG, 2 * LONG, 4 * LONG, 8 * LONG, LONG]


def test_the_content_of_an_input_is_what_was_read_whatever_it_is_later(saved: Saved) -> None:
    class Slow(MachineSystem):
        def read_text(self, path: Path) -> str:
            text = super().read_text(path)
            if path == saved.path:
                saved.save(head="# written while the rest is read\n")
            return text

    before = digests([saved.path])
    found = check(saved.path, Slow())
    assert found.inputs[saved.path] == before[saved.path] != digests([saved.path])[saved.path]


def test_templates_that_were_right_are_not_tried_again(saved: Saved) -> None:
    saved.save(change="    user_turn: '{{ message.txt }}'\n")
    found = check(saved.path)
    assert [one.code for one in found.problems] == ["template-error"]
    assert found.draft is not None
    [(_, template)] = templates(found.draft)
    right = fingerprint(template, found.draft.context)
    assert check(saved.path, right={right}).problems == ()


@pytest.mark.usefixtures("forked")
def test_a_template_that_changed_is_tried_though_others_were_right(saved: Saved) -> None:
    saved.save(change="    user_turn: 'Hi {{ message.text }}'\n")
    first = saved.check()
    assert usable(saved.check(first.memory)).routes[7].user_turn is not None
    saved.save(change="    user_turn: 'Hi {{ message.txt }}'\n")
    assert [one.code for one in saved.check(first.memory).problems] == ["template-error"]
    saved.save(change="    user_turn: 'Hi {{ env.HOME }}'\n", head="context: {env: [HOME]}\n")
    second = saved.check(first.memory)
    usable(second)
    saved.save(change="    user_turn: 'Hi {{ env.HOME }}'\n")
    assert [one.code for one in saved.check(second.memory).problems] == ["template-error"]


def test_of_many_new_templates_those_that_are_wrong_are_told(saved: Saved) -> None:
    """So many that several processes try them at once, where there are processors for that."""
    saved.save()
    lines, wrong = saved.path.read_text().splitlines(keepends=True), (70, 71, 300)
    texts = [f'    user_turn: "{n} {{{{ message.tex{"" if n in wrong else "t"} }}}}"\n'
             for n in range(COUNT)]  # fmt: skip
    for number in reversed(range(COUNT)):
        lines.insert(4 + (number + 1) * 4, texts[number])
    saved.path.write_text("".join(lines))
    told = [(one.code, one.path) for one in saved.check().problems]
    assert told == [("template-error", f"routes[{number}].user_turn") for number in wrong]


def test_the_checker_begins_without_what_takes_long_and_is_seldom_needed() -> None:
    seldom = "{'asyncio', 'aiohttp', 'jinja2', 'jsonschema', 'ruamel.yaml'}"
    loaded = f"{seldom} & sys.modules.keys()"
    program = f"import sys, sidecar.app.checking.check; sys.exit(str({loaded} or ''))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""


@pytest.mark.usefixtures("forked")
def test_of_very_many_mistakes_only_the_first_are_told(saved: Saved) -> None:
    saved.path.write_text("version: 1\nroutes:\n" + "  - x\n" * 5000)
    problems = saved.check().problems
    assert len(problems) <= MOST + 1
    lines = error_lines(problems)
    assert len(lines) == MOST_ERRORS + 1
    assert lines[-1].endswith("more: `sidecar validate` tells them")
