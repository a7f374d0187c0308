"""A turn where much is stored or configured, against the same turn where little is: two sidecars
run at once and take turns, so that both see the same machine."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks._measure import Curve, Figure, instant_program, milliseconds, report, smoke
from benchmarks._stalls import stall
from benchmarks._world import World, world
from sidecar.store.database import open_database
from sidecar.store.encoding import encode

BLOCK = 5 if smoke() else 25
"""Turns in a row before the other one has its turns."""
BLOCKS = 2 if smoke() else 16

_TURNS = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
insert into turn(seq, id, conversation, state, attempt, accepted_at, started_at, ended_at)
select i, printf('turn-%09d', i), printf('["demo","demo","rm_%d",null]', i % 1000), 'answered', 1,
    ?2 - i * 0.01, ?2 - i * 0.01, ?2 - i * 0.01 from n"""
_MESSAGES = """
insert into message(key, turn, body)
select printf('["demo","demo","m%d"]', seq), seq, printf('{"text":"%s"}', hex(zeroblob(100)))
from turn"""
_REPLIES = """
insert into reply(turn, body, state, next_at, ended_at)
select seq, printf('{"text":"%s"}', hex(zeroblob(100))), 'delivered', ended_at, ended_at from turn
"""
_SESSIONS = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < ?1)
insert into session(key, session, turns, used_at)
select printf('["demo","demo","rm_%d",null,"command:instant","/","public"]', i),
    printf('"session-%d"', i), 1, ?2 from n"""
_ACTIVITY = """insert into activity(conversation, at, entry) values(?, ?, ?)"""


def routes(folder: Path, count: int) -> str:
    """So many routes, of which none is the one of the turns."""
    lines = [
        f"- {{name: r{number}, match: {{conversation: rm_x{number}}}, runtime: instant,"
        f' cwd: "{folder}"}}\n'
        for number in range(count)
    ]
    return "routes:\n" + "".join(lines)


def sessions(folder: Path, count: int) -> str:
    """So many conversations, in each of which something was said a moment ago."""
    connection, _ = open_database(folder / "state" / "journal.db", now=time.time())
    now = time.time()
    sender = {"id": "hu_1", "kind": "human", "name": "Ann"}
    rows = (
        (
            encode(("demo", "demo", f"rm_old{number}", None)),
            now - number * 0.01,
            encode(
                {
                    "conversation": {"id": f"rm_old{number}", "kind": "group", "title": "A room"},
                    "sender": sender,
                    "preview": f"what was said in room {number}",
                }
            ),
        )
        for number in range(count)
    )
    with closing(connection):
        connection.execute("begin")
        connection.execute(_SESSIONS, (count, now))
        connection.executemany(_ACTIVITY, rows)
        connection.execute("commit")
    return ""


def journal(folder: Path, count: int) -> str:
    """So many turns that have ended, with their messages and replies."""
    connection, _ = open_database(folder / "state" / "journal.db", now=time.time())
    with closing(connection):
        connection.execute("begin")
        connection.execute(_TURNS, (count, time.time()))
        connection.execute(_MESSAGES)
        connection.execute(_REPLIES)
        connection.execute("commit")
    return ""


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows: the least amount, further ones, and what makes so much of it in a folder, or as
    a part of the config."""

    name: str
    least: int
    more: tuple[int, ...]
    fill: Callable[[Path, int], str]


GROWTHS = (
    Growth("routes", 10, (1_000, 10_000), routes),
    Growth("sessions", 10, (1_000, 20_000), sessions),
    Growth("ended turns", 10, (10_000, 1_000_000), journal),
)


async def pair(growth: Growth, amount: int) -> tuple[float, float, float]:
    """The medians of a turn with the least amount and with another one, and its longest stall."""
    times: dict[int, list[float]] = {growth.least: [], amount: []}
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            program = instant_program(Path(name))
            worlds = {}
            for number, count in enumerate(times):
                folder = Path(name) / str(number)
                folder.mkdir()
                part = growth.fill(folder, count)
                found = await stack.enter_async_context(world(folder, program, include=part))
                hub = found.hub
                person = hub.add_person("Ann")
                worlds[count] = found, person, hub.add_room("Room", [person, "demo"])
            for block in range(BLOCKS + 1):
                for count, (found, person, room) in worlds.items():
                    taken = await turns(found, person, room)
                    if block:  # the first one warms up
                        times[count] += taken
            held_up = worlds[amount][0].stalls.longest
    return statistics.median(times[growth.least]), statistics.median(times[amount]), held_up


async def turns(found: World, person: str, room: str) -> list[float]:
    """Seconds from the Hub's push to the reply, one turn after another."""
    taken = []
    for _ in range(BLOCK):
        begin, count = time.monotonic(), len(found.hub.sent)
        found.hub.say(person, room, f"message {count}")
        await found.replies(count + 1)
        taken.append(found.hub.sent[-1].at - begin)
    return taken


async def measure() -> int:
    figures, curves, stalls = [], [], []
    for growth in GROWTHS:
        points = [(float(growth.least), 1.0)]
        for amount in growth.more:
            amount = min(amount, 200) if smoke() else amount
            few, many, held_up = await pair(growth, amount)
            stalls.append(held_up)
            points.append((float(amount), many / few))
            name = f"{growth.name}, {amount:,}"
            figures.append(
                Figure(name, milliseconds(many), many / few, f"x {growth.least}", goal=1.1)
            )
        curves.append(Curve(growth.name, "a turn's median", points))
    return report(*figures, stall(*stalls), curves=curves)


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
