"""1 GB of small lines, and one line of 64 MiB, from an agent in one room, in a real sidecar: what
they take of its memory, and of the time of turns in another room."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import (
    Figure,
    instant_program,
    milliseconds,
    peak_of,
    quantile,
    report,
    resident,
    smoke,
)
from benchmarks._stalls import stall
from benchmarks._world import World, answering_owner, world

AGENT = """\
import os, sys, time
time.sleep(0.2)  # the turn is under way: what it costs to begin one is not measured here
kind, size = sys.argv[1], int(sys.argv[2])
line = b'{"type":"text","text":"some words of an answer that goes on for a while"}\\n'
piece = line * (65536 // len(line)) if kind == "small" else b"x" * 65536

def write(data):
    while data:
        data = data[os.write(1, data):]

write(b'{"type":"text","text":"' if kind == "long" else b"")
for _ in range(size // len(piece)):
    write(piece)
write(b'"}\\n' if kind == "long" else b"")
write(b'{"type":"result","text":"done"}\\n')
"""
QUIET = 40
"""Turns in the other room before, to compare with."""


class Rooms:
    """The owner's room, whose agent floods, and another one."""

    def __init__(self, found: World) -> None:
        self._hub = found.hub
        self._person = found.hub.add_person("Ann")
        self._room = found.hub.add_room("Room", [self._person, "demo"])
        self._number = 0

    async def turn(self) -> float:
        """A turn in the other room; its seconds."""
        self._number += 1
        before = self.sent(self._room)
        begin = time.monotonic()
        self._hub.say(self._person, self._room, f"message {self._number}")
        await self._hub.wait(lambda: self.sent(self._room) > before, timeout=120)
        return time.monotonic() - begin

    async def flooded(self) -> list[float]:
        """Turns in the other room while the agent of the owner floods; their seconds."""
        before, times = self.others(), []
        self._hub.owner_says("demo", "go")
        while self.others() == before:
            times.append(await self.turn())
        return times

    def sent(self, room: str) -> int:
        """Replies in a room."""
        return sum(one.room == room for one in self._hub.sent)

    def others(self) -> int:
        """Replies to the owner."""
        return len(self._hub.sent) - self.sent(self._room)


async def measure(kind: str, size: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        agent = [sys.executable, "-I", "-S", "-c", AGENT, kind, str(size)]
        owner = answering_owner(folder, agent)
        async with world(folder, instant_program(folder), include=owner) as found:
            rooms = Rooms(found)
            quiet = [await rooms.turn() for _ in range(QUIET)][QUIET // 2 :]
            idle = resident(found.pid)
            peak_of(found.pid, anew=True)
            begin = time.monotonic()
            times = await rooms.flooded()
            seconds = time.monotonic() - begin
            grown, held_up = peak_of(found.pid) - idle, found.stalls.longest
    usual = statistics.median(quiet)
    late = statistics.median(times) - usual, quantile(times, 0.99) - quantile(quiet, 0.99)
    what = "small lines" if kind == "small" else "one line"
    print(f"  {size / 1e6:.0f} MB, {what}: {seconds:.1f} s, {len(times)} turns in the other room")
    return report(
        Figure("memory, more than idle", f"{grown:.1f} MiB", grown, "MiB", goal=30),
        Figure("other room, median", milliseconds(late[0]), late[0] * 1000, "ms later", goal=50),
        Figure("other room, p99", milliseconds(late[1]), late[1] * 1000, "ms later"),
        stall(held_up),
    )


async def main() -> int:
    sizes = {"small": 10**7, "long": 1 << 22} if smoke() else {"small": 10**9, "long": 1 << 26}
    return max([await measure(kind, size) for kind, size in sizes.items()])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
