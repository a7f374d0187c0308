import asyncio
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from sidecar.model import Block, TurnEnded
from sidecar.runtimes.processes import process, slices
from sidecar.runtimes.processes.process import Process
from tests.patience import PATIENCE, until


async def test_a_program_that_ends_at_once_is_a_turn(workshop: Any) -> None:
    ended = await workshop.ended(workshop.command("echo hello", python=False))
    assert (ended.text, ended.failure) == ("hello", None)


async def test_it_reads_the_context_and_the_user_turn(workshop: Any) -> None:
    ended = await workshop.ended(workshop.command("cat", python=False))
    assert ended.text == "be kind\n\nhello"


async def test_an_exit_code_is_a_failure_with_the_end_of_standard_error(workshop: Any) -> None:
    runtime = workshop.command("echo half; echo sorry >&2; exit 3", python=False)
    ended = await workshop.ended(runtime)
    assert ended.text == "half"
    assert (ended.failure.kind, ended.failure.detail) == ("exited", "exit code 3: sorry")


async def test_death_by_a_signal_is_no_success(workshop: Any) -> None:
    ended = await workshop.ended(workshop.command("echo half; kill -9 $$", python=False))
    assert (ended.failure.kind, ended.failure.detail) == ("exited", "killed by SIGKILL")


async def test_of_standard_error_the_last_8_kib_are_kept(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import sys
        sys.stderr.write("x" * 1_000_000 + "the end")
        sys.exit(1)
        """
    )
    agent = Process([workshop.folder / "agent"], cwd=workshop.folder, env={})
    await agent.wait()
    await until(lambda: agent.stderr.endswith("the end"))  # on the loop, which reads it, too
    assert len(agent.stderr) == process.TAIL
    agent.close()
    ended = await workshop.ended(runtime)
    assert ended.failure.detail.endswith("xthe end")


@pytest.mark.parametrize("size", [100, 1 << 20, 10 << 20])
async def test_a_prompt_of_any_size_arrives(workshop: Any, size: int) -> None:
    runtime = workshop.command("wc -c", python=False)
    prompt = type(workshop.job.prompt)("", "ä" * (size // 2))
    assert (await workshop.ended(runtime, prompt=prompt)).text == str(size)


async def test_an_agent_that_does_not_read_its_prompt_is_fine(workshop: Any) -> None:
    runtime = workshop.command("exec <&-; echo fine", python=False)
    prompt = type(workshop.job.prompt)("", "x" * (1 << 20))
    assert (await workshop.ended(runtime, prompt=prompt)).text == "fine"


async def test_an_agent_that_reads_late_gets_its_whole_prompt(workshop: Any) -> None:
    runtime = workshop.command("echo first; sleep 0.05; wc -c", python=False)
    prompt = type(workshop.job.prompt)("", "x" * (1 << 20))
    assert (await workshop.ended(runtime, prompt=prompt)).text.split() == ["first", "1048576"]


async def test_the_exit_is_seen_while_a_grandchild_holds_the_pipes(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import os, subprocess
        child = subprocess.Popen(["sleep", "600"])
        open("../pids", "w").write(str(child.pid))
        print("done", flush=True)
        os._exit(0)
        """
    )
    ended = await workshop.ended(runtime)
    assert (ended.text, ended.failure) == ("done", None)
    await workshop.gone(await workshop.pids())


