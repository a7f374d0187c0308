"""Whatever the moment at which it dies, each message is answered once and nothing stays behind."""

import asyncio
import math
import random
import time
from collections import Counter

import pytest

from tests.proofs.conftest import LONG, PATIENCE, SEED, Proof, Turn, seconds_left, tell

LIVES = 200 if LONG else 2
LOAD = 40 if LONG else 20
LONGEST_LIFE = 8.0 if LONG else 2.0
"""Seconds from the first connection after which a sidecar that did not come to the place where it
was to die is killed."""
TRIES = 4
"""Lives for a place that is not reached."""

MESSAGE = [
    "sidecar.channels.hub:Hub.inbox",
    "sidecar.store.turns:accept",
    "sidecar.store.journal:Journal.accept",
    "sidecar.channels.hub:Hub.acknowledge",
    "sidecar.store.turns:start",
    "sidecar.store.journal:Journal.start",
    "sidecar.runtimes.processes.process:spawn",
    "sidecar.runtimes.processes.ending:end_tree",
    "sidecar.app.turns.turn:TurnRunner._outcome",
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
    "sidecar.channels.token:store_token",
    "sidecar.app.checking.load:Loader.load",
    "sidecar.app.reloading.reload:Reloader._take",
    "sidecar.app.reloading.reload:build",
    "sidecar.app.reloading.last_good:LastGood.keep",
    "sidecar.app.turns.dispatch:Dispatcher.use",
    "sidecar.app.connecting.channels:Channels.apply",
    "sidecar.app.connecting.channels:Channels._start",
    "sidecar.app.connecting.channels:Channels._stop",
    "sidecar.store.lock:StateLock.acquire",
    "sidecar.store.database:_connect",
    "sidecar.store.journal:Journal.open",
    "sidecar.store.journal:Journal.unfinished",
    "sidecar.app.sidecar:sweep",
    "sidecar.app.sidecar:recover",
    "sidecar.app.turns.outbox:Outbox.add",
    "sidecar.store.journal:Journal.drop",
    "sidecar.store.turns:drop",
]
"""Those of a start and of a config change."""
STOP = [
    "sidecar.app.connecting.channels:Channels.stop_receiving",
    "sidecar.app.turns.dispatch:Dispatcher.drain",
    "sidecar.app.turns.outbox:Outbox.drained",
    "sidecar.store.journal:Journal.close",
    "sidecar.store.lock:StateLock.release",
]
"""Those of an orderly end, in which it can die, too."""


POINTS = [f"{moment}:{place}" for moment in ("before", "after") for place in
          (*MESSAGE, *RARE, *STOP)]  # fmt: skip


class Deck:
    """Where to die: at all places in any order, those that were not reached once more, then at all
    of them anew."""

    def __init__(self, plan: random.Random) -> None:
        self.reached = Counter[str]()
        self._plan = plan
        self._cards: list[str] = []
        self._tries = Counter[str]()

    def draw(self) -> tuple[str, int, bool]:
        """A place, the how manyeth time, and whether the sidecar is told to stop before."""
        if not self._cards:
            self._cards = self._plan.sample(POINTS, len(POINTS))
            self._tries.clear()
        death = self._cards.pop()
        place, first = death.partition(":")[2], not self._tries[death]
        self._tries[death] += 1
        times = self._plan.randint(1, 15) if place in MESSAGE and first else 1
        return death, times, place in STOP or (first and self._plan.random() < 0.1)

    def note(self, death: str, *, died: bool) -> None:
        """Take down whether it died there."""
        self.reached[death] += died
        if not died and self._tries[death] < TRIES:
            self._cards.insert(0, death)

    @property
    def never(self) -> list[str]:
        """The places at which it has not died."""
        return [death for death in POINTS if not self.reached[death]]


async def live(proof: Proof, plan: random.Random, *, told: bool) -> bool:
    """Run a sidecar under load, and saves, to its death; whether it died where it was to."""
    before = proof.hub.connects("demo")
    await proof.start(connected=False)
    assert proof.process is not None
    ends, stops_at = time.monotonic() + PATIENCE, math.inf
    while proof.process.returncode is None and time.monotonic() < ends:
        if before is not None and proof.hub.connects("demo") > before:
            before, ends = None, time.monotonic() + LONGEST_LIFE
            stops_at = time.monotonic() + plan.uniform(0.0, 1.0) if told else math.inf
        if proof.random.random() < 0.3:
            proof.say(owner=True)
        if proof.random.random() < 0.1:
            proof.hub.revoke_token("demo")
        if time.monotonic() > stops_at:
            proof.terminate()
            stops_at = math.inf
        proof.version = f"v{plan.randrange(10_000)}"
        # Not in place: a start could find an empty file, which does not tell where the state is.
        beside = proof.config.with_name("new.yaml")
        beside.write_text(
            proof.content(proof.version, other=plan.random() < 0.5, slots=plan.randint(2, 6))
        )
        beside.replace(proof.config)
        await asyncio.sleep(plan.uniform(0.1, 0.7))
    if proof.process.returncode is None:
        await proof.kill()
        return False
    assert proof.process.returncode in (0, -9), proof.log.read_text()[-4000:]
    return proof.process.returncode == -9


@pytest.mark.timeout(3600 if LONG else 180)
async def test_no_death_loses_or_repeats_anything(proof: Proof) -> None:
    plan, began, lives = random.Random(SEED), time.monotonic(), 0
    deck = Deck(plan)
    for _ in range(LIVES):
        journal = proof.journal()
        assert journal.damaged == []
        missing = LOAD - len(journal.unsettled(proof.said.values()))
        for _ in range(missing):
            proof.say()
        death, times, told = deck.draw()
        proof.live(death, times)
        deck.note(death, died=await live(proof, plan, told=told))
        lives += 1
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
        lives=lives,
        died_at_a_point=deck.reached.total(),
        points=f"{len(POINTS) - len(deck.never)}/{len(POINTS)}",
        reached=dict(+deck.reached),
        never=deck.never if LONG else "not told",
        messages=len(proof.said),
        states=dict(Counter(turn.state for turn in proof.journal().turns.values())),
        attempts=dict(Counter(turn.attempts for turn in proof.journal().turns.values())),
        replies=len(proof.hub.sent),
        seconds=round(time.monotonic() - began),
    )
    assert not LONG or lives < LIVES or deck.never == []


def check(proof: Proof) -> None:
    """Everything that was said has its one outcome, and nothing is left."""
    journal = proof.journal()
    assert journal.damaged == []
    assert journal.unsettled(proof.said.values()) == [], "without an outcome"
    assert set(journal.replies) <= {"delivered"}, "not delivered"
    texts = Counter((sent.envelope["to"], sent.text) for sent in proof.hub.sent)
    assert [text for text, count in texts.items() if count > 1] == [], "sent twice"
    assert len(proof.hub.sent) == journal.replies["delivered"]
    runs: Counter[Turn] = Counter()
    for number, count in Counter(proof.runs).items():
        turn = journal.turns[proof.said[number]]
        assert max(count, turn.attempts) <= 2, f"{number} ran {count} times: {turn}"
        runs[turn] += count
    assert [turn for turn, count in runs.items() if count > turn.starts] == []
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
