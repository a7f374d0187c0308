"""Turns in processes that stay, with a scripted CLI that speaks as Claude Code does."""

import asyncio
import json
import os
import signal
import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar import metrics
from sidecar.config.model import FileText, Warm
from sidecar.model import Block, Prompt, SessionStarted
from sidecar.runtimes import claude_code
from sidecar.runtimes.processes.orphans import sweep
from sidecar.runtimes.processes.warm import key_of
from sidecar.runtimes.turn_text import MOST_CHANGED, MOST_LINES, SHOWN
from tests.patience import PATIENCE
from tests.runtimes.conftest import IDLE

CLAUDE = """
import json, os, sys, time
here = os.path.dirname(__file__) + "/"
arguments = sys.argv[1:]
if arguments == ["--help"]:
    print("--include-partial-messages --restricted --permission-prompts --system-prompt-snapshot")
    sys.exit(0)

def value(name):
    return arguments[arguments.index(name) + 1] if name in arguments else None

warm = value("--input-format") == "stream-json"
own = "mine" if os.path.exists(here + "named") else f"{os.getpid():08x}-0467-42a2-980a-6af07fcc5e31"
session = value("--resume") or own
context = value("--append-system-prompt-file")
context = open(context).read() if context else ""
total = 0.0

def note(name, text):
    with open(here + name, "a") as file:
        file.write(text + "\\n")

def say(event):
    sys.stdout.write(json.dumps({**event, "session_id": session}) + "\\n")
    sys.stdout.flush()

def start(*argv, **options):
    import subprocess
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    note("pids", str(child.pid))
    return child

def answer(text):
    global total
    say({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
    total += 0.25
    say({"type": "result", "subtype": "success", "result": text, "num_turns": 1,
         "total_cost_usd": total, "usage": {"input_tokens": 10, "output_tokens": 2}})

def turn(prompt):
    word = prompt.split("\\n")[-1]
    note("turns", json.dumps({"pid": os.getpid(), "prompt": prompt, "context": context,
        "argv": arguments, "session": session, "turn": os.environ["SIDECAR_TURN"], "warm": warm}))
    say({"type": "system", "subtype": "init", "model": "m"})
    if word == "break" and warm:
        os.kill(os.getpid(), 9)
    if word == "act and break":
        say({"type": "assistant", "message": {"content": [{"type": "text", "text": "well"}]}})
        os._exit(3)
    if word == "use and break":
        use = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
        say({"type": "assistant", "message": {"content": [use]}})
        os._exit(3)
    if word == "hang":
        time.sleep(600)
    if word == "fail":
        say({"type": "result", "subtype": "error_during_execution", "errors": ["no luck"]})
        return
    if word == "leave":
        import subprocess
        shell = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
        out = subprocess.run([sys.executable, "-S", "-c", shell], start_new_session=True,
            stdout=open(here + "pids", "a"), stdin=subprocess.DEVNULL)
    if word == "hold":
        start("sleep", "600")
    answer("answer to " + word)
    if word == "chat on":
        say({"type": "rate_limit_event"})
        say({"type": "system", "subtype": "status"})
    if word == "background":
        say({"type": "system", "subtype": "background_tasks_changed", "tasks": [{"id": 1}]})
    if word == "then break":
        os._exit(0)

note("pids", str(os.getpid()))
if not warm:
    turn(sys.stdin.read())
    sys.exit(0)
if os.path.exists(here + "too old"):
    sys.exit("error: unknown option '--input-format'")
for line in sys.stdin:
    event = json.loads(line)
    identity = event["uuid"]
    for state in ("queued", "started"):
        say({"type": "command_lifecycle", "command_uuid": identity, "state": state})
    turn(event["message"]["content"])
    done = {"type": "command_lifecycle", "command_uuid": identity, "state": "completed"}
    last = json.dumps({**done, "session_id": session}) + "\\n"
    if "begin at once" in line:
        last += '{"type": "system", "subtype": "init"}\\n'
    if "half a line" in line:
        last += '{"type": "sys'
    sys.stdout.write(last)  # all of it at once
    sys.stdout.flush()
    while "wait for the file" in line and not os.path.exists(here + "file"):
        time.sleep(0.01)
    if "wait for the file and stop" in line:
        sys.stdout.write('{"type": "sys')
        sys.stdout.flush()
        open(here + "stopped", "a").close()
        continue
    if "go on" in line or "wait for the file" in line:
        say({"type": "system", "subtype": "init", "model": "m"})
        answer("of its own")
if os.path.exists(here + "stubborn"):
    time.sleep(600)
"""


