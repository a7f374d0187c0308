"""What a sidecar takes does not grow with the turns that it has run."""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.proofs.conftest import LONG, Proof, seconds_left, tell
from tests.proofs.figures import figures

TURNS = 20_000 if LONG else 40
PART = 1000 if LONG else 20
"""Turns between two looks at the figures."""
AHEAD = 20
"""Messages that wait for their answers at most."""
TTL = 10 if LONG else 1
"""Seconds for which the journal keeps what has ended: days, as the driver of the proofs has it."""
LARGEST_JOURNAL = 64 << 20
"""Bytes of the journal with its write-ahead log, which is copied back when it is long."""
SLACK = {"descriptors": 6, "threads": 8, "tasks": 4}
"""What may be there beyond the first look: connections are kept for a while, and the pool of
threads grows up to its bound."""


async def talk(proof: Proof, count: int) -> None:
    """Say so much more, never far ahead of the answers, and return when all is answered."""
    until = len(proof.said) + count
    while len(proof.hub.sent) < until:
        if len(proof.said) < until and len(proof.said) - len(proof.hub.sent) < AHEAD:
            proof.say()
        else:
            await asyncio.sleep(0.005)


async def rested(proof: Proof, first: dict[str, int]) -> dict[str, int]:
    """The figures as soon as they are those of a sidecar at rest, else the last ones."""
    for _ in range(40):
        found = await figures(proof)
        if all(found[name] <= first[name] + more for name, more in SLACK.items()):
            break
        await asyncio.sleep(0.5)
    return found


def journal_of(proof: Proof) -> tuple[int, int]:
    """The turns in the journal, and its size in bytes with all that belongs to it."""
    files = (proof.folder / "state").glob("journal.db*")
    with closing(sqlite3.connect(f"file:{proof.folder}/state/journal.db?mode=ro", uri=True)) as db:
        return db.execute("select count(*) from turn").fetchone()[0], sum(map(size, files))


def size(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.timeout(2 * 3600 if LONG else 180)
async def test_what_it_takes_does_not_grow_with_the_turns(proof: Proof) -> None:
    began = time.monotonic()
    del proof.rooms[:2]  # in these, several messages get one answer
    proof.journal_ttl = f"{TTL}d"
    proof.config.write_text(proof.content(proof.version))
    proof.fresh = True  # what it takes is its own
    await proof.start()
    looks, rows, sizes = [], [], []
    for _ in range(TURNS // PART):
        await talk(proof, PART)
        looks.append(await figures(proof))
        kept, took = await asyncio.to_thread(journal_of, proof)
        rows.append(kept)
        sizes.append(took)
        if not seconds_left():
            break
    seconds = time.monotonic() - began
    await proof.until(lambda: journal_of(proof)[0] == 0)
    answers, first, last = proof.answers, looks[0], await rested(proof, looks[0])
    assert {number: answers[number] for number in proof.said if answers[number] != 1} == {}
    assert len(proof.hub.sent) == len(proof.said)
    assert Counter(proof.runs) == Counter(proof.said.keys())
    assert await proof.stop() == 0
    assert proof.children == []
    tell(
        "soak",
        turns=len(proof.said),
        rss=[look["rss"] >> 10 for look in looks],
        descriptors=[look["descriptors"] for look in looks],
        tasks=[look["tasks"] for look in looks],
        threads=[look["threads"] for look in looks],
        journal_turns=rows,
        journal_kilobytes=[one >> 10 for one in sizes],
        last=last,
        seconds=round(seconds),
    )
    assert {
        name: last[name] for name, more in SLACK.items() if last[name] > first[name] + more
    } == {}
    if LONG:
        assert last["rss"] <= first["rss"] * 1.03, "memory grew"
        assert max(sizes) < LARGEST_JOURNAL, "the journal grew"
        assert max(rows) < TURNS / 4, "the journal keeps what is old"
