"""What real coding-agent CLIs do when the model of a turn wants more than the turn may have.

The model is hostile: it asks at once for whatever it is told to, whichever tools it was offered.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.model import Block
from tests.e2e.conftest import Bench, ways
from tests.e2e.played_api import Answer, Call

SECRET = "the-secret-of-the-house"


@pytest.fixture
def outside(bench: Bench) -> Path:
    """A folder beside the checkout, with a secret that a link in the checkout leads to."""
    found = bench.folder / "outside"
    found.mkdir()
    (found / "secret.txt").write_text(SECRET)
    (bench.checkout / "link.txt").symlink_to(found / "secret.txt")
    (bench.checkout / "inside.txt").write_text("nothing special")
    return found


def everybodys_tools(bench: Bench, secret: Path, target: Path) -> list[Call]:
    """Calls of all tools of all CLIs that read a secret or write to a target."""
    by_name: dict[str, Call] = {}
    for way in ways(bench.api.url).values():
        for call in (
            way.shell(f"cat {secret}; echo made > {target}"),
            way.read(str(secret)),
            way.write(str(target)),
        ):
            by_name.setdefault(f"{call.name} {call.input}", call)
    return [
        *by_name.values(),
        Call("Grep", {"pattern": ".", "path": str(secret), "output_mode": "content"}),
        Call("Edit", {"file_path": str(target), "old_string": "", "new_string": "made"}),
        Call("grep_search", {"pattern": ".", "dir_path": str(secret.parent)}),
        Call("read_many_files", {"include": [str(secret)]}),
        Call("view_image", {"path": str(secret)}),
        Call("exec", f'text((await tools.exec_command({{cmd:"cat {secret}"}})).output)', True),
    ]


def results(bench: Bench) -> int:
    """How many calls the CLI has answered, in the last request."""
    marks = ('"type": "tool_result"', 'call_output"', '"functionResponse":')
    return sum(json.dumps(bench.api.requests[-1]).count(mark) for mark in marks)


@pytest.mark.parametrize("place", ["inside", "outside"])
async def test_a_public_turn_writes_nothing_and_runs_nothing(
    bench: Bench, outside: Path, place: str
) -> None:
    folder = bench.checkout if place == "inside" else outside
    before = sorted(os.listdir(folder))  # noqa: PTH208
    calls = everybodys_tools(bench, outside / "secret.txt", folder / "made.txt")
    bench.api.plays(Answer(calls=calls), Answer("I tried."))
    await bench.answered(trust="public")
    assert len(bench.api.requests) == 2
    assert results(bench) == len(calls)
    assert SECRET not in bench.api.asked
    assert sorted(os.listdir(folder)) == before  # noqa: PTH208


@pytest.mark.parametrize("way", ["relative", "link", "home"])
async def test_a_public_turn_reads_nothing_outside_its_folder(
    bench: Bench, outside: Path, way: str
) -> None:
    path = {
        "relative": "../outside/secret.txt",
        "link": str(bench.checkout / "link.txt"),
        "home": "~/secret.txt",
    }[way]
    (bench.home / "secret.txt").write_text(SECRET)
    bench.api.plays(Answer(calls=[bench.way.read(path)]), Answer("I tried."))
    await bench.answered(trust="public")
    assert len(bench.api.requests) == 2
    assert SECRET not in bench.api.asked


async def test_what_a_public_turn_reads_inside_its_folder(bench: Bench, outside: Path) -> None:
    path = str(bench.checkout / "inside.txt")
    bench.api.plays(Answer(calls=[bench.way.read(path)]), Answer("I tried."))
    await bench.answered(trust="public")
    reads = bench.way.cli in ("claude-code", "gemini-acp")
    assert ("nothing special" in bench.api.asked) is reads


async def test_the_files_of_a_trusted_turn(bench: Bench, outside: Path) -> None:
    inside, beyond = bench.checkout / "made.txt", outside / "made.txt"
    _shows_anything(bench, beyond)
    for path in (inside, beyond):
        bench.api.plays(Answer(calls=[bench.way.write(str(path))]), Answer("I tried."))
        await bench.answered(trust="trusted")
    assert not beyond.exists()
    await _sandboxed(bench, inside.exists())


def _shows_anything(bench: Bench, beyond: Path) -> None:
    if bench.way.cli == "codex" and beyond.is_relative_to("/tmp"):
        pytest.skip("Codex may write in /tmp, where this checkout lies")


async def _sandboxed(bench: Bench, done: bool) -> None:
    """Where Codex cannot make its sandbox, nothing is done in it."""
    if not done and bench.way.cli == "codex" and "bwrap" in bench.api.asked:
        pytest.skip("the sandbox of Codex cannot start here")
    assert done


async def test_the_commands_of_a_trusted_turn(bench: Bench, outside: Path) -> None:
    """None but in the sandbox of Codex; and of Claude Code those that do what an edit does."""
    made, beyond = bench.checkout / "made.txt", outside / "made.txt"
    _shows_anything(bench, beyond)
    line = f'python3 -c \'open("{made}", "w")\'; python3 -c \'open("{beyond}", "w")\''
    bench.api.plays(Answer(calls=[bench.way.shell(line)]), Answer("I tried."))
    await bench.answered(trust="trusted")
    assert not beyond.exists()
    if bench.way.cli == "codex":
        await _sandboxed(bench, await asyncio.to_thread(made.exists))
    else:
        assert not made.exists()


TRAPS = {
    "claude-code": [".git/hooks/pre-commit", ".claude/settings.json", ".mcp.json"],
    "codex": [".git/hooks/pre-commit", ".codex/config.toml", ".agents/skills/it/SKILL.md"],
    "gemini": [".git/hooks/pre-commit", ".gemini/settings.json"],
    "gemini-acp": [
        ".git/hooks/pre-commit", ".gemini/settings.json", ".claude/settings.json", ".mcp.json",
        ".codex/config.toml",
    ],
}  # fmt: skip
"""Files that the CLI, or git, takes for orders at a later turn, which may have more trust."""


async def test_a_trusted_turn_leaves_no_trap_for_the_next_one(bench: Bench) -> None:
    (bench.checkout / ".git" / "hooks").mkdir(parents=True)
    for name in TRAPS[bench.way.cli]:
        path = bench.checkout / name
        bench.api.plays(Answer(calls=[bench.way.write(str(path))]), Answer("I tried."))
        await bench.answered(trust="trusted")
        assert len(bench.api.requests) == 2
        assert not path.exists(), name


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_no_turn_has_its_agent_go_on_after_the_answer(
    make_bench: Callable[[str], Bench], trust: str
) -> None:
    """Claude Code's tools for that, of which others have none."""
    bench = make_bench("claude-code warm")
    later = {"delaySeconds": 60, "reason": "later", "prompt": "go on"}
    cron = {"cron": "* * * * *", "prompt": "go on", "recurring": False}
    calls = [Call("ScheduleWakeup", later), Call("CronCreate", cron)]
    bench.api.plays(Answer(calls=calls), Answer("I tried."))
    events = await bench.events(trust=trust)
    results = [one for one in events if isinstance(one, Block) and one.kind == "tool_result"]
    assert [one.failed for one in results] == [True, True]
    assert all("No such tool" in one.text for one in results)


async def test_an_owner_may_do_all(bench: Bench, outside: Path) -> None:
    beyond = outside / "made.txt"
    line = f"cat {outside}/secret.txt > {beyond}"
    bench.api.plays(Answer(calls=[bench.way.shell(line)]), Answer("Done."))
    events = await bench.events()
    assert beyond.read_text() == SECRET
    assert [event for event in events if isinstance(event, Block) and event.kind == "tool_use"]


SETTINGS = (".claude/settings.json", ".codex/config.toml", ".gemini/settings.json")


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_no_turn_changes_the_settings_of_the_user(bench: Bench, trust: str) -> None:
    """Codex's server would note there that a folder is trusted, for all turns to come."""

    def settings() -> dict[str, str]:
        paths = [bench.home / name for name in SETTINGS]
        return {path.name: path.read_text() for path in paths if path.exists()}

    before = await asyncio.to_thread(settings)
    ended = await bench.answered(trust=trust)
    assert await asyncio.to_thread(settings) == before
    if bench.way.cli != "gemini-acp":  # it loses a session that is loaded so soon
        runtime = bench.rebuilt()
        await bench.run(runtime, "again", trust=trust, session=ended.session)
        await runtime.close()
    assert await asyncio.to_thread(settings) == before
