"""What was answered is there after SIGKILL, at whatever moment it comes."""

import subprocess
from pathlib import Path

import pytest

from sidecar.store.journal import Journal
from tests import starting

RUN = """
import asyncio, itertools, sys
from pathlib import Path
from sidecar.model import Conversation, Message, Reply, Sender
from sidecar.store.journal import Journal
from sidecar.store.records import Outcome, SessionKey

ROOM, KEY = Conversation("rm", "group"), SessionKey("c", "a", "rm", None, "r", "/w", "owner")

def reply(turn):
    return Reply(turn, "c", "a", ROOM, "x" * 500, "answer", 1.0)

async def work(journal, worker):
    for number in itertools.count():
        name = f"{worker}-{number}"
        message = Message("c", "a", name, ROOM, Sender("u", "human"), "x" * 500, 1.0)
        (one,) = await journal.accept([message], now=1.0)
        print("accepted", name, flush=True)
        await journal.start(one.turn, KEY, route="r", generation=1, now=1.0)
        print("started", name, flush=True)
        done = Outcome("answered")
        (sent,) = await journal.finish(
            one.turn, done, key=KEY, session=name, now=1.0, replies=[reply(name)]
        )
        print("finished", name, flush=True)
        await journal.delivered(sent.id, None, now=1.0)
        print("delivered", name, flush=True)

async def main():
    journal = await Journal.open(Path(sys.argv[1]), session_ttl=9.0, now=1.0)
    async with asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(work(journal, worker))

asyncio.run(main())
"""


def run_until_killed(folder: Path, lines: int) -> dict[str, set[str]]:
    """Kill a busy process after so many answers; the names that it answered for, by step."""
    told: dict[str, set[str]] = {
        step: set() for step in ("accepted", "started", "finished", "delivered")
    }
    with starting.popen("-I", "-c", RUN, str(folder), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, 1):
            if count == lines:
                process.kill()
            if line.endswith("\n"):
                step, name = line.split()
                told[step].add(name)
    return told


@pytest.mark.parametrize("lines", [1, 2, 7, 30, 101, 500, 1200])
async def test_nothing_that_was_answered_is_lost(
    folder: Path, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    told = run_until_killed(folder, lines)
    assert told["accepted"]
    journal = await Journal.open(folder, session_ttl=9.0, now=1.0)
    assert "damaged" not in caplog.text
    waiting = await journal.unfinished()
    pending = await journal.pending_replies()
    counts = await journal.counts()
    await journal.close()

    unfinished = {one.messages[0].id: one for one in waiting}
    assert not told["finished"] & unfinished.keys()
    assert all(unfinished[name].running for name in told["started"] & unfinished.keys())
    assert not told["delivered"] & {one.reply.key for one in pending}
    # At most one step of each worker was committed without being told.
    assert len(told["accepted"]) <= sum(counts.turns.values()) <= len(told["accepted"]) + 4
    ended = counts.turns.get("answered", 0)
    assert len(told["finished"]) <= ended <= len(told["finished"]) + 4
    owed = told["finished"] - told["delivered"] - {one.reply.key for one in pending}
    assert len(owed) <= 4
