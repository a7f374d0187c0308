"""What a supervisor closes in the moment that it has begun."""

import asyncio
import os
import signal
from pathlib import Path

from sidecar.app.supervisor import Supervisor
from sidecar.runtimes.ending import finish
from sidecar.runtimes.process import Process, live
from tests.patience import PATIENCE


async def test_the_process_of_a_turn_ends_when_all_is_closed_as_its_ending_begins() -> None:
    supervisor = Supervisor()
    process = Process(["sleep", "60"], cwd=Path("/"), env=dict(os.environ))

    async def turn() -> None:
        await finish(process, {}, 60.0, supervisor.spawn)

    _ = supervisor.spawn(turn(), "turn")
    await asyncio.sleep(0)  # `end_tree` has been spawned, and has not had its first step
    await supervisor.close()
    assert process.pid not in live()
    assert await asyncio.to_thread(process._child.wait, PATIENCE) == -signal.SIGKILL
