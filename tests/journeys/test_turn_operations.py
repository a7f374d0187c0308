"""What a turn costs in operations: no clock is asked, so that no busy machine makes it fail."""

import asyncio
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

TURNS = 15
SLACK = 2
"""Operations of each kind, beside those of the turns, that come of the time that passes."""
COPYING = 10
"""Times that the journal syncs a file because it copies its log back in the pauses."""


async def test_a_turn_asks_the_hub_for_as_little_as_it_can(world: Any) -> None:
    await world.start()
    person = world.hub.add_person("Ann")
    room = world.hub.add_room("Room", [person, "demo"])

    async def turns(count: int) -> None:
        for _ in range(count):
            before = len(world.hub.sent)
            world.hub.say(person, room, f"say {before}")
            await world.replies(before + 1)
            await world.until(lambda: not world.hub.unacknowledged("demo"))

    await turns(1)
    before = Counter(world.hub.requests)
    await turns(TURNS)
    asked = Counter(world.hub.requests) - before
    assert asked.pop("/hub/inbox") <= TURNS + SLACK
    assert asked.pop("/hub/inbox/ack") <= TURNS + SLACK
    assert asked.pop("/hub/send") == TURNS
    assert asked.total() <= TURNS + SLACK, asked
    if (tracer := shutil.which("strace")) is not None:
        await _systems_calls(tracer, world, turns)


async def _systems_calls(tracer: str, world: Any, turns: Any) -> None:
    """Each turn starts one program, makes itself durable four times, and connects to nothing."""
    told = world.folder / "strace"
    kinds = "fsync,fdatasync,execve,connect"
    command = ("-f", "-q", "-e", f"trace={kinds}", "-e", "signal=none", "-o", str(told))
    watched = await asyncio.create_subprocess_exec(
        tracer, *command, "-p", str(world.process.pid), stderr=asyncio.subprocess.PIPE
    )
    try:
        await world.until(lambda: watched.returncode is not None or _traced(world.process.pid))
        if watched.returncode is not None:
            pytest.skip("this machine lets nobody trace")
        await turns(TURNS)
    finally:
        if watched.returncode is None:
            watched.send_signal(signal.SIGINT)
        await watched.wait()
    found = Counter(_name(line) for line in told.read_text().splitlines())
    assert found["execve"] == TURNS, found
    assert found["fsync"] + found["fdatasync"] <= 4 * TURNS + COPYING, found
    assert found["connect"] <= SLACK, found


def _traced(pid: int) -> bool:
    """Whether all threads of a process are traced."""
    try:
        tasks = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/status")]
    except (FileNotFoundError, ProcessLookupError):  # one has just ended
        return False
    return all("TracerPid:\t0\n" not in task for task in tasks)


def _name(line: str) -> str:
    """The call that a line begins; nothing for the end of one that was cut in two."""
    return line.partition(" ")[2].strip().partition("(")[0]
