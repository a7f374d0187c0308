"""What a supervisor closes in the moment that it has begun."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

from sidecar.api import Host
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.runtimes.launch import Launch
from sidecar.runtimes.processes import environment
from sidecar.runtimes.processes.ending import finish
from sidecar.runtimes.processes.process import Process, live
from sidecar.runtimes.processes.warm import Pool, Resident
from tests.patience import PATIENCE


class Quiet:
    """A dialogue whose turn has ended, with an agent that says nothing."""

    settled = finished = True
    cut = False

    def is_idle(self, line: bytes) -> bool:
        return True

    def outgoing(self) -> bytes:
        return b""


async def test_the_process_of_a_turn_ends_when_all_is_closed_as_its_ending_begins(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor()
    process = Process(["sleep", "60"], cwd=Path("/"), env=dict(os.environ))
    marks = environment.marks(tmp_path, "turn")

    async def turn() -> None:
        await finish(process, marks, 60.0, supervisor.spawn)

    _ = supervisor.spawn(turn(), "turn")
    await asyncio.sleep(0)  # `end_tree` has been spawned, and has not had its first step
    await supervisor.close()
    assert process.pid not in live()
    assert await asyncio.to_thread(process._child.wait, PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("steps", range(4))
async def test_a_process_that_waits_ends_when_all_is_closed_as_its_pool_begins_to(
    tmp_path: Path, steps: int
) -> None:
    supervisor = Supervisor()
    log = logging.getLogger("agent")
    pool = Pool(1, 600, Host("agent", log, tmp_path, supervisor.spawn, lambda: None))
    marks = environment.marks(tmp_path, f"turn-{steps}")
    process = Process(["sleep", "60"], cwd=Path("/"), env={**os.environ, **marks}, dialogue=True)
    seat, dialogue = pool.reserve(), Quiet()
    assert seat is not None
    resident = Resident(seat, process, "key", marks, Launch([], b"", dialogue, dialogue=dialogue))
    assert await pool.keep(resident, ("session",))
    _ = supervisor.spawn(pool.close(), "retire")
    for _ in range(steps):
        await asyncio.sleep(0)
    await supervisor.close()
    assert process.pid not in live()
    assert process.returncode is not None