async def test_the_answer_does_not_wait_for_what_the_agent_left_behind(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import os, subprocess
        child = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        open("../pids", "w").write(str(child.pid))
        print("done", flush=True)
        os._exit(0)
        """
    )
    async with aclosing(runtime.run(workshop.change(stop_grace=PATIENCE))) as run:
        async for event in run:
            if isinstance(event, TurnEnded):
                assert event.text == "done"
                break
        (pid,) = await workshop.pids()
        assert await asyncio.to_thread(workshop.is_running, pid)
    await workshop.gone([pid])


def fill_the_pipe() -> None:
    end = time.perf_counter() + 2 * slices.LONGEST
    while time.perf_counter() < end:
        pass


async def test_a_flood_after_the_exit_does_not_keep_the_turn(workshop: Any) -> None:
    agent = Process(["/bin/sh", "-c", "yes & exit 0"], cwd=workshop.folder, env=os.environ)
    await agent.wait()
    assert select.select([agent._stdout.number], [], [], PATIENCE)[0]
    size = 0
    while piece := await agent.read():
        size += len(piece)
        assert size < process.PIPE_MOST + process.CHUNK
        assert select.select([agent._stdout.number], [], [], PATIENCE)[0]
    assert size >= process.PIPE_MOST
    agent.send(signal.SIGKILL)
    agent.close()


async def test_memory_stays_small_in_a_flood(workshop: Any) -> None:
    runtime = workshop.command("yes | head -c 100000000", python=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = await workshop.ended(runtime)
    assert ended.text.partition("…")[0] == ("y\n" * (1 << 19)).strip()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


async def test_others_get_the_event_loop_while_there_is_always_something_to_read(
    workshop: Any,
) -> None:
    agent = Process(["yes"], cwd=workshop.folder, env=os.environ)
    await agent.read()
    others = 0

    def count() -> None:
        nonlocal others
        others += 1
        asyncio.get_running_loop().call_soon(count)

    count()
    for _ in range(5):
        fill_the_pipe()
        assert await agent.read()
    assert others >= 5
    agent.send(signal.SIGKILL)
    await agent.wait()
    agent.close()


async def test_an_agent_waits_while_nobody_takes_its_events(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import os
        with open("../written", "w") as file:
            for number in range(16000):
                os.write(1, b"x" * 4096)
                file.seek(0)
                file.write(str(number))
                file.flush()
        """
    )
    written = workshop.folder / "written"

    def read() -> int:
        return int(written.read_text() or 0) if written.exists() else 0

    async with aclosing(runtime.run(workshop.job)) as run:
        assert isinstance(await anext(run), Block)
        await workshop.until(read)
        for _ in range(20):
            await asyncio.sleep(0.005)
        held = process.PIPE_MOST + 4 * process.CHUNK
        assert await asyncio.to_thread(read) <= held // 4096


