import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from sidecar.api import Runtime
from sidecar.config.model import Warm
from sidecar.model import Block, Prompt, SessionStarted, TurnEnded
from sidecar.runtimes import acp
from sidecar.runtimes.acp_files import LARGEST
from sidecar.runtimes.processes import turn
from tests.patience import PATIENCE

AGENT = Path(__file__).parent / "acp_agent.py"


def agent(workshop: Any, *flags: str, **options: Any) -> Runtime:
    command = [sys.executable, "-S", str(AGENT), str(workshop.folder), *flags]
    return acp.build({"command": command, **options}, workshop.host)


def heard(workshop: Any, method: str) -> list[Any]:
    """The parameters of what the agent was told, by its method."""
    lines = (workshop.folder / "heard").read_text().splitlines()
    return [one["params"] for one in map(json.loads, lines) if one.get("method") == method]


def say(text: str) -> Prompt:
    return Prompt("be kind", text)


async def answer(workshop: Any, text: str, *flags: str, **job: Any) -> str:
    """What comes of a good turn."""
    ended = await workshop.ended(agent(workshop, *flags), prompt=say(text), **job)
    assert ended.failure is None, ended.failure
    return str(ended.text)


async def test_a_plain_answer_comes_with_its_session(workshop: Any) -> None:
    events = await workshop.events(agent(workshop, "--resume"))
    assert events == [
        SessionStarted("session-1"),
        Block("assistant", "Hi, ", partial=True),
        Block("assistant", "there.", partial=True),
        TurnEnded("Hi, there.", "session-1"),
    ]
    [new] = heard(workshop, "session/new")
    assert new == {"cwd": str(workshop.job.cwd), "mcpServers": []}
    [hello] = heard(workshop, "initialize")
    assert hello["protocolVersion"] == 1
    assert hello["clientInfo"]["name"] == "sidecar"


async def test_the_context_stands_before_the_message_and_is_fresh_in_each_turn(
    workshop: Any,
) -> None:
    runtime = agent(workshop, "--resume")
    for context in ("be kind", "be brief"):
        prompt = Prompt(context, "hello")
        await workshop.ended(runtime, prompt=prompt, session="session-1")
    first, second = (one["prompt"] for one in heard(workshop, "session/prompt"))
    assert [block["type"] for block in first] == ["text", "text"]
    assert first[1]["text"] == "Message:\nhello"
    mark = first[0]["text"].split("<", 1)[1].split(">", 1)[0]
    assert f"<{mark}>\nbe kind\n</{mark}>" in first[0]["text"]
    assert mark not in second[0]["text"]
    assert "be brief" in second[0]["text"]
    assert "be kind" not in second[0]["text"]


@pytest.mark.parametrize("text", ["/help", "@/etc/passwd", "$skill", "-v", "a @../b", "(@~/x"])
async def test_a_message_is_no_command_and_names_no_file(workshop: Any, text: str) -> None:
    await answer(workshop, f"{text}\nhello", trust="public")
    [[_, block]] = [one["prompt"] for one in heard(workshop, "session/prompt")]
    assert block["text"].startswith("Message:\n")
    for sign in ("@", "$"):
        assert f"{sign}\u2060" in block["text"] or sign not in text


async def test_the_owner_names_skills_and_no_files(workshop: Any) -> None:
    await answer(workshop, "echo $HOME @../b", trust="owner")
    [[_, block]] = [one["prompt"] for one in heard(workshop, "session/prompt")]
    assert block["text"] == "Message:\necho $HOME @\u2060../b"


async def test_a_session_is_resumed(workshop: Any) -> None:
    assert await answer(workshop, "hello", "--resume", session="session-1") == "Hi, there."
    [resumed] = heard(workshop, "session/resume")
    assert resumed["sessionId"] == "session-1"
    assert not heard(workshop, "session/new")


