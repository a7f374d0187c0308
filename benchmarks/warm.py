"""Turns in a process that stays, against turns that start one, of a scripted Claude Code whose
start costs 0.2 s."""

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import NoReturn

from benchmarks._measure import Figure, floor, milliseconds, report, smoke
from sidecar.api import Host, Runtime
from sidecar.app.lifecycle.supervisor import Supervisor
from sidecar.config.model import Warm
from sidecar.model import Job, Prompt, TurnEnded
from sidecar.runtimes import claude_code

START = 0.2
"""Seconds; a real Claude Code takes about 0.4 before it is of use."""
CLAUDE = f"""\
#!{sys.executable} -IS
import json, sys, time
if "--help" in sys.argv:
    sys.exit("--restricted")
time.sleep({START})
session = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"
def turn():
    for event in (
        {{"type": "system", "subtype": "init"}},
        {{"type": "result", "subtype": "success", "result": "done", "num_turns": 1}},
    ):
        sys.stdout.write(json.dumps({{**event, "session_id": session}}) + "\\n")
    sys.stdout.flush()
if "--input-format" in sys.argv:
    for line in sys.stdin:
        json.loads(line)
        turn()
else:
    sys.stdin.read()
    turn()
"""
SESSION = "27dfa529-3b0c-4bfb-8be9-1f73b7a6371d"


async def turn(runtime: Runtime, job: Job) -> float:
    """Seconds of one turn."""
    begin = time.perf_counter()
    async with aclosing(runtime.run(job)) as events:
        async for event in events:
            if isinstance(event, TurnEnded) and event.failure is not None:
                raise RuntimeError(event.failure.detail)
    return time.perf_counter() - begin


def no_http() -> NoReturn:
    raise RuntimeError("a runtime needs no HTTP")


async def measure(turns: int) -> int:
    """Warm and cold turns one by one, so that both see the same machine."""
    cold_times, warm_times = [], []
    supervisor = Supervisor()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "claude"
        program.write_text(CLAUDE)
        program.chmod(0o700)
        log = logging.getLogger("benchmark")
        host = Host("claude", log, folder, supervisor.spawn, no_http)
        options = {"command": str(program)}
        cold = claude_code.build(options, host)
        warm = claude_code.build({**options, "warm": Warm(2)}, host)
        job = Job("turn", "account", Prompt("", "hi"), folder, "public", session=SESSION)
        await turn(warm, job)
        for _ in range(turns):
            cold_times.append(await turn(cold, job))
            warm_times.append(await turn(warm, job))
        await warm.close()
    await supervisor.close()
    least, median = floor(cold_times), statistics.median(warm_times)
    faster = least / median
    return report(
        Figure("warm turn, median", milliseconds(median), faster, "times faster", 20, least=True)
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(3 if smoke() else 20)))
