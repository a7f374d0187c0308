"""20,000 progress blocks of one turn towards the Hub: one request after another, in bounded
memory."""

import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, instant_program, peak_of, report, resident, smoke
from benchmarks._stalls import stall
from benchmarks._world import answering_owner, world

AGENT = """\
import json, sys
for number in range(int(sys.argv[1])):
    tool = {"type": "tool_use", "name": "look", "input": {"file": f"file {number}"}}
    print(json.dumps(tool))
print('{"type":"text","text":"done"}')
print('{"type":"result"}')
"""
DELAY = 0.02
"""Seconds that the Hub takes for a block: two that are nearer were on their way together."""


async def measure(blocks: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        agent = [sys.executable, "-I", "-S", "-c", AGENT, str(blocks)]
        owner = answering_owner(folder, agent)
        async with world(folder, instant_program(folder), include=owner) as found:
            hub = found.hub
            hub.faults.add("/hub/stream-block", times=blocks, delay=DELAY)
            idle = resident(found.pid)
            peak_of(found.pid, anew=True)
            begin = time.monotonic()
            hub.owner_says("demo", "go")
            await found.replies(1)
            seconds = time.monotonic() - begin
            grown, held_up = peak_of(found.pid) - idle, found.stalls.longest
    times = [block.at for block in hub.blocks]
    nearest = min(b - a for a, b in itertools.pairwise(times))
    print(f"  {blocks} blocks: {seconds:.1f} s, {len(times)} requests")
    return report(
        Figure("memory, more than idle", f"{grown:.1f} MiB", grown, "MiB", goal=8),
        Figure(
            "nearest two requests",
            f"{nearest * 1000:.1f} ms",
            nearest / DELAY,
            "x the Hub's time",
            goal=1,
            least=True,
        ),
        stall(held_up),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(500 if smoke() else 20_000)))
