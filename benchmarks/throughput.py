"""Many messages in many rooms at once, against starting the same number of programs in a row."""

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
    peak_of,
    report,
    smoke,
    spawn_times,
)
from benchmarks._stalls import stall
from benchmarks._world import world


async def measure(messages: int, rooms: int, rounds: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = instant_program(folder)
        spawns = spawn_times(program, messages // 2)
        async with world(folder, program, slots=16) as found:
            hub = found.hub
            person = hub.add_person("Ann")
            places = [hub.add_room(f"Room {number}", [person, "demo"]) for number in range(rooms)]
            rates = []
            for number in range(rounds):
                begin = time.monotonic()
                for index in range(messages):
                    hub.say(person, places[index % rooms], f"message {index} of round {number}")
                await found.replies(messages * (number + 1))
                rates.append(messages / (hub.sent[-1].at - begin))
            peak, held_up = peak_of(found.pid), found.stalls.longest
        spawns += spawn_times(program, messages // 2)
    rate = statistics.median(rates)
    share = rate * floor(spawns)
    return report(
        Figure("turns", f"{rate:.0f}/s", share, "of the floor's rate", goal=0.3, least=True),
        Figure("memory, at the most", f"{peak:.1f} MiB", peak, "MiB", goal=70e6 / (1 << 20)),
        stall(held_up),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(20, 10, 1) if smoke() else measure(500, 100, 3)))
