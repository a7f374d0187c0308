"""What the journal costs: the three commits of a turn against three bare commits of one row."""

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, floor, milliseconds, report, smoke
from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, SessionKey

ROOM = Conversation("rm_1", "group", "Room")
TOGETHER = 256
KEY = SessionKey("demo", "demo", "rm_1", None, "agent", "/", "public")


def commit_times(folder: Path, count: int) -> list[float]:
    """Seconds for one row of 600 bytes, durable, each."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("create table row(id integer primary key, body text)")
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.execute("insert into row(body) values(?)", ("x" * 600,))
        times.append(time.perf_counter() - begin)
    connection.close()
    return times


async def turn(journal: Journal, number: int) -> None:
    """Take a message over, start its turn and finish it with a reply."""
    now = time.time()
    asked = Message("demo", "demo", f"m{number}", ROOM, Sender("u1", "human"), "x" * 400, now)
    [accepted] = await journal.accept([asked], now=now)
    await journal.start(accepted.turn, KEY, route="default", generation=1, now=now)
    reply = Reply(f"r{number}", "demo", "demo", ROOM, "done", "answer", now, answers=asked.id)
    done = Outcome("answered")
    await journal.finish(accepted.turn, done, key=KEY, session="s1", now=now, replies=[reply])


async def measure(turns: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = await Journal.open(folder, session_ttl=3600.0, now=time.time())
        commits: list[float] = []
        times = []
        for number in range(turns):
            begin = time.perf_counter()
            await turn(journal, number)
            times.append(time.perf_counter() - begin)
        commits += await asyncio.to_thread(commit_times, folder, turns)
        least = 3 * floor(commits)
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(turns, turns + TOGETHER):
                group.create_task(turn(journal, number))
        together = (time.perf_counter() - begin) / (TOGETHER)
        await journal.close()
    median = statistics.median(times)
    return report(
        Figure("one turn alone", milliseconds(median), median / least, "x 3 commits", goal=3),
        Figure(
            f"of {TOGETHER} at once, each", milliseconds(together), together / least, "x 3 commits"
        ),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(20 if smoke() else 500)))