async def test_a_loaded_history_is_not_told_again(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for silence in (turn.SILENCE, 3.0):  # more, where the machine is too slow for the usual
        monkeypatch.setattr(turn, "SILENCE", silence)
        events = await workshop.events(agent(workshop, "--load"), session="session-1")
        said = [event.text for event in events if isinstance(event, Block)]
        if said == ["Hi, ", "there."]:
            break
    assert said == ["Hi, ", "there."]


async def test_a_session_that_is_gone_is_missing(workshop: Any) -> None:
    runtime = agent(workshop, "--resume", "--forgets")
    ended = await workshop.ended(runtime, session="session-1")
    assert (ended.failure.kind, ended.session) == ("session_missing", None)


async def test_an_agent_that_is_not_logged_in_says_how_to_log_in(workshop: Any) -> None:
    ended = await workshop.ended(agent(workshop, "--login"))
    assert ended.failure.kind == "auth"
    assert "Log in with It (run `it login`)" in ended.failure.detail


async def test_a_usage_limit_is_told(workshop: Any) -> None:
    ended = await workshop.ended(agent(workshop), prompt=say("limit"))
    assert ended.failure.kind == "usage_limit"


@pytest.mark.parametrize(
    ("trust", "mode"), [("owner", "yolo"), ("trusted", "acceptEdits"), ("public", "default")]
)
async def test_the_session_has_the_mode_of_the_turns_trust(
    workshop: Any, trust: str, mode: str
) -> None:
    await answer(workshop, "hello", "--modes", trust=trust)
    [set_] = heard(workshop, "session/set_mode")
    assert set_ == {"sessionId": "session-1", "modeId": mode}


async def test_the_operator_can_name_the_mode(workshop: Any) -> None:
    runtime = agent(workshop, "--modes", modes={"public": "plan"})
    await workshop.ended(runtime, trust="public")
    [set_] = heard(workshop, "session/set_mode")
    assert set_["modeId"] == "plan"


@pytest.mark.parametrize(
    ("trust", "text", "outcome"),
    [
        ("owner", "edit {cwd}/a", "allow_once"),
        ("owner", "edit /etc/a", "allow_once"),
        ("owner", "execute", "allow_once"),
        ("trusted", "edit {cwd}/a", "allow_once"),
        ("trusted", "edit {cwd}/a /etc/passwd", "reject_once"),
        ("trusted", "edit {cwd}/../a", "reject_once"),
        ("trusted", "edit {cwd}/out/a", "reject_once"),
        ("trusted", "edit {cwd}/.git/hooks/pre-commit", "reject_once"),
        ("trusted", "edit {cwd}/in/hooks/pre-commit", "reject_once"),
        ("trusted", "edit {cwd}/.to/a", "reject_once"),
        ("trusted", "edit {cwd}/opencode.json", "reject_once"),
        ("trusted", "edit {cwd}/to/OpenCode.jsonc", "reject_once"),
        ("trusted", "change {cwd}/a {cwd}/b", "allow_once"),
        ("trusted", "change {cwd}/a {cwd}/b /etc/passwd", "reject_once"),
        ("trusted", "edit relative", "reject_once"),
        ("trusted", "edit", "reject_once"),
        ("trusted", "execute {cwd}/a", "reject_once"),
        ("public", "edit {cwd}/a", "reject_once"),
        ("public", "execute", "reject_once"),
    ],
)
async def test_permissions_are_answered_by_the_turns_trust(
    workshop: Any, trust: str, text: str, outcome: str
) -> None:
    cwd = workshop.job.cwd
    (cwd / "out").symlink_to("/etc")
    (cwd / ".git").mkdir()
    (cwd / "in").symlink_to(".git")
    (cwd / "to").mkdir()
    (cwd / ".to").symlink_to("to")
    runtime = agent(workshop)
    events = await workshop.events(runtime, prompt=say(text.format(cwd=cwd)), trust=trust)
    ended = events[-1]
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.failure) == (outcome, None)
    [used] = [one for one in events if isinstance(one, Block) and one.kind == "tool_use"]
    [result] = [one for one in events if isinstance(one, Block) and one.kind == "tool_result"]
    assert used.id == result.id
    assert result.failed == (outcome == "reject_once")


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_files_of_the_folder_are_read_and_no_others(workshop: Any, trust: str) -> None:
    cwd, secret = workshop.job.cwd, workshop.folder / "secret"
    secret.write_text("secret")
    (cwd / "a").write_text("one\ntwo\u2028\nthree\n")
    (cwd / "link").symlink_to(secret)
    (cwd / "folder").symlink_to(workshop.folder)
    os.mkfifo(cwd / "pipe")
    (cwd / "large").write_bytes(b"x" * (LARGEST + 1))
    assert json.loads(await answer(workshop, f"read {cwd}/a", trust=trust)) == {
        "content": "one\ntwo\u2028\nthree\n"
    }
    assert json.loads(await answer(workshop, f"lines {cwd}/a 2 1", trust=trust)) == {
        "content": "two\u2028"
    }
    others = f"{secret} {cwd}/link {cwd}/folder/secret {cwd}/../secret a /etc/passwd"
    text = await answer(workshop, f"read {others} {cwd}/pipe {cwd}/large {cwd}", trust=trust)
    refusals = text.splitlines()
    assert len(refusals) == 9
    assert all(line.startswith("error -32602:") for line in refusals), text
    text = await answer(workshop, f"read {cwd}/none", trust=trust)
    assert text.startswith("error -32002: Resource not found")


