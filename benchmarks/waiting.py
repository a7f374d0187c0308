"""1,000 conversations that wait for 4 slots: how long the last one waits, by how many others it was
overtaken at the most, and what each costs.

When all come at once and are served in turn, the last one waits twice the mean.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, instant_program, milliseconds, report, resident, smoke
from benchmarks._stalls import stall
from benchmarks._world import World, world

SLOTS = 4
HELD = """\
#!/bin/sh
while [ ! -e "{folder}/go" ]; do sleep 0.02; done
exec "{program}"
"""


def held(folder: Path, program: Path) -> Path:
    """A program that does not begin before there is a file `go`."""
    path = folder / "held"
    path.write_text(HELD.format(folder=folder, program=program))
    path.chmod(0o700)
    return path


async def accepted(found: World) -> None:
    """Return when the Hub was told of all messages that they are safe."""
    await found.hub.wait(lambda: not found.hub.unacknowledged("demo"), timeout=120)


async def measure(rooms: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = held(folder, instant_program(folder))
        async with world(folder, program, slots=SLOTS) as found:
            hub = found.hub
            person = hub.add_person("Ann")
            places = [hub.add_room(f"Room {n}", [person, "demo"]) for n in range(rooms + 1)]
            (folder / "go").touch()
            for number in range(20):  # what comes with the first turns is not counted
                hub.say(person, places[0], f"message {number}")
                await found.replies(number + 1)
            (folder / "go").unlink()
            before = len(hub.sent)
            for number in range(SLOTS):
                hub.say(person, places[number], "hold")
            await accepted(found)
            idle = resident(found.pid)
            for place in places[SLOTS:rooms]:
                hub.say(person, place, "a message as people write them, of some sixty characters")
            await accepted(found)
            grown = resident(found.pid) - idle
            (folder / "go").touch()
            begin = time.monotonic()
            await found.replies(before + rooms)
            held_up = found.stalls.longest
            waits = [one.at - begin for one in hub.sent[before:]]
            came = [places.index(one.room) for one in hub.sent[before:] if one.room]
    late = max(served - place for served, place in enumerate(came))
    mean, most = statistics.mean(waits), max(waits)
    each = grown * 1024 / (rooms - SLOTS)
    return report(
        Figure("longest wait", milliseconds(most), most / mean, "x the mean", goal=2),
        Figure("most that overtook one", str(late), late, "others", goal=2 * SLOTS),
        Figure("memory of one that waits", f"{each:.1f} KiB", each, "KiB", goal=8),
        stall(held_up),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(60 if smoke() else 1000)))
