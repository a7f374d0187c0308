"""Whatever happens between the Hub and the sidecar, each message is answered once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.proofs.conftest import LONG, SEED, Proof, seconds_left, tell
from tests.proofs.proxy import Proxy

FAULTS = 200 if LONG else 10
MESSAGES = 1000 if LONG else 30
ROUTES = [
    "/hub/inbox",
    "/hub/inbox/ack",
    "/hub/send",
    "/hub/status/{msg_id}",
    "/hub/stream-block",
    "/hub/typing",
    "/hub/ws",
    "/registry/agents/{agent}/token/refresh",
]
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Faults:
    """All that can go wrong between the two; each method is one kind, and one fault."""

    def __init__(self, proof: Proof, proxy: Proxy) -> None:
        self._proof = proof
        self._hub = proof.hub
        self._proxy = proxy
        self._random = random.Random(SEED)

    async def reset(self) -> None:
        self._proxy.drop()

    async def half_open(self) -> None:
        self._proxy.freeze()

    async def delayed(self) -> None:
        await self._for_a_while(delay=self._random.uniform(0.05, 0.5))

    async def slow(self) -> None:
        await self._for_a_while(slow=True)

    async def closed(self) -> None:
        self._proxy.drop()
        await self._for_a_while(closed=True)

    async def cut(self) -> None:
        self._proxy.cut = self._random.randint(0, 300)

    async def server_error(self) -> None:
        self._answer(status=self._random.choice([500, 502, 503, 504]))

    async def limited(self) -> None:
        self._answer(status=429, headers={"Retry-After": "1"})

    async def unauthorized(self) -> None:
        self._answer(status=401)

    async def html(self) -> None:
        self._answer(status=self._random.choice([200, 502]), body=HTML)

    async def receipt_lost(self) -> None:
        self._answer(reset=True, after=True)

    async def hub_restarted(self) -> None:
        with self._proxy.spoiled(closed=True):  # its port may be somebody else's meanwhile
            await self._hub.stop()
            await asyncio.sleep(self._random.uniform(0.1, 0.8))
            await self._hub.start()
            self._proxy.port = int(self._hub.url.rpartition(":")[2])

    async def token_revoked(self) -> None:
        self._hub.revoke_token("demo")

    async def socket_ended(self) -> None:
        self._hub.drop_sockets(self._random.choice([1000, 1006, 1011, 1012, 4001, 4002]), "demo")

    @classmethod
    def kinds(cls) -> list[str]:
        return [name for name in vars(cls) if name[0] != "_" and name != "kinds"]

    def _answer(self, **fault: Any) -> None:
        """What the next requests for something are answered."""
        times = self._random.randint(1, 4)
        self._hub.faults.add(self._random.choice(ROUTES), times=times, **fault)

    async def _for_a_while(self, **fault: object) -> None:
        with self._proxy.spoiled(**fault):
            await asyncio.sleep(self._random.uniform(0.1, 0.8))


@pytest.fixture
async def proxy(proof: Proof) -> AsyncIterator[Proxy]:
    found = Proxy(int(proof.hub.url.rpartition(":")[2]))
    await found.start()
    proof.hub_url = found.url
    proof.config.write_text(proof.content(proof.version))
    yield found
    await found.stop()


def plan_of_kinds(plan: random.Random) -> Iterator[str]:
    """All kinds, again and again, each time in another order."""
    while True:
        deck = Faults.kinds()
        plan.shuffle(deck)
        yield from deck


@pytest.mark.timeout(3600 if LONG else 180)
async def test_no_fault_of_the_network_loses_or_repeats_anything(
    proof: Proof, proxy: Proxy
) -> None:
    plan, began = random.Random(SEED), time.monotonic()
    kinds, done, faults = plan_of_kinds(plan), Counter[str](), Faults(proof, proxy)
    await proof.start()
    for number in range(FAULTS):
        while len(proof.said) < MESSAGES * (number + 1) // FAULTS:
            proof.say(owner=plan.random() < 0.02)
        kind = next(kinds)
        await getattr(faults, kind)()
        done[kind] += 1
        await asyncio.sleep(plan.uniform(0.05, 0.4))
        proof.hub.faults.clear()  # what nobody came for is over
        if not seconds_left():
            break
    await proof.settled()
    took = time.monotonic() - began
    status = await proof.status()
    assert status["channels"]["demo"]["state"] in ("connected", "connecting", "waiting")
    assert await proof.stop() == 0
    journal, answers = proof.journal(), proof.answers
    texts = Counter((sent.envelope["to"], sent.text) for sent in proof.hub.sent)
    assert [text for text, count in texts.items() if count > 1] == [], "sent twice"
    merged = {turn.id: 0 for turn in journal.turns.values()}
    for said, message in proof.said.items():
        merged[journal.turns[message].id] += answers[said]
    states = Counter(turn.state for turn in journal.turns.values())
    superseded = {t.id for t in journal.turns.values() if t.state in ("cancelled", "dropped")}
    assert {id_: n for id_, n in merged.items() if n != (id_ not in superseded)} == {}
    assert "Traceback" not in proof.log.read_text()
    tell(
        "network",
        faults=sum(done.values()),
        kinds=dict(done),
        messages=len(proof.said),
        turns=len(merged),
        answered=sum(merged.values()),
        sent=len(proof.hub.sent),
        states=dict(states),
        connects=proof.hub.connects("demo"),
        requests=sum(proof.hub.requests.values()),
        seconds=round(took),
    )
