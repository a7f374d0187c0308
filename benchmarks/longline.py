"""One line of 64 MiB from an agent: its time against just reading it, and the memory it takes."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, milliseconds, report, smoke
from benchmarks._stalls import Stalls, of_this_process, stall
from benchmarks._turns import job, peak, runtime
from sidecar.model import TurnEnded
from sidecar.runtimes.command import COMMAND

CHUNK = 1 << 16
AGENT = """\
import os, sys
os.write(1, b'{"type":"text","text":"')
for _ in range(int(sys.argv[1])):
    os.write(1, b"x" * 65536)
os.write(1, b'"}\\n{"type":"text","text":"done"}\\n{"type":"result"}\\n')
"""


def argv(size: int) -> list[str]:
    """An agent that prints one line of `size` bytes and an answer."""
    return [sys.executable, "-I", "-S", "-c", AGENT, str(size // CHUNK)]


def read_time(size: int) -> float:
    """Seconds to read what the agent prints, and to do nothing with it."""
    begin = time.perf_counter()
    with subprocess.Popen(argv(size), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while os.read(child.stdout.fileno(), CHUNK):
            pass
    return time.perf_counter() - begin


async def turn(folder: Path, size: int) -> float:
    """Run one turn of that agent; its seconds."""
    options = {"command": argv(size), "protocol": "ndjson"}
    async with runtime(COMMAND, options, folder) as found:
        begin = time.perf_counter()
        events = [event async for event in found.run(job(folder))]
        seconds = time.perf_counter() - begin
    ended = events[-1]
    if not isinstance(ended, TurnEnded) or ended.failure or not ended.text.endswith("done"):
        sys.exit(f"the turn went wrong: {str(ended)[:200]}")
    return seconds


async def measure(size: int, stalls: Stalls) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await turn(folder, CHUNK)  # warms up
        before = peak(anew=True)
        stalls.anew()
        seconds = min([await turn(folder, size) for _ in range(3)])
        grown, held_up = peak() - before, stalls.longest
    least = min(read_time(size) for _ in range(3))
    print(f"  floor: {milliseconds(least)} to read {size >> 20} MiB")
    return report(
        Figure("turn", milliseconds(seconds), seconds / least, "x floor"),
        Figure("turn, in seconds", milliseconds(seconds), seconds, "s", goal=0.2),
        Figure("memory, more than before", f"{grown:.1f} MiB", grown, "MiB", goal=8),
        stall(held_up),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(1 << 22 if smoke() else 1 << 26, of_this_process())))
