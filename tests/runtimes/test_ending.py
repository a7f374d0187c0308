"""Nothing that a turn has started outlives it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from sidecar.runtimes import command
from sidecar.runtimes.processes import environment, orphans, tree
from tests.patience import PATIENCE, until

START = """
import os, subprocess, sys, time
NULL = subprocess.DEVNULL
QUIET = {"stdin": NULL, "stdout": NULL, "stderr": NULL}
def start(*argv, **options):
    child = subprocess.Popen(argv, **options)
    with open("../pids", "a") as file:
        file.write(f"{child.pid}\\n")
    return child
"""
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""


def script(text: str) -> str:
    return START + textwrap.dedent(text)


async def test_a_grandchild_in_a_session_of_its_own_is_ended_after_a_good_turn(
    workshop: Any,
) -> None:
    runtime = workshop.command(
        script(
            """
            start("sleep", "600", start_new_session=True, **QUIET)
            print("done", flush=True)
            os._exit(0)
            """
        )
    )
    assert (await workshop.ended(runtime)).text == "done"
    await workshop.gone(await workshop.pids())


async def test_a_grandchild_that_wiped_its_environment_is_ended_after_a_good_turn(
    workshop: Any,
) -> None:
    runtime = workshop.command(
        script(
            """
            wiped = "env -i sleep 600 & echo $! >>../pids; wait"
            start("sh", "-c", wiped, start_new_session=True, **QUIET)
            while open("../pids").read().count("\\n") < 2:
                time.sleep(0.005)
            print("done", flush=True)
            os._exit(0)
            """
        )
    )
    assert (await workshop.ended(runtime)).text == "done"
    await workshop.gone(await workshop.pids(count=2))


async def test_a_daemon_that_left_its_parents_is_ended(workshop: Any) -> None:
    runtime = workshop.command(
        script(
            """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    with open("../pids", "w") as file:
                        file.write(str(os.getpid()))
                    for number in range(3):
                        os.close(number)
                    time.sleep(600)
                os._exit(0)
            while not (os.path.exists("../pids") and os.path.getsize("../pids")):
                time.sleep(0.005)
            print("done", flush=True)
            os._exit(0)
            """
        )
    )
    assert (await workshop.ended(runtime)).text == "done"
    await workshop.gone(await workshop.pids())


WIPED = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("../pids", "a") as file:
            file.write(f"{os.getpid()}\\n")
        os.execve("/bin/sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
while not (os.path.exists("../pids") and os.path.getsize("../pids")):
    time.sleep(0.005)
print("done", flush=True)
os._exit(0)
"""
"""A daemon with nothing in its environment."""


async def test_a_daemon_that_wiped_its_environment_is_ended(workshop: Any) -> None:
    assert (await workshop.ended(workshop.command(script(WIPED)))).text == "done"
    await workshop.gone(await workshop.pids())


async def test_a_daemon_that_leads_its_own_session_without_an_environment_is_ended_by_its_turn(
    workshop: Any,
) -> None:
    waits = workshop.command("echo here; exec sleep 600", python=False)
    async with aclosing(waits.run(workshop.change(turn="long"))) as run:
        await anext(run)
        text = script(WIPED.replace("with open", "os.setsid()\n        with open"))
        runtime = command.build(
            {"command": [workshop.script(text, "leaves")], "protocol": "text"}, workshop.host
        )
        assert (await workshop.ended(runtime, turn="short")).text == "done"
        await workshop.gone(await workshop.pids())
        others = environment.marks(workshop.host.state, "long")
        assert await asyncio.to_thread(tree.marked, others), "another turn is left alone"


async def test_a_cancelled_turn_takes_its_whole_family_along(workshop: Any) -> None:
    stubborn = workshop.script(f"{STUBBORN}\ntime.sleep(600)", "stubborn")
    runtime = workshop.command(
        script(
            f"""
            start("sleep", "600")
            start("sleep", "600", start_new_session=True)
            start("sleep", "600", start_new_session=True, env={{}})
            start({stubborn!r}, start_new_session=True)
            with open("../pids", "a") as file:
                file.write(f"{{os.getpid()}}\\n")
            print("here", flush=True)
            time.sleep(600)
            """
        )
    )
    async with aclosing(runtime.run(workshop.job)) as run:
        await anext(run)
    await workshop.gone(await workshop.pids(count=5))