async def test_a_cancelled_turn_ends_its_agent_at_every_moment(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import os, time
        open("../pids", "a").write(f"{os.getpid()}\\n")
        print("here", flush=True)
        time.sleep(600)
        """
    )
    others = process.live()
    for rounds in range(12):
        turn = asyncio.ensure_future(workshop.events(runtime))  # noqa: TID251 -- cancelled below
        for _ in range(rounds):
            await asyncio.sleep(0)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    running = asyncio.ensure_future(workshop.events(runtime))  # noqa: TID251 -- cancelled below
    pids = await workshop.pids()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await workshop.gone(pids)
    assert process.live() <= others


async def test_closing_a_turn_early_ends_its_agent(workshop: Any) -> None:
    runtime = workshop.command("echo $$ >../pids; echo here; exec sleep 600", python=False)
    async with aclosing(runtime.run(workshop.job)) as run:
        assert await anext(run) == Block("assistant", "here\n", partial=True)
    await workshop.gone(await workshop.pids())


async def test_an_agent_that_ignores_sigterm_is_killed(workshop: Any) -> None:
    runtime = workshop.command(
        "trap '' TERM; echo $$ >../pids; echo here; while :; do sleep 1; done", python=False
    )
    async with asyncio.timeout(PATIENCE), aclosing(runtime.run(workshop.job)) as run:
        await anext(run)
        started = time.monotonic()
    assert time.monotonic() - started >= 0.3
    await workshop.gone(await workshop.pids())


async def test_an_agent_has_the_grace_to_end_well(workshop: Any) -> None:
    runtime = workshop.command(
        """
        import os, signal, sys, time
        def stop(*_):
            open("../saved", "w").write("yes")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        open("../pids", "w").write(str(os.getpid()))
        print("here", flush=True)
        time.sleep(600)
        """
    )
    async with aclosing(runtime.run(workshop.change(stop_grace=PATIENCE))) as run:
        await anext(run)
    assert (workshop.folder / "saved").read_text() == "yes"


async def test_twice_cancelled_still_ends_everything(workshop: Any) -> None:
    runtime = workshop.command(
        "trap '' TERM; echo $$ >../pids; echo here; while :; do sleep 1; done", python=False
    )
    turn = asyncio.ensure_future(workshop.events(runtime))  # noqa: TID251 -- cancelled below
    pids = await workshop.pids()
    turn.cancel()
    await asyncio.sleep(0.05)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await workshop.until(lambda: not any(map(workshop.is_running, pids)))


async def test_where_there_are_no_pidfds_a_thread_waits(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "exit_descriptor", lambda pid: -1)
    ended = await workshop.ended(workshop.command("echo hello; exit 2", python=False))
    assert (ended.text, ended.failure.detail) == ("hello", "exit code 2")


async def test_a_start_that_fails_leaves_nothing_open(workshop: Any) -> None:
    for argv, cwd in ((["/no/such"], workshop.folder), (["/bin/true"], Path("/no/such"))):
        with pytest.raises(FileNotFoundError):
            Process(argv, cwd=cwd, env={})
    with pytest.raises(ValueError, match="null byte"):
        Process(["/bin/true", "a\0b"], cwd=workshop.folder, env={})


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_want_of_descriptors_is_an_error_that_may_pass(
    workshop: Any, few_descriptors: None
) -> None:
    runtime = workshop.command("echo hello", python=False)
    taken = []
    with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012 -- the last of many
        while True:
            taken.append(os.dup(0))
    for descriptor in taken[-4:]:
        os.close(descriptor)
    ended = await workshop.ended(runtime)
    for descriptor in taken[:-4]:
        os.close(descriptor)
    assert (ended.failure.kind, ended.failure.retryable) == ("internal", True)


async def test_a_child_has_only_its_own_descriptors(workshop: Any) -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    agent = Process([sys.executable, "-S", "-c", code], cwd=workshop.folder, env={})
    data = b""
    while piece := await agent.read():
        data += piece
    assert await agent.wait() == 0
    agent.close()
    assert data.decode().strip() == "['0', '1', '2', '3']"


async def test_a_read_ends_at_its_deadline(workshop: Any) -> None:
    agent = Process(["/bin/sleep", "600"], cwd=workshop.folder, env={})
    try:
        with pytest.raises(TimeoutError):
            await agent.read(asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(TimeoutError):
            await agent.wait(asyncio.get_running_loop().time() + 0.01)
    finally:
        agent.send(signal.SIGKILL)
        assert await agent.wait() == -9
        agent.close()


async def test_output_that_nobody_reads_keeps_the_loop_at_rest(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings, readable = 0, Process._readable

    def ring(agent: Process) -> None:
        nonlocal rings
        rings += 1
        readable(agent)

    monkeypatch.setattr(Process, "_readable", ring)
    agent = Process(["/bin/cat"], cwd=workshop.folder, env={}, dialogue=True)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(agent.read())
        await until(lambda: agent._watching)
        agent.write(b"one")
    assert reading.result() == b"one"
    agent.write(b"two")
    await until(lambda: select.select([agent._stdout.number], [], [], 0)[0])
    for _ in range(100):
        await asyncio.sleep(0)
    assert rings < 10
    assert await agent.read() == b"two"
    agent.send(signal.SIGKILL)
    await agent.wait()
    agent.close()


async def test_one_that_does_not_read_is_written_nothing_more(workshop: Any) -> None:
    program = workshop.script(
        """
        import os, sys, time
        print("started", flush=True)
        while not os.path.exists("read"):
            time.sleep(0.005)
        print(len(sys.stdin.buffer.read()), flush=True)
        """
    )
    agent = Process([program], cwd=workshop.folder, env={}, dialogue=True)
    assert await agent.read() == b"started\n"
    for _ in range(64):
        agent.write(b"x" * (1 << 20))
    (workshop.folder / "read").touch()
    read = int(await agent.read())
    assert process.MOST_UNREAD < read <= process.MOST_UNREAD + (2 << 20)
    await agent.wait()
    agent.close()