@pytest.mark.parametrize("trust", ["owner", "trusted", "public"])
async def test_files_of_the_folder_are_written_and_no_others(workshop: Any, trust: str) -> None:
    cwd, outside = workshop.job.cwd, workshop.folder / "outside"
    outside.mkdir()
    (cwd / "link").symlink_to(outside)
    (cwd / "file").symlink_to(outside / "new")
    others = f"{outside}/a {cwd}/link/a {cwd}/file {cwd}/../outside/a a"
    refusals = (await answer(workshop, f"write {others}", trust=trust)).splitlines()
    assert len(refusals) == 5
    assert all(line.startswith("error") for line in refusals)
    assert list(outside.iterdir()) == []
    text = await answer(workshop, f"write {cwd}/new/a", trust=trust)
    settings = await answer(workshop, f"write {cwd}/.agent/settings.json", trust=trust)
    assert (cwd / "new" / "a").exists() == (text == "{}") == (trust != "public")
    assert (cwd / ".agent").exists() == (settings == "{}") == (trust == "owner")


async def test_a_path_that_can_be_none_is_refused(workshop: Any) -> None:
    refusals = (await answer(workshop, "odd")).splitlines()
    assert len(refusals) == 4
    assert all(line.startswith("error -32602:") for line in refusals)


async def test_there_are_no_terminals(workshop: Any) -> None:
    assert (await answer(workshop, "terminal")).startswith("error -32601:")


