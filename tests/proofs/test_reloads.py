"""Saves come without end, good and bad ones in every way, and no turn notices."""

import asyncio
import random
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from sidecar.server.address import OWN_HEADER
from tests.proofs.conftest import LONG, PATIENCE, SEED, Proof, seconds_left, tell
from tests.proofs.figures import figures

SAVES = 1000 if LONG else 4
TURNS = 1000 if LONG else 10
RELOADS = 1000 if LONG else 0
"""Saves each of which takes effect; of those of the storm, several that come together are one."""
PARTS = 5 if LONG else 2
"""After each of them there is a rest, for a look at the figures."""
PACE = 0.2
"""Seconds between saves, on average."""
MEGABYTE = 1 << 20
BAD = ["routes: [", "", "\tversion: 1", "version: 1\nchanels: {}", "default_route: {runtime: no}"]


class Saver:
    """Saves a file in all the ways in which editors, tools and Kubernetes do."""

    def __init__(self, path: Path, plan: random.Random) -> None:
        self._path = path
        self._plan = plan
        self._count = 0
        self.ways = Counter[str]()

    async def save(self, text: str) -> None:
        self._count += 1
        way = self._plan.choice(["in_place", "halves", "renamed", "mapped", "returned"])
        self.ways[way] += 1
        await getattr(self, f"_{way}")(text)

    async def _in_place(self, text: str) -> None:
        self._path.write_text(text)

    async def _halves(self, text: str) -> None:
        with self._path.open("w") as file:
            file.write(text[: self._plan.randrange(len(text) + 1)])
            file.flush()
            await asyncio.sleep(0.005)
            file.seek(0)
            file.write(text)

    async def _renamed(self, text: str) -> None:
        beside = self._path.with_name(f".{self._path.name}.swp")
        beside.write_text(text)
        beside.replace(self._path)

    async def _mapped(self, text: str) -> None:
        """As a ConfigMap: `config.yaml` is a link to `..data/config.yaml`, `..data` is swapped."""
        folder, name = self._path.parent, self._path.name
        old = [path for path in folder.glob("..2*") if path.is_dir()]
        new = folder / f"..2026_{self._count}"
        new.mkdir()
        (new / name).write_text(text)
        _link(folder / "..data", new.name)
        if not self._path.is_symlink():
            _link(self._path, f"..data/{name}")
        for path in old:
            shutil.rmtree(path)

    async def _returned(self, text: str) -> None:
        self._path.unlink()
        await asyncio.sleep(self._plan.uniform(0.0, 0.05))
        self._path.write_text(text)


def _link(path: Path, target: str) -> None:
    beside = path.with_name(f"{path.name}_tmp")
    beside.symlink_to(target)
    beside.replace(path)


async def rest(proof: Proof, rests: list[dict[str, int]], more: int) -> None:
    """Add the figures when nothing is under way any more to those of the rests before. `more` is
    what memory may have grown by."""
    await proof.settled()
    for _ in range(40):
        await asyncio.sleep(1.5)  # a sidecar that has nothing to do cannot tell so
        found = await figures(proof)
        if not rests or grown(rests[0], found, more) == {}:
            break
    rests.append(found)


async def traffic(proof: Proof, plan: random.Random, until: int, saves: asyncio.Event) -> None:
    """Say so much at least, and go on until all is saved; never too far ahead of the answers."""
    while (len(proof.said) < until and seconds_left()) or not saves.is_set():
        ahead = len(proof.said) - sum(proof.answers.values())
        if ahead < 20:
            proof.say()
        await asyncio.sleep(0.02 if len(proof.said) < until else 0.2)


async def storm(proof: Proof, plan: random.Random, saver: Saver) -> set[str]:
    """Save without waiting, in parts with a rest after each; the versions that may be seen."""
    valid, rests = {proof.version}, []
    for part in range(PARTS):
        saved, count = asyncio.Event(), SAVES // PARTS
        until = len(proof.said) + TURNS // PARTS
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic(proof, plan, until, saved))
            for number in range(count if seconds_left() else 1):
                if plan.random() < 0.3:
                    await saver.save(plan.choice(BAD))
                else:
                    valid.add(f"v{part}-{number}")
                    await saver.save(some_content(proof, plan, f"v{part}-{number}"))
                await asyncio.sleep(plan.uniform(0.0, 2 * PACE))
            saved.set()
        proof.config.unlink()
        proof.config.write_text(proof.content(f"end{part}"))
        await in_force(proof, f"end{part}")
        await rest(proof, rests, 4 * MEGABYTE)
        valid.add(f"end{part}")
    flat("storm", rests, 4 * MEGABYTE)  # the first look comes early
    return valid