async def test_the_daemons_of_other_turns_are_left_alone(workshop: Any) -> None:
    runtime = workshop.command(
        script(
            """
            if os.fork() == 0:
                start("sleep", "600", start_new_session=True, **QUIET)
                os._exit(0)
            os.wait()
            print("here", flush=True)
            time.sleep(600)
            """
        )
    )
    async with aclosing(runtime.run(workshop.change(turn="long"))) as run:
        await anext(run)
        (pid,) = await workshop.pids()
        short = workshop.command("echo short; sleep 600 & exit 0", python=False)
        assert (await workshop.ended(short, turn="short")).text == "short"
        assert await asyncio.to_thread(workshop.is_running, pid)
    await workshop.gone([pid])


async def test_children_that_others_among_us_started_are_left_alone(workshop: Any) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    try:
        runtime = workshop.command("echo done; sleep 600 & exit 0", python=False)
        assert (await workshop.ended(runtime)).text == "done"
        orphans.reap_strays()
        orphans.reap_strays()
        assert other.returncode is None
    finally:
        other.kill()
        assert await other.wait() == -9


@pytest.mark.parametrize("look", [tree.family, tree.lost, lambda _, marks: tree.marked(marks)])
def test_without_marks_no_process_of_the_machine_is_anybodys(look: Any) -> None:
    with pytest.raises(ValueError, match="without marks"):
        look(os.getpid(), {})


async def test_dead_orphans_are_taken_away(workshop: Any) -> None:
    assert orphans.adopt()
    # The parent ends at once; its child, a moment later, is left to us.
    code = """\
    if (child := os.fork()) == 0:
        time.sleep(0.05)
        os._exit(0)
    print(child)"""
    command = (sys.executable, "-S", "-c", f"import os, time\n{textwrap.dedent(code)}")
    with (workshop.folder / "child").open("wb") as told:
        program = await asyncio.create_subprocess_exec(*command, stdout=told)
    await program.wait()
    child = int((workshop.folder / "child").read_text())
    assert child in orphans.strays()
    await workshop.until(lambda: child in {one.pid for one in tree.find_dead([child])})
    orphans.reap_strays()
    assert child in orphans.strays()
    assert orphans.reap_strays() >= 1
    assert child not in orphans.strays()


@pytest.fixture
def left_behind(tmp_path: Path) -> Any:
    """Processes with a turn's marks that are not of our making any more."""
    children = []

    def start(*argv: str, **marks: str) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen(argv, env={**os.environ, **marks}))
        while not Path(f"/proc/{children[-1].pid}/environ").read_bytes():
            assert children[-1].poll() is None  # it execs, and has no environment for a moment
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_what_a_killed_sidecar_left_is_swept_at_the_next_start(
    tmp_path: Path, left_behind: Any
) -> None:
    marks = environment.marks(tmp_path, "turn-9")
    stubborn = f"{STUBBORN}\nopen({str(tmp_path / 'ready')!r}, 'w')\ntime.sleep(600)"
    tame = left_behind("sleep", "600", **marks)
    wild = left_behind(sys.executable, "-S", "-c", stubborn, **marks)
    strange = left_behind("sleep", "600", **environment.marks(tmp_path / "other", "turn-9"))
    while not (tmp_path / "ready").exists():
        assert wild.poll() is None
    assert orphans.sweep(tmp_path, grace=0.5) == 2
    assert (tame.wait(PATIENCE), wild.wait(PATIENCE)) == (-signal.SIGTERM, -signal.SIGKILL)
    assert strange.poll() is None
    assert orphans.sweep(tmp_path) == 0


async def test_the_sweep_takes_along_what_has_no_marks_but_belongs_to_a_turn(
    tmp_path: Path, left_behind: Any
) -> None:
    pids = tmp_path / "pids"
    wiped = f"env -i sleep 600 & echo $! >>{pids}; exec setsid env -i sleep 600"
    turn = f"sh -c '({wiped}) & wait' & sleep 0.1; wait"
    marks = environment.marks(tmp_path, "turn-9")
    tame = left_behind("setsid", "sh", "-c", turn, **marks)
    await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    assert await asyncio.to_thread(orphans.sweep, tmp_path, 0.2) >= 3
    await asyncio.to_thread(tame.wait, PATIENCE)
    await until(lambda: not Path(f"/proc/{int(pids.read_text())}/cwd").exists())


def test_a_sidecar_that_a_turn_started_does_not_sweep_itself(tmp_path: Path) -> None:
    code = f"""
import pathlib
from sidecar.runtimes.processes.orphans import sweep
print(sweep(pathlib.Path({str(tmp_path)!r})))
"""
    env = {**os.environ, **environment.marks(tmp_path, "t"), "PYTHONPATH": str(Path.cwd())}
    inner = [sys.executable, "-c", code]
    outer = ["/bin/sh", "-c", '"$@"; exit $?', "sh", *inner]
    found = subprocess.run(outer, env=env, capture_output=True, text=True, check=True)
    assert found.stdout == "0\n"
