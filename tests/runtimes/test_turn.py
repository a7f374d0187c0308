import asyncio
import json
import sys
import textwrap
import threading
import tracemalloc
from contextlib import aclosing
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

import pytest

from sidecar import codecs, metrics
from sidecar.codecs import pieces
from sidecar.model import AgentEvent, Block, SessionStarted, TurnEnded
from tests.patience import PATIENCE, until

EVENTS = """
import json, os, sys, time
job = json.loads(sys.stdin.readline())
def emit(**event):
    print(json.dumps(event), flush=True)
"""


def agent(workshop: Any, text: str) -> Any:
    return workshop.command(EVENTS + textwrap.dedent(text), protocol="ndjson")


async def test_an_agent_gets_its_job_and_its_events_arrive(workshop: Any) -> None:
    runtime = agent(
        workshop,
        """
        emit(type="session", id="s2")
        seen = {"cwd": os.getcwd(), "rest": sys.stdin.read()}
        emit(type="tool_use", id="1", name="look", input=seen)
        emit(type="result", text=json.dumps(job))
        """,
    )
    message = {"id": "m1", "attempt": 2}
    *others, ended = await workshop.events(runtime, session="s1", message=message)
    cwd = str(workshop.job.cwd)
    assert others == [
        SessionStarted("s2"),
        Block("tool_use", name="look", id="1", input={"cwd": cwd, "rest": ""}),
    ]
    job = json.loads(ended.text)
    assert (job["session"], job["attempt"], job["prompt"]["user"]) == ("s1", 2, "hello")
    assert ended.session == "s2"