async def one_by_one(proof: Proof, plan: random.Random, saver: Saver) -> set[str]:
    """Save, and have each save take effect before the next one, with a message for each; the
    versions of these."""
    valid, rests = set[str](), []
    connector = UnixConnector(str(proof.folder / "s.sock"))
    async with ClientSession("http://x", connector=connector, headers={OWN_HEADER: "1"}) as http:
        for part in range(PARTS):
            for number in range(RELOADS // PARTS):
                proof.say()
                valid.add(f"r{part}-{number}")
                await saver.save(some_content(proof, plan, f"r{part}-{number}"))
                async with http.post("/-/reload") as answer:
                    told = await answer.json()
                # The watch may have been quicker.
                assert told["result"] in ("applied", "unchanged"), told
                if not seconds_left():
                    break
            proof.config.write_text(proof.content(f"rest{part}"))
            await in_force(proof, f"rest{part}")
            valid.add(f"rest{part}")
            await rest(proof, rests, 0)
    flat("reloads one by one", rests, 0)
    return valid


def some_content(proof: Proof, plan: random.Random, version: str) -> str:
    return proof.content(version, other=plan.random() < 0.3, slots=plan.randint(2, 6))


def flat(name: str, rests: list[dict[str, int]], more: int) -> None:
    """The figures of the rests, and that they do not grow; memory by a twentieth, and by so many
    bytes more."""
    before, after = rests[0], rests[-1]
    tell(name, rss=[one["rss"] >> 10 for one in rests], first=before, last=after)
    assert grown(before, after, more) == {}


def grown(before: dict[str, int], after: dict[str, int], more: int) -> dict[str, int]:
    """The figures that are greater than before by more than they may be."""
    # Connections are kept for a while, and the pool of threads grows up to its bound.
    slack = {"rss": before["rss"] * 0.05 + more, "descriptors": 6, "threads": 8, "tasks": 2}
    return {name: after[name] for name, most in slack.items() if after[name] > before[name] + most}


@pytest.mark.timeout(3600 if LONG else 180)
async def test_no_save_disturbs_a_turn_or_a_connection(proof: Proof) -> None:
    plan, began = random.Random(SEED), time.monotonic()
    saver = Saver(proof.config, plan)
    del proof.rooms[:2]  # in these, several messages get one answer
    proof.silence = PATIENCE  # a Hub that is only slow is to keep its connection
    proof.live()
    proof.fresh = True  # what it takes is its own
    await proof.start()
    valid = await storm(proof, plan, saver)
    generation = (await proof.status())["generation"]
    if RELOADS:
        valid |= await one_by_one(proof, plan, saver)
    took = time.monotonic() - began
    status = await proof.status()
    check(proof, valid)
    assert proof.hub.connects("demo") == 1, "an unchanged channel was connected anew"
    row = status["generation"] - generation
    assert row >= RELOADS or not seconds_left(), "saves that took no effect"
    assert await proof.stop() == 0
    assert proof.children == []
    reloads = Counter(re.findall(r"config (applied|unchanged|rejected) \(", proof.log.read_text()))
    tell(
        "reloads",
        saves=sum(saver.ways.values()),
        ways=dict(saver.ways),
        reloads=dict(reloads),
        generation=status["generation"],
        one_by_one=row,
        messages=len(proof.said),
        answered=sum(proof.answers.values()),
        versions_seen=len({sent.text.split()[1] for sent in proof.hub.sent}),
        seconds=round(took),
    )


async def in_force(proof: Proof, version: str) -> None:
    """Return when turns run with a version."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        number = proof.say()
        await proof.until(lambda number=number: proof.answers[number])
        if proof.hub.sent[-1].text.endswith(version):
            return
    pytest.fail(f"{version} never came into force")


def check(proof: Proof, valid: set[str]) -> None:
    """Each message was answered once, by a turn that saw one valid config."""
    journal, answers = proof.journal(), proof.answers
    texts = Counter((sent.envelope["to"], sent.text) for sent in proof.hub.sent)
    assert [text for text, count in texts.items() if count > 1] == [], "sent twice"
    assert {number: answers[number] for number in proof.said if answers[number] != 1} == {}
    assert {turn.attempts for turn in journal.turns.values()} == {1}
    for sent in proof.hub.sent:
        [version, *others] = sent.text.split()[1:]
        assert set(others) == {version}, f"two snapshots: {sent.text}"
        assert version in valid, sent.text