@pytest.fixture
def slow_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is told to stop may take its time to do so."""
    monkeypatch.setattr(turn, "CANCEL_WAIT", PATIENCE)


async def test_cancelling_asks_the_agent_first_and_then_ends_it(
    workshop: Any, slow_last_word: None
) -> None:
    job = workshop.change(prompt=say("hang"))
    async with aclosing(agent(workshop).run(job)) as events:
        async for event in events:
            if isinstance(event, Block):
                assert event.text == "half"
                break
    assert heard(workshop, "session/cancel") == [{"sessionId": "session-1"}]


async def test_a_cancelled_task_leaves_no_process(workshop: Any) -> None:
    async def run() -> None:
        await workshop.events(agent(workshop), prompt=say("stubborn"))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        pids = await workshop.pids()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await workshop.gone(pids)


async def test_an_agent_that_crashes_has_said_what_it_has_said(workshop: Any) -> None:
    ended = await workshop.ended(agent(workshop), prompt=say("crash"))
    assert (ended.text, ended.failure.kind) == ("half", "exited")
    assert "exit code 3: out of luck" in ended.failure.detail


async def test_a_line_without_an_end_is_left_out(workshop: Any) -> None:
    events = await workshop.events(agent(workshop), prompt=say("huge"))
    assert events[-1].text == "still here"
    assert [one.name for one in events if isinstance(one, Block) and one.kind == "system"] == [
        "dropped"
    ]


async def test_long_chunks_are_cut_at_the_limit_of_the_output(workshop: Any) -> None:
    assert len(await answer(workshop, "chunk")) == 300_000
    kept, _, _ = (await answer(workshop, "chunk", output=1000)).partition("…")
    assert len(kept) == 1000


async def test_noise_on_standard_error_disturbs_nothing(workshop: Any) -> None:
    assert await answer(workshop, "noise") == "heard over the noise"


async def test_what_the_agent_leaves_behind_is_ended(workshop: Any) -> None:
    assert await answer(workshop, "children") == "left one behind"
    await workshop.gone(await workshop.pids(count=2))


async def test_an_agent_that_says_nothing_runs_out_of_time(workshop: Any) -> None:
    ended = await workshop.ended(agent(workshop), prompt=say("silent"), idle_timeout=0.3)
    assert ended.failure.kind == "idle_timeout"


async def test_a_program_that_does_not_speak_the_protocol_is_told(workshop: Any) -> None:
    program = workshop.script("print('usage: agent')")
    ended = await workshop.ended(acp.build({"command": [program]}, workshop.host))
    assert ended.failure.kind == "protocol"
    assert "usage: agent" in ended.failure.detail
    nothing = acp.build({"command": ["no-such-agent"]}, workshop.host)
    assert (await workshop.ended(nothing)).failure.kind == "not_found"


@pytest.fixture
async def warm(workshop: Any) -> AsyncIterator[Any]:
    """Makes an agent that stays; it is ended with the test."""
    made: list[Runtime] = []

    def make(*flags: str) -> Runtime:
        made.append(agent(workshop, *flags, warm=Warm(2, PATIENCE)))
        return made[-1]

    yield make
    for runtime in made:
        await runtime.close()


async def pid(workshop: Any, runtime: Runtime, **job: Any) -> str:
    """The process that runs a turn."""
    ended = await workshop.ended(runtime, prompt=say("process"), **job)
    assert (ended.failure, ended.session) == (None, "session-1")
    return str(ended.text)


@pytest.mark.parametrize("flags", [(), ("--resume", "--modes")])
async def test_a_process_that_stays_takes_the_next_turn_of_its_session(
    workshop: Any, warm: Any, flags: tuple[str, ...]
) -> None:
    runtime = warm(*flags)
    first = await pid(workshop, runtime)
    job = {"session": "session-1", "turn": "turn-2"}
    assert await pid(workshop, runtime, **job) == first
    assert len(heard(workshop, "initialize")) == len(heard(workshop, "session/new")) == 1
    assert len(heard(workshop, "session/prompt")) == 2
    assert len(heard(workshop, "session/set_mode")) == (2 if "--modes" in flags else 0)


@pytest.mark.parametrize(
    "change", [{"trust": "public"}, {"model": "m"}, {"env": {"A": "b"}}, {"account": "ag_2"}]
)
async def test_another_process_runs_a_turn_that_differs(
    workshop: Any, warm: Any, change: dict[str, Any]
) -> None:
    runtime = warm("--resume")
    first = await pid(workshop, runtime)
    other = await pid(workshop, runtime, session="session-1", **change)
    assert other != first
    await workshop.gone([int(first)])
    assert len(heard(workshop, "session/resume")) == 1


async def test_a_cancelled_turn_of_a_process_that_stays_is_told_to_the_agent(
    workshop: Any, warm: Any, slow_last_word: None
) -> None:
    runtime = warm("--resume")
    first = await pid(workshop, runtime)
    job = workshop.change(prompt=say("hang"), session="session-1")
    async with aclosing(runtime.run(job)) as events:
        async for event in events:
            if isinstance(event, Block):
                break
    assert heard(workshop, "session/cancel") == [{"sessionId": "session-1"}]
    await workshop.gone([int(first)])
    assert await pid(workshop, runtime, session="session-1") != first


async def test_a_fresh_session_takes_the_place_of_an_earlier_one_that_is_called_the_same(
    workshop: Any, warm: Any
) -> None:
    runtime = warm()
    first, second = await pid(workshop, runtime), await pid(workshop, runtime)
    assert first != second
    await workshop.gone([int(first)])
    assert await pid(workshop, runtime, session="session-1") == second


async def test_rooms_whose_sessions_the_agent_calls_the_same_share_no_process(
    workshop: Any, warm: Any
) -> None:
    runtime = warm()
    rooms: list[Any] = [{"message": {"conversation": room}} for room in ("rm_1", "rm_2")]
    first, second = [await pid(workshop, runtime, **room) for room in rooms]
    assert first != second
    assert await pid(workshop, runtime, session="session-1", **rooms[1]) == second
    assert await pid(workshop, runtime, session="session-1", **rooms[0]) == first