KILLED = """
import asyncio, logging, os, pathlib, signal, sys
from sidecar.api import Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.config.model import Warm
from sidecar.model import Job, Prompt
from sidecar.runtimes import claude_code
program, state, cwd = sys.argv[1:]

async def main():
    spawn = Supervisor().spawn
    host = Host("claude", logging.getLogger("x"), pathlib.Path(state), spawn, lambda: None)
    runtime = claude_code.build({"command": program, "warm": Warm(2)}, host)
    job = Job("t", "a", Prompt("", "hi"), pathlib.Path(cwd), "public")
    async for event in runtime.run(job):
        pass
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
"""A sidecar that is killed while a process waits."""


@dataclass
class Claude:
    """The scripted CLI."""

    workshop: Any
    program: str

    def runtime(self, *, most: int = 2, idle: float = PATIENCE, **options: Any) -> Any:
        settings = {"command": self.program, "warm": Warm(most, idle), **options}
        return claude_code.build(settings, self.workshop.host)

    async def turn(
        self, runtime: Any, text: str = "hi", session: str | None = None, **job: Any
    ) -> Any:
        """What the CLI has noted of a turn, with its outcome."""
        job = {"prompt": Prompt("be kind", text), **job}
        ended = await self.workshop.ended(runtime, session=session, **job)
        return {**self.turns[-1], "ended": ended}

    @property
    def turns(self) -> list[Any]:
        lines = (self.workshop.folder / "turns").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def contexts(self) -> list[Path]:
        return list((self.workshop.host.state / "contexts").iterdir())

    def is_running(self, pid: int) -> bool:
        return bool(self.workshop.is_running(pid))


@pytest.fixture
def claude(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> Claude:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return Claude(workshop, workshop.script(CLAUDE, "claude"))


async def test_turns_of_a_session_share_a_process(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "one")
    second = await claude.turn(runtime, "two", first["session"])
    third = await claude.turn(runtime, "three", first["session"])
    assert first["pid"] == second["pid"] == third["pid"]
    assert [turn["ended"].text for turn in (first, second, third)] == [
        "answer to one",
        "answer to two",
        "answer to three",
    ]
    assert {turn["ended"].session for turn in (first, second, third)} == {first["session"]}
    assert third["prompt"] == "Message:\nthree"
    await runtime.close()
    assert not claude.is_running(first["pid"])
    assert claude.contexts == []


async def test_the_trace_of_a_turn_needs_no_process_of_its_own(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, env={"TRACEPARENT": "00-1-1-01"})
    again = await claude.turn(runtime, "x", first["session"], env={"TRACEPARENT": "00-2-2-01"})
    assert again["pid"] == first["pid"]
    await runtime.close()


async def test_a_turn_has_the_events_and_the_cost_of_a_cold_one(claude: Claude) -> None:
    warm, cold = claude.runtime(), claude.runtime(warm=None)
    first = await claude.turn(warm)
    session = first["session"]
    seen = [await claude.workshop.events(one, session=session) for one in (warm, cold)]
    assert seen[0] == seen[1]
    assert seen[0][0] == SessionStarted(session)
    assert [event.kind for event in seen[0] if isinstance(event, Block)] == ["system", "assistant"]
    assert seen[0][-1].usage.cost_usd == 0.25
    assert [turn["warm"] for turn in claude.turns] == [True, True, False]
    await warm.close()


async def test_a_session_is_resumed_where_no_process_waits_for_it(claude: Claude) -> None:
    session = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
    runtime = claude.runtime()
    turn = await claude.turn(runtime, session=session)
    assert (turn["session"], turn["ended"].session) == (session, session)
    await runtime.close()


async def test_conversations_have_processes_of_their_own(claude: Claude) -> None:
    runtime = claude.runtime(most=3)
    one, other = await claude.turn(runtime), await claude.turn(runtime)
    assert one["session"] != other["session"]
    assert one["pid"] != other["pid"]
    again = await claude.turn(runtime, "x", one["session"])
    assert again["pid"] == one["pid"]
    await runtime.close()


@pytest.mark.parametrize(
    "change",
    [
        {"trust": "public"},
        {"cwd": Path("/")},
        {"account": "ag_2"},
        {"env": {"A": "1"}},
        {"args": ("--verbose",)},
        {"model": "opus"},
        {"effort": "high"},
        {"prompt": Prompt("", "hi")},
    ],
    ids=str,
)
async def test_nothing_is_shared_that_differs_in_what_it_may_or_where_it_is(
    claude: Claude, change: dict[str, Any]
) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    other = await claude.turn(runtime, "hi", first["session"], **change)
    assert other["pid"] != first["pid"]
    # What it knew of the session is out of date.
    assert not claude.is_running(first["pid"])
    await runtime.close()


def test_each_thing_that_must_be_equal_is_a_part_of_the_key(workshop: Any) -> None:
    same = key_of(workshop.job, {"A": "1"}, ("x",))
    assert key_of(workshop.change(turn="another", session="s"), {"A": "1"}, ("x",)) == same
    others = [
        key_of(workshop.change(account="ag_2"), {"A": "1"}, ("x",)),
        key_of(workshop.change(trust="public"), {"A": "1"}, ("x",)),
        key_of(workshop.change(cwd=Path("/")), {"A": "1"}, ("x",)),
        key_of(workshop.job, {"A": "2"}, ("x",)),
        key_of(workshop.job, {"A": "1"}, ("y",)),
    ]
    assert len({same, *others}) == 6


async def test_a_secret_that_was_rotated_gets_a_process_of_its_own(claude: Claude) -> None:
    secret = claude.workshop.folder / "secret"
    secret.write_text("a")
    runtime = claude.runtime(env={"ANTHROPIC_API_KEY": FileText((secret,))})
    first = await claude.turn(runtime)
    secret.write_text("b")
    second = await claude.turn(runtime, "x", first["session"])
    assert second["pid"] != first["pid"]
    await runtime.close()


async def test_what_is_different_in_the_context_stands_above_the_turn(claude: Claude) -> None:
    base = f"be kind\n{'five rooms ' * 50}\nit is Monday"
    runtime = claude.runtime()
    first = await claude.turn(runtime, "one", prompt=Prompt(base, "one"))
    prompts = [
        (await claude.turn(runtime, text, first["session"], prompt=Prompt(system, text)))["prompt"]
        for system, text in (
            (base.replace("Monday", "@brief"), "two"),
            (base.replace("kind", "\U0001f600"), "/clear"),
            (base, "four"),
        )
    ]
    assert first["context"] == base
    told, opening, *difference, closing, empty, header, text = prompts[0].split("\n")
    assert told.startswith("For this message, your instructions differ")
    assert difference[1].startswith(" five rooms")
    assert len(difference[1]) == SHOWN
    assert difference[2:] == ["-it is Monday", "+it is @\u2060brief"]
    assert (closing, empty, header, text) == (opening.replace("<", "</"), "", "Message:", "two")
    assert opening.strip("<>") in told
    # Compared with what it began with, which is what it still has when its session is compacted.
    assert "\n-be kind\n+be \U0001f600\n five rooms" in prompts[1]
    assert prompts[1].endswith("\n\nMessage:\n/clear")
    assert prompts[2] == "Message:\nfour"
    assert len({turn["pid"] for turn in claude.turns}) == 1
    await runtime.close()


async def test_a_context_that_has_changed_much_gets_a_process_that_reads_it(
    claude: Claude,
) -> None:
    runtime = claude.runtime(most=1)
    first = await claude.turn(runtime)
    for system in ("x" * (MOST_CHANGED + 1), "y\n" * (MOST_LINES + 1)):
        prompt = Prompt(system, "hi")
        other = await claude.turn(runtime, "hi", first["session"], prompt=prompt)
        assert (other["prompt"], other["context"]) == ("Message:\nhi", system)
        assert (other["session"], other["warm"]) == (first["session"], True)
    assert not claude.is_running(first["pid"])
    assert len({turn["pid"] for turn in claude.turns}) == 3
    await runtime.close()


async def test_a_cancelled_turn_ends_its_process_and_the_next_resumes(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    job = claude.workshop.change(session=first["session"], prompt=Prompt("be kind", "hang"))
    async with aclosing(runtime.run(job)) as events:
        async for event in events:
            if isinstance(event, Block) and event.name == "init":
                break
    assert not claude.is_running(first["pid"])
    second = await claude.turn(runtime, "x", first["session"])
    assert second["pid"] != first["pid"]
    assert second["session"] == first["session"]
    await runtime.close()


async def test_a_process_that_dies_in_a_turn_is_replaced_by_a_cold_run(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    turn = await claude.turn(runtime, "break", first["session"])
    assert turn["ended"].text == "answer to break"
    assert [one["warm"] for one in claude.turns] == [True, True, False]
    assert claude.turns[-1]["session"] == first["session"]
    # One that had worked before is no reason to start none to stay.
    assert (await claude.turn(runtime, "x", first["session"]))["warm"] is True
    await runtime.close()


@pytest.mark.parametrize(("word", "text"), [("act and break", "well"), ("use and break", "")])
async def test_what_was_said_or_done_is_not_done_twice(
    claude: Claude, word: str, text: str
) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    turn = await claude.turn(runtime, word, first["session"])
    assert (turn["ended"].text, turn["ended"].failure.kind) == (text, "exited")
    assert len(claude.turns) == 2
    await runtime.close()


async def test_a_session_that_cannot_be_resumed_leaves_neither_process_nor_place(
    claude: Claude,
) -> None:
    (claude.workshop.folder / "named").touch()
    runtime = claude.runtime(most=1)
    first = await claude.turn(runtime)
    prompt = Prompt("be kind", "x")
    ended = await claude.workshop.ended(runtime, session=first["session"], prompt=prompt)
    assert ended.failure.kind == "session_missing"
    assert not claude.is_running(first["pid"])
    assert (await claude.turn(runtime))["warm"] is True
    await runtime.close()


async def test_a_cli_that_cannot_stay_runs_cold(claude: Claude) -> None:
    (claude.workshop.folder / "too old").touch()
    runtime = claude.runtime()
    for _ in range(2):
        assert (await claude.turn(runtime))["ended"].text == "answer to hi"
    assert [turn["warm"] for turn in claude.turns] == [False, False]
    # Nor is it tried again at once.
    assert len((claude.workshop.folder / "pids").read_text().split()) == 3


async def test_a_turn_that_fails_ends_its_process(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "fail")
    assert first["ended"].failure.kind == "exited"
    assert not claude.is_running(first["pid"])


async def test_a_process_that_died_while_it_waited_is_not_asked(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    os.kill(first["pid"], signal.SIGKILL)
    await claude.workshop.until(lambda: not claude.is_running(first["pid"]))
    second = await claude.turn(runtime, "x", first["session"])
    assert (second["ended"].text, second["warm"]) == ("answer to x", True)
    assert second["session"] == first["session"]
    await runtime.close()


async def test_a_process_waits_no_longer_than_it_may(claude: Claude) -> None:
    runtime = claude.runtime(idle=0.05)
    first = await claude.turn(runtime)
    await claude.workshop.until(lambda: not claude.is_running(first["pid"]))
    second = await claude.turn(runtime, "x", first["session"])
    assert second["pid"] != first["pid"]
    await runtime.close()


async def test_the_process_that_waits_longest_makes_room(claude: Claude) -> None:
    runtime = claude.runtime(most=2)
    one, two = await claude.turn(runtime), await claude.turn(runtime)
    await claude.turn(runtime, "x", one["session"])
    three = await claude.turn(runtime)
    await claude.workshop.until(lambda: not claude.is_running(two["pid"]))
    assert claude.is_running(one["pid"])
    assert claude.is_running(three["pid"])
    await runtime.close()


async def test_more_turns_than_processes_run_cold(claude: Claude) -> None:
    runtime = claude.runtime(most=1)
    job = claude.workshop.change(prompt=Prompt("", "hang"))
    async with aclosing(runtime.run(job)) as events:
        async for event in events:
            if isinstance(event, Block):
                break
        beside = await claude.turn(runtime)
        assert (beside["ended"].text, beside["warm"]) == ("answer to hi", False)


async def test_what_is_printed_between_turns_is_no_answer(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "chat on")
    second = await claude.turn(runtime, "x", first["session"])
    assert (second["pid"], second["ended"].text) == (first["pid"], "answer to x")
    await runtime.close()


@pytest.mark.parametrize("word", ["go on", "background", "then break"])
async def test_what_a_process_does_of_its_own_is_no_answer(claude: Claude, word: str) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, word, linger=0.3)
    second = await claude.turn(runtime, "x", first["session"])
    assert first["ended"].text == f"answer to {word}"
    assert second["ended"].text == "answer to x"
    await runtime.close()


@pytest.mark.parametrize("word", ["begin at once", "half a line"])
async def test_a_process_that_was_not_done_when_its_turn_was_is_not_asked_again(
    claude: Claude, word: str
) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, word)
    assert first["ended"].text == f"answer to {word}"
    assert not claude.is_running(first["pid"])
    await runtime.close()


async def test_a_process_that_stopped_within_a_line_is_not_asked(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "wait for the file and stop")
    (claude.workshop.folder / "file").touch()
    await claude.workshop.until((claude.workshop.folder / "stopped").exists)
    assert claude.is_running(first["pid"])
    second = await claude.turn(runtime, "x", first["session"])
    assert (second["pid"] != first["pid"], second["ended"].text) == (True, "answer to x")
    await runtime.close()


async def test_a_process_that_goes_to_work_by_itself_is_ended(claude: Claude) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "wait for the file")
    assert claude.is_running(first["pid"])
    (claude.workshop.folder / "file").touch()
    await claude.workshop.until(lambda: not claude.is_running(first["pid"]))
    await runtime.close()


async def test_what_a_turn_leaves_behind_is_ended_and_a_child_of_the_cli_is_not(
    claude: Claude,
) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime, "hold")
    held = (await claude.workshop.pids(count=2))[1]
    await claude.turn(runtime, "leave", first["session"])
    left = (await claude.workshop.pids(count=3))[2]
    await claude.workshop.gone([left])
    assert claude.is_running(held)
    await runtime.close()
    await claude.workshop.gone([held])


async def test_the_clock_for_output_holds_and_starts_anew_with_each_turn(claude: Claude) -> None:
    runtime = claude.runtime()
    for seconds in IDLE:
        first = await claude.turn(runtime)
        await asyncio.sleep(seconds + 0.1)  # longer than the clock allows, while nobody asks
        second = await claude.turn(runtime, "x", first["session"], idle_timeout=seconds)
        if second["ended"].failure is None:
            break
    assert (second["ended"].failure, second["pid"]) == (None, first["pid"])
    third = await claude.turn(runtime, "hang", first["session"], idle_timeout=0.3)
    assert third["ended"].failure.kind == "idle_timeout"
    assert not claude.is_running(first["pid"])


async def test_a_runtime_that_is_closed_keeps_nothing(claude: Claude) -> None:
    runtime = claude.runtime()
    job = claude.workshop.change(prompt=Prompt("", "hi"))
    async with aclosing(runtime.run(job)) as events:
        async for event in events:
            if isinstance(event, SessionStarted):
                await runtime.close()
    await claude.workshop.gone([claude.turns[0]["pid"]])


async def test_a_runtime_that_retires_ends_what_waits_and_lets_its_turns_end(
    claude: Claude,
) -> None:
    runtime = claude.runtime()
    waiting = await claude.turn(runtime)
    async with aclosing(runtime.run(claude.workshop.change(prompt=Prompt("", "hi")))) as events:
        async for event in events:
            if isinstance(event, SessionStarted):
                await runtime.retire()
                assert not claude.is_running(waiting["pid"])
    assert (event.failure, event.text) == (None, "answer to hi")
    await claude.workshop.gone([claude.turns[1]["pid"]])
    assert (await claude.turn(runtime, "x", waiting["session"]))["warm"] is False


async def test_flags_for_one_turn_are_obeyed_cold(claude: Claude) -> None:
    runtime = claude.runtime(args=("--max-turns", "3"))
    assert (await claude.turn(runtime))["warm"] is False


async def test_a_process_that_missed_a_turn_of_its_session_is_not_asked_again(
    claude: Claude,
) -> None:
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    beside = await claude.turn(runtime, "x", first["session"], args=("--max-turns", "3"))
    assert beside["warm"] is False
    assert not claude.is_running(first["pid"])
    assert (await claude.turn(runtime, "y", first["session"]))["pid"] != first["pid"]
    await runtime.close()


async def test_how_processes_are_used_is_counted(claude: Claude) -> None:
    def counted(how: str) -> float:
        return metrics.value("warm_turns_total", runtime="script", process=how)

    before = counted("reused")
    runtime = claude.runtime()
    first = await claude.turn(runtime)
    await claude.turn(runtime, "x", first["session"])
    assert counted("reused") == before + 1
    await runtime.close()


async def test_a_killed_sidecar_leaves_no_process_after_the_next_start(claude: Claude) -> None:
    workshop = claude.workshop
    (workshop.folder / "stubborn").touch()
    sidecar = workshop.script(KILLED, "sidecar")
    state, cwd = str(workshop.host.state), str(workshop.job.cwd)
    arguments = (sys.executable, sidecar, claude.program, state, cwd)
    killed = await asyncio.create_subprocess_exec(*arguments)
    assert await killed.wait() == -signal.SIGKILL
    pid = claude.turns[0]["pid"]
    assert claude.is_running(pid)
    assert await asyncio.to_thread(sweep, workshop.host.state) == 1
    await workshop.gone([pid])


async def test_a_file_that_cannot_be_removed_holds_up_no_turn(claude: Claude) -> None:
    def replace_by_folder() -> Path:
        [file] = claude.contexts
        file.unlink()
        file.mkdir()
        return file

    runtime = claude.runtime()
    first = await claude.turn(runtime)
    stays = await asyncio.to_thread(replace_by_folder)
    other = await claude.turn(runtime, "hi", first["session"], model="opus")
    assert other["ended"].failure is None
    assert not claude.is_running(first["pid"])
    await runtime.close()
    assert claude.contexts == [stays]
