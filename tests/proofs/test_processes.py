"""Whatever an agent of any kind does, its turn has the right end, in little memory, and nothing of
it stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.model import TurnEnded
from sidecar.runtimes.processes.orphans import reap_strays, sweep
from tests.proofs.conftest import LONG, PATIENCE, tell
from tests.proofs.zoo import KINDS, SOME, MiB, Zoo

GROWTH = 48 * MiB
"""Bytes of memory that all kinds together may take at most, at any moment."""
USUAL = KINDS if LONG else SOME


@pytest.fixture
async def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    supervisor = Supervisor()
    made = Zoo(tmp_path, supervisor.spawn)
    yield made
    await supervisor.close()
    left = await asyncio.to_thread(made.living)
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert left == []


def peak(*, anew: bool = False) -> int:
    """The most memory in bytes that this process had, since it was asked for `anew`."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    fields = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()
    return int(fields[0]) * 1024


def outcomes(ended: dict[str, TurnEnded]) -> dict[str, tuple[str, str]]:
    """What was answered, and what failed, of each kind."""
    return {
        kind: (turn.text, turn.failure.kind if turn.failure else "") for kind, turn in ended.items()
    }


FINE = dict.fromkeys(USUAL, ("fine", ""))


async def silenced(
    zoo: Zoo, expected: dict[str, tuple[str, str]], **limits: float
) -> dict[str, tuple[str, str]]:
    """What becomes of turns whose agents fall silent; with more time for them to get so far, where
    a little was too short for this machine."""
    for seconds in (1.0, 5.0, 25.0):
        found = outcomes(await zoo.turns(USUAL, idle_timeout=seconds, **limits))
        if found == expected:
            break
    return found


@pytest.mark.parametrize("deed", ["leaves daemons", "reads nothing"])
async def test_what_an_agent_leaves_is_ended_and_its_answer_counts(zoo: Zoo, deed: str) -> None:
    await asyncio.to_thread(zoo.prepare, deed)
    assert outcomes(await zoo.turns(KINDS)) == dict.fromkeys(KINDS, ("fine", ""))


@pytest.mark.parametrize("deed", ["ignores SIGTERM", "closes its output"])
async def test_an_agent_that_lives_on_is_ended_and_its_answer_counts(zoo: Zoo, deed: str) -> None:
    await asyncio.to_thread(zoo.prepare, deed)
    # Where whatever is printed is the answer, only the end of the output tells that it is whole.
    text = "idle_timeout" if deed == "ignores SIGTERM" else ""
    expected = {**FINE, "text": ("fine", text)}
    assert await silenced(zoo, expected, linger=0.1) == expected


async def test_a_death_by_a_signal_is_told(zoo: Zoo) -> None:
    await asyncio.to_thread(zoo.prepare, "dies of a signal")
    ended = await zoo.turns(USUAL)
    assert outcomes(ended) == dict.fromkeys(USUAL, ("", "exited"))
    assert [kind for kind, turn in ended.items() if "SIGSEGV" not in str(turn.failure)] == []


async def test_nobody_is_asked_and_an_agent_that_waits_for_a_person_is_ended(zoo: Zoo) -> None:
    await asyncio.to_thread(zoo.prepare, "needs input")
    talking = [kind for kind in USUAL if kind == "acp" or "warm" in kind]
    expected = {**FINE, **dict.fromkeys(talking, ("", "idle_timeout"))}
    assert await silenced(zoo, expected) == expected


@pytest.mark.parametrize(
    ("deed", "amount", "longer"),
    [
        ("prints one line", 10 * MiB, 100 * MiB),
        ("prints many lines", MiB, 1024 * MiB),
        ("fills stderr", 2 * MiB, 1024 * MiB),
    ],
)
@pytest.mark.timeout(3600 if LONG else 180)
async def test_a_flood_takes_little_memory_and_the_answer_counts(
    zoo: Zoo, deed: str, amount: int, longer: int
) -> None:
    await asyncio.to_thread(zoo.prepare, deed, longer if LONG else amount)
    before = peak(anew=True)
    ended = await zoo.turns(USUAL)
    growth = peak() - before
    tell(deed, bytes_each=longer if LONG else amount, kinds=len(USUAL), growth=growth >> 20)
    found = outcomes(ended)
    if deed.startswith("prints"):
        assert len(found["text"][0].partition("…")[0]) <= MiB
        found["text"] = ("fine", found["text"][1])
    assert found == FINE
    assert growth < GROWTH


KILLED = """
import asyncio, pathlib, sys
sys.path[0] = sys.argv[2]
from sidecar.app.lifecycle.supervisor import Supervisor
from tests.proofs.zoo import KINDS, Zoo

async def main():
    zoo = Zoo(pathlib.Path(sys.argv[1]), Supervisor().spawn)
    await asyncio.gather(*(zoo.turn(kind) for kind in KINDS))

asyncio.run(main())
"""
"""A sidecar in the midst of a turn of each kind."""


FIRST = """
import asyncio, os, pathlib, sys
sys.path[0] = sys.argv[2]
from sidecar.app.lifecycle.supervisor import Supervisor
from tests.proofs.zoo import Zoo

async def main():
    assert os.getpid() == 1
    zoo = Zoo(pathlib.Path(sys.argv[1]), Supervisor().spawn)
    zoo.prepare("leaves daemons")
    print((await zoo.turn("ndjson")).text, zoo.living())

asyncio.run(main())
"""
"""A sidecar that is process 1 of its container, to which all orphans come."""


def test_in_a_container_of_its_own_what_an_agent_leaves_is_ended(tmp_path: Path) -> None:
    container = ["unshare", "-rpf", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode:
        pytest.skip("there are no namespaces of processes for this user")
    root = str(Path(__file__).parents[2])
    argv = [*container, sys.executable, "-c", FIRST, str(tmp_path), root]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == "fine []\n", done.stderr


def test_what_a_killed_sidecar_leaves_is_ended_by_the_next_one(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path, None)
    zoo.prepare("hangs")
    root = str(Path(__file__).parents[2])
    argv = [sys.executable, "-c", KILLED, str(tmp_path), root]
    with subprocess.Popen(argv) as process:
        noted = tmp_path / "pids"
        while not noted.exists() or len(noted.read_text().split()) < 6 * len(KINDS):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    before = len(zoo.living())
    assert before >= 6 * len(KINDS)
    try:
        sweep(zoo.state, 0.2)
        deadline = time.monotonic() + PATIENCE
        while zoo.living() and time.monotonic() < deadline:  # a moment for the kernel
            time.sleep(0.01)
        tell("killed", processes=before, left=len(zoo.living()))
        assert zoo.living() == []
    finally:
        for pid in zoo.living():
            os.kill(int(pid), signal.SIGKILL)
        reap_strays()  # this process may have adopted them; at the second look they are taken
        reap_strays()
