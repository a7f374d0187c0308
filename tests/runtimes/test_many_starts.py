"""Many turns that begin at once."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from sidecar.api import Host
from sidecar.model import Job, Prompt
from sidecar.runtimes.command import Command
from sidecar.runtimes.processes.starting import AT_ONCE, Starter


async def test_few_of_them_start_a_process_in_one_round_of_the_event_loop(tmp_path: Path) -> None:
    nothing: Any = None
    host = Host("tool", logging.getLogger("tool"), tmp_path, nothing, nothing)
    starter = Starter(Command({"command": ["/bin/true"]}), {}, host)
    job = Job("turn", "account", Prompt("", "hi"), tmp_path, "public")
    loop, number, starts = asyncio.get_running_loop(), 0, list[int]()

    def turn_round() -> None:
        nonlocal number
        number += 1
        loop.call_soon(turn_round)

    async def begin() -> None:
        await starter.surroundings(job, "turn")
        starts.append(number)

    loop.call_soon(turn_round)
    await asyncio.gather(*(begin() for _ in range(4 * AT_ONCE)))
    assert len(starts) == 4 * AT_ONCE
    assert max(Counter(starts).values()) <= AT_ONCE
