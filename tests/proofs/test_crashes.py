"""Whatever the moment at which it dies, each message is answered once and nothing stays behind."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.proofs.conftest import LONG, SEED, Proof, seconds_left, tell

LIVES = 200 if LONG else 2
LOAD = 40 if LONG else 20
LONGEST_LIFE = 8.0 if LONG else 2.0
"""Seconds after which a sidecar that did not come to the place where it was to die is killed."""

MESSAGE = [
    "sidecar.channels.hub:Hub.inbox",
    "sidecar.store.turns:accept",
    "sidecar.store.journal:Journal.accept",
    "sidecar.channels.hub:Hub.acknowledge",
    "sidecar.store.turns:start",
    "sidecar.store.journal:Journal.start",
    "sidecar.runtimes.process:spawn",
    "sidecar.runtimes.ending:end_tree",
    "sidecar.app.turn:TurnRunner._outcome",
    "sidecar.store.turns:finish",
    "sidecar.store.outbox:add",
    "sidecar.store.journal:Journal.finish",
    "sidecar.channels.hub:Hub.send",
    "sidecar.store.journal:Journal.delivered",
    "sidecar.store.writer:_transact",
]
"""The steps of a message, each of which happens all the time."""
RARE = [
    "sidecar.store.writer:Writer._copy_back",
    "sidecar.channels.credentials:store_token",
    "sidecar.app.load:Loader.load",
    "sidecar.app.reload:Reloader._take",
    "sidecar.app.reload:build",
    "sidecar.app.last_good:LastGood.keep",
    "sidecar.app.dispatch:Dispatcher.use",
    "sidecar.app.channels:Channels.apply",
    "sidecar.app.channels:Channels._start",
    "sidecar.app.channels:Channels._stop",
    "sidecar.store.lock:StateLock.acquire",
    "sidecar.store.database:_connect",
    "sidecar.store.journal:Journal.open",
    "sidecar.store.journal:Journal.unfinished",
    "sidecar.app.sidecar:sweep",
    "sidecar.app.sidecar:recover",
    "sidecar.app.outbox:Outbox.add",
    "sidecar.store.journal:Journal.drop",
    "sidecar.store.turns:drop",
]
"""Those of a start and of a config change."""
STOP = [
    "sidecar.app.channels:Channels.stop_receiving",
    "sidecar.app.dispatch:Dispatcher.drain",
    "sidecar.app.outbox:Outbox.drained",
    "sidecar.store.journal:Journal.close",
    "sidecar.store.lock:StateLock.release",
]
"""Those of an orderly end, in which it can die, too."""


def places(plan: random.Random) -> Iterator[tuple[str, int, bool]]:
    """Where to die, the how manyeth time, and whether it is told to stop before; for ever."""
    while True:
        deck = [f"{moment}:{place}" for moment in ("before", "after") for place in
                (*MESSAGE, *RARE, *STOP)]  # fmt: skip
        plan.shuffle(deck)
        for death in deck:
            place = death.partition(":")[2]
            times = plan.randint(1, 15) if place in MESSAGE else 1
            yield death, times, place in STOP or plan.random() < 0.1


async def live(proof: Proof, plan: random.Random, *, told: bool) -> bool:
    """Run a sidecar under load, and saves, to its death; whether it died where it was to."""
    await proof.start(connected=False)
    assert proof.process is not None
    began = time.monotonic()
    stops_at = began + plan.uniform(1.0, 2.0)
    while proof.process.returncode is None and time.monotonic() < began + LONGEST_LIFE:
        if proof.random.random() < 0.3:
            proof.say(owner=True)
        if told and time.monotonic() > stops_at:
            proof.terminate()
            told = False
        proof.version = f"v{plan.randrange(10_000)}"
        proof.config.write_text(
            proof.content(proof.version, other=plan.random() < 0.5, slots=plan.randint(2, 6))
        )
        await asyncio.sleep(plan.uniform(0.1, 0.7))
    if proof.process.returncode is None:
        await proof.kill()
        return False
    return proof.process.returncode == -9


@pytest.mark.timeout(3600 if LONG else 60)
async def test_no_death_loses_or_repeats_anything(proof: Proof) -> None:
    plan, deaths = random.Random(SEED), Counter[str]()
    deck, began, reached = places(plan), time.monotonic(), 0
    for _ in range(LIVES):
        journal = proof.journal()
        assert journal.damaged == []
        missing = LOAD - len(journal.unsettled(proof.said.values()))
        for _ in range(missing):
            proof.say()
        death, times, told = next(deck)
        proof.live(death, times)
        died = await live(proof, plan, told=told)
        reached += died
        deaths[death if died else "from outside"] += 1
        acknowledged = set(proof.said.values()) - set(proof.hub.unacknowledged("demo"))
        assert acknowledged <= set(proof.journal().turns), "acknowledged, but not in the journal"
        if not seconds_left():
            break
    proof.live()
    await proof.start()
    await proof.settled()
    last = proof.say()
    await proof.settled()
    [answer] = [sent.text for sent in proof.hub.sent if sent.text.startswith(f"done-{last}")]
    assert answer.split()[1:] == [proof.version] * 4, "not the saved config"
    assert await proof.stop() == 0
    check(proof)
    tell(
        "crashes",
        lives=deaths.total(),
        died_at_a_point=reached,
        points=len(deaths),
        killed_from_outside=deaths["from outside"],
        places=dict(Counter(death.rpartition(":")[2] for death in deaths.elements())),
        messages=len(proof.said),
        states=dict(Counter(turn.state for turn in proof.journal().turns.values())),
        attempts=dict(Counter(turn.attempts for turn in proof.journal().turns.values())),
        replies=len(proof.hub.sent),
        seconds=round(time.monotonic() - began),
    )


def check(proof: Proof) -> None:
    """Everything that was said has its one outcome, and nothing is left."""
    journal = proof.journal()
    assert journal.damaged == []
    assert journal.unsettled(proof.said.values()) == [], "without an outcome"
    assert set(journal.replies) <= {"delivered"}, "not delivered"
    texts = Counter((sent.envelope["to"], sent.text) for sent in proof.hub.sent)
    assert [text for text, count in texts.items() if count > 1] == [], "sent twice"
    assert len(proof.hub.sent) == journal.replies["delivered"]
    for number, count in Counter(proof.runs).items():
        turn = journal.turns[proof.said[number]]
        assert count <= turn.attempts <= 2, f"{number} ran {count} times: {turn}"
    answers = proof.answers
    said = Counter({turn.id: 0 for turn in journal.turns.values() if turn.state == "answered"})
    for number, message in proof.said.items():
        said[journal.turns[message].id] += answers[number]
    wrong = {
        turn: said[turn.id]
        for turn in journal.turns.values()
        if said[turn.id] != (turn.state == "answered")
    }
    assert wrong == {}, "not the one answer"
    assert proof.children == [], "left behind"
