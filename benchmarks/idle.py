"""An idle sidecar: its memory, alone and for each further channel, the time of a processor that it
takes, and how long it takes to start."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import (
    Figure,
    cpu_time,
    instant_program,
    milliseconds,
    report,
    resident,
    smoke,
)
from benchmarks._world import World, world

CHANNELS = 5 if smoke() else 41
BARE = 10
"""Times a bare loop. What a wake takes differs between machines by the factor of 20: the aim is
1.5 ms of a second where a bare program with one socket takes 0.13."""


def start(*arguments: str) -> float:
    """Seconds to start and end a Python with these arguments; the best of five."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return min(times)


async def bare_loop(seconds: float) -> float:
    """The seconds of a processor that an event loop takes in a second, of which it wakes up once:
    what that costs differs between machines by more than anything else."""
    before = time.process_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(1.0)
    return (time.process_time() - before) / seconds


def wakes(pid: int) -> int:
    """How often the threads of a process have waited for something, on Linux."""
    tasks = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(task.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for task in tasks)


async def idle(channels: int, settle: float) -> tuple[World, float, float, float]:
    """A sidecar with so many channels, its memory in MiB, the seconds of a processor that it takes
    in a second, and how often it wakes up in one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with world(folder, instant_program(folder), channels=channels, plain=True) as found:
            await asyncio.sleep(settle)
            before, woken = cpu_time(found.pid), wakes(found.pid)
            await asyncio.sleep(settle)
            busy, often = cpu_time(found.pid) - before, wakes(found.pid) - woken
            return found, resident(found.pid), busy / settle, often / settle


async def measure(settle: float) -> int:
    bare, shown = start("-c", ""), start("-m", "sidecar", "--help")
    least = await bare_loop(settle)
    print(f"  floor: {milliseconds(least)} of a second, an event loop that wakes up once in it")
    found, memory, busy, often = await idle(1, settle)
    _, more, *_ = await idle(CHANNELS, settle)
    each = (more - memory) / (CHANNELS - 1)
    return report(
        Figure("memory", f"{memory:.1f} MiB", memory, "MiB", goal=50),
        Figure("  of a further channel", f"{each:.2f} MiB", each, "MiB", goal=0.2),
        Figure(
            "processor, of a second", milliseconds(busy), busy / least, "x bare loop", goal=BARE
        ),
        Figure("  wakes up, all threads", f"{often:.1f}/s", often, "x a second"),
        Figure("start to connected", milliseconds(found.start), found.start / bare, "x python"),
        Figure("sidecar --help", milliseconds(shown), shown / bare, "x python"),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(0.5 if smoke() else 10.0)))