async def test_no_turn_imports_what_reads_pieces_on_the_loop(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    waited: list[bool] = []

    class Slow(SourceFileLoader):
        def exec_module(self, module: ModuleType) -> None:
            threads.append(threading.current_thread())
            begun.set()
            waited.append(go_on.wait(PATIENCE))
            super().exec_module(module)

    class Finder:
        def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
            mine = name == pieces.__name__
            loader = Slow(name, str(pieces.__file__)) if mine else None
            return spec_from_loader(name, loader) if mine else None

    monkeypatch.delitem(sys.modules, pieces.__name__)
    monkeypatch.delattr(codecs, "pieces")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    runtime = agent(
        workshop,
        """
        emit(type="text", text="hi")
        open("printed" if os.path.exists("first") else "first", "w").close()
        """,
    )
    async with asyncio.TaskGroup() as group:
        turns = [group.create_task(workshop.events(runtime))]
        await until(lambda: begun.is_set() and (workshop.job.cwd / "first").exists())
        turns.append(group.create_task(workshop.events(runtime)))  # meanwhile, it is half there
        await until((workshop.job.cwd / "printed").exists)
        go_on.set()
    expected = [Block("assistant", "hi", partial=True), TurnEnded("hi")]
    assert [turn.result() for turn in turns] == [expected, expected]
    assert waited == [True]
    assert threads != [threading.current_thread()]


async def test_events_come_when_they_are_printed(workshop: Any) -> None:
    runtime = agent(
        workshop,
        """
        emit(type="text", text="first")
        while not os.path.exists("go"):
            time.sleep(0.002)
        emit(type="result")
        """,
    )
    async with aclosing(runtime.run(workshop.job)) as run:
        assert await anext(run) == Block("assistant", "first", partial=True)
        await asyncio.to_thread((workshop.job.cwd / "go").touch)
        assert await anext(run) == TurnEnded("first")


async def test_an_agent_that_prints_nothing_is_ended(workshop: Any) -> None:
    runtime = workshop.command("echo $$ >../pids; exec sleep 600", python=False)
    noted = workshop.folder / "pids"

    def begun(_: object) -> bool:
        return noted.exists() and noted.read_text() != ""  # it may be ended in between

    ended = await workshop.silenced(runtime, begun, session="s1")
    assert ended.failure.kind == "idle_timeout"
    assert ended.session == "s1"
    await workshop.gone(await workshop.pids())


async def test_what_was_said_before_the_silence_is_kept(workshop: Any) -> None:
    runtime = workshop.command("echo half; exec sleep 600", python=False)
    ended = await workshop.silenced(runtime, lambda ended: ended.text)
    assert (ended.text, ended.failure.kind) == ("half", "idle_timeout")


@pytest.mark.parametrize("descriptor", [1, 2])
async def test_every_output_is_a_sign_of_life(workshop: Any, descriptor: int) -> None:
    for pause in (0.1, 1.0):  # where the machine is too slow for the one, the other tells
        beat = f"sleep {pause}; echo alive >&{descriptor};"
        runtime = workshop.command(beat * 8, python=False)
        ended = await workshop.ended(runtime, idle_timeout=5 * pause)
        if ended.failure is None:
            break
    assert ended.failure is None


async def test_an_agent_that_lingers_after_its_result_is_ended_and_its_turn_is_good(
    workshop: Any,
) -> None:
    runtime = agent(
        workshop,
        """
        open("../pids", "w").write(str(os.getpid()))
        emit(type="result", text="done")
        time.sleep(600)
        """,
    )
    ended = await workshop.ended(runtime, linger=0.2)
    assert (ended.text, ended.failure) == ("done", None)
    await workshop.gone(await workshop.pids())


async def test_an_agent_that_chatters_after_its_result_is_ended_too(workshop: Any) -> None:
    runtime = agent(
        workshop,
        """
        open("../pids", "w").write(str(os.getpid()))
        emit(type="result", text="done")
        os.execvp("yes", ["yes", '{"type": "status", "text": "still here"}'])
        """,
    )
    assert (await workshop.ended(runtime, linger=0.2)).text == "done"
    await workshop.gone(await workshop.pids())


async def test_an_agent_that_closes_its_output_and_stays_is_ended(workshop: Any) -> None:
    runtime = workshop.command(
        "echo $$ >../pids; echo all; exec >&- 2>&-; exec sleep 600", python=False
    )
    ended = await workshop.ended(runtime, linger=0.2)
    assert (ended.text, ended.failure) == ("all", None)
    await workshop.gone(await workshop.pids())


GARBAGE = [
    b"",
    b"\n\n\r\n",
    b"plain\n",
    b'{"type": "te',
    b"\0\0\n",
    b"\xff\xfe\n",
    b"[1]\n",
    b"{}\n",
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_around_the_events_does_no_harm(workshop: Any, garbage: bytes) -> None:
    runtime = agent(
        workshop,
        f"""
        sys.stdout.buffer.write({garbage!r} + b"\\n")
        emit(type="result", text="fine")
        sys.stdout.buffer.write({garbage!r})
        """,
    )
    ended = await workshop.ended(runtime)
    assert (ended.text, ended.failure) == ("fine", None)


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_alone_is_a_failure(workshop: Any, garbage: bytes) -> None:
    runtime = agent(workshop, f"sys.stdout.buffer.write({garbage!r})")
    assert (await workshop.ended(runtime)).failure.kind in ("protocol", "exited")


async def test_a_last_line_without_an_end_counts(workshop: Any) -> None:
    runtime = agent(workshop, """sys.stdout.write('{"type": "result", "text": "fine"}')""")
    assert (await workshop.ended(runtime)).text == "fine"


async def test_a_line_of_64_mib_is_left_out_in_little_memory(workshop: Any) -> None:
    runtime = agent(
        workshop,
        """
        for _ in range(1024):
            os.write(1, b"x" * 65536)
        print()
        emit(type="result", text="fine")
        """,
    )
    before = metrics.value("agent_lines_dropped_total", runtime="script")
    tracemalloc.start()
    try:
        *_, note, ended = await workshop.events(runtime)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (ended.text, ended.failure) == ("fine", None)
    assert note == Block("system", "1 line(s) were too long.", name="dropped")
    assert metrics.value("agent_lines_dropped_total", runtime="script") == before + 1


async def test_a_line_of_megabytes_is_read_and_its_answer_cut(workshop: Any) -> None:
    runtime = agent(workshop, 'emit(type="result", text="x" * 2_000_000, more=[[]] * 300_000)')
    *_, note, ended = await workshop.events(runtime)
    kept, _, told = ended.text.partition("…")
    assert len(kept) == 1 << 20
    assert told == "\n\n⚠️ The answer is longer than 1 MiB and is cut here."
    assert isinstance(note, Block)
    assert note.name == "cut"


async def test_a_long_answer_is_cut_between_characters_and_that_is_told(
    workshop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = workshop.command("printf 'äöü%.0s' 1 2 3 4", python=False)
    before = metrics.value("answers_cut_total", runtime="script")
    events: list[AgentEvent] = await workshop.events(runtime, output=9)
    assert events[-2:] == [
        Block("system", "The answer was longer than 9 bytes and is cut.", name="cut"),
        TurnEnded("äöüä…\n\n⚠️ The answer is longer than 9 bytes and is cut here."),
    ]
    assert "the answer was longer than limits.output (9 bytes): cut" in caplog.messages
    assert metrics.value("answers_cut_total", runtime="script") == before + 1


async def test_many_turns_run_beside_each_other(workshop: Any) -> None:
    runtime = agent(workshop, 'emit(type="result", text=job["turn"])')
    turns = [workshop.ended(runtime, turn=f"turn-{number}") for number in range(20)]
    assert [ended.text for ended in await asyncio.gather(*turns)] == [
        f"turn-{number}" for number in range(20)
    ]
