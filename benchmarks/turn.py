"""One whole turn, from the Hub's push to the reply at the Hub, against starting a program."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import (
    Figure,
    floor,
    instant_program,
    milliseconds,
    quantile,
    report,
    smoke,
    spawn_times,
)
from benchmarks._stalls import stall
from benchmarks._world import world

BLOCK = 20
"""Turns in a row before the floor is measured again: both see the same machine."""


async def measure(turns: int) -> int:
    spawns: list[float] = []
    times: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = instant_program(folder)
        async with world(folder, program) as found:
            hub = found.hub
            person = hub.add_person("Ann")
            room = hub.add_room("Room", [person, "demo"])
            for number in range(BLOCK + turns):
                if number % BLOCK == 0:
                    spawns += spawn_times(program, BLOCK)
                begin = time.monotonic()
                hub.say(person, room, f"message {number}")
                await found.replies(number + 1)
                times.append(hub.sent[-1].at - begin)
            held_up = found.stalls.longest
    least = floor(spawns)
    times = times[BLOCK:]  # the first ones warm up
    median, late = statistics.median(times), quantile(times, 0.99)
    return report(
        Figure("turn, median", milliseconds(median), median / least, "x floor", goal=8),
        Figure("turn, p99", milliseconds(late), late / least, "x floor", goal=16),
        stall(held_up),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(BLOCK if smoke() else 200)))
