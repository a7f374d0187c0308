"""Saving a config: the time until it is live, what it does to the event loop and to turns that
run, and what many saves leave behind."""

import asyncio
import itertools
import re
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks._measure import Curve, Figure, milliseconds, report, resident, smoke
from benchmarks._stalls import stall
from benchmarks._world import CONFIG, PATIENCE, World, world
from sidecar.devhub import DevHub

SAVES = 3 if smoke() else 9
"""Saves of each kind; the median counts."""
RELOADS = 10 if smoke() else 1000
TEMPLATES = 100 if smoke() else 1000
TURNS = 8 if smoke() else 50
SLOW = """\
#!/bin/sh
sleep 3
echo '{"type":"result","text":"done"}'
"""
ROUTE = """\
  - name: r{number}
    match: {{conversation: rm_{number:06}}}
    runtime: instant
    cwd: "{folder}"
    trust: public
    args: [--number, "{tag}"]
"""
TEMPLATE = """\
    system_context: |
      {{% extends "botcord/system_context.j2" %}}
      {{% block memory %}}You are {tag}.{{% endblock %}}
"""


class Saves:
    """The config file of a sidecar that runs, and its log, which tells what came of each save."""

    def __init__(self, folder: Path, program: Path, hub: DevHub) -> None:
        self._folder = folder
        self.person = hub.add_person("Ann")
        self.rooms = [hub.add_room(f"Room {n}", [self.person, "demo"]) for n in range(TURNS)]
        text = CONFIG.format(folder=folder, program=program, slots=TURNS)
        log = f'log: {{level: info, format: json, file: "{folder}/log"}}'
        self._head = text.replace("log: {level: warning}", log)
        self._tags = itertools.count()
        self._reloads = 0
        self._seen = 0

    def text(self, routes: int, *, changed: int | None = None, templates: int = 0) -> str:
        """A config with so many routes. All of them differ from those before, or only so many.
        The first ones have templates."""
        tag = next(self._tags)
        changed = routes if changed is None else changed
        told = (
            (ROUTE + TEMPLATE * (n < templates)).format(
                folder=self._folder, number=n, tag=f"{n}-{tag if n < changed else 0}"
            )
            for n in range(routes)
        )
        return self._head + ("routes:\n" if routes else "") + "".join(told)

    async def save(self, text: str) -> float:
        """Seconds from saving the file to the line of the log that tells of it."""
        beside = self._folder / "config.yaml.new"
        beside.write_text(text)
        begin = time.monotonic()
        beside.rename(self._folder / "config.yaml")
        while not (told := self._told()):
            if time.monotonic() - begin > PATIENCE:
                sys.exit("the save was not noticed")
            await asyncio.sleep(0.002)
        taken = time.monotonic() - begin
        if "config applied" not in told:
            sys.exit(f"the save led to: {told}")
        return taken

    def _told(self) -> str:
        log = self._folder / "log"
        lines = log.read_text()[self._seen :] if log.exists() else ""
        found = re.search(r".*config (?:applied|rejected|unchanged).*\n", lines)
        if found is None:
            return ""
        self._seen += found.end()
        return found[0]


async def latency(
    saves: Saves, routes: int, *, changed: int | None = None, templates: int = 0
) -> float:
    await saves.save(saves.text(routes, changed=0, templates=templates))
    texts = (saves.text(routes, changed=changed, templates=templates) for _ in range(SAVES))
    return sorted([await saves.save(text) for text in texts])[SAVES // 2]


def held(pid: int) -> tuple[int, int]:
    """How many descriptors and watches of folders a process has."""
    folder = Path(f"/proc/{pid}")
    watches = 0
    descriptors = list((folder / "fd").iterdir())
    for one in descriptors:
        with suppress(OSError):  # closed since
            watches += (folder / "fdinfo" / one.name).read_text().count("inotify wd:")
    return len(descriptors), watches


async def turns(found: World, saves: Saves, text: str | None) -> list[float]:
    """Seconds of many turns at once, each; a config is saved while they run."""
    hub, begin, before = found.hub, time.monotonic(), len(found.hub.sent)
    for room in saves.rooms:
        hub.say(saves.person, room, "go")
    if text is not None:
        await asyncio.sleep(1.0)
        await saves.save(text)
    await found.replies(before + TURNS)
    return sorted(sent.at - begin for sent in hub.sent[before:])


async def measure() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "slow"
        program.write_text(SLOW)
        program.chmod(0o700)
        async with world(folder, program, slots=TURNS) as found:
            saves = Saves(folder, program, found.hub)
            await saves.save(saves.text(0))
            found.stalls.anew()
            figures = await latencies(saves)
            share, curves = await growth(saves)
            figures += [share, *await left_behind(found, saves), stall(found.stalls.longest)]
            return report(*figures, curves=curves)


async def latencies(saves: Saves) -> list[Figure]:
    """How long saves take until they are live."""
    figures = []
    for name, routes, changed, templates, goal in (
        ("500 routes", 500, None, 0, 400),
        ("500 routes, 100 templates", 500, None, 100, 1000),
        (f"{TEMPLATES} new templates", TEMPLATES, None, TEMPLATES, 1000),
        ("10,000 routes", 10_000, None, 0, 1500),
        ("1 of 10,000 routes", 10_000, 1, 0, 300),
    ):
        taken = await latency(saves, routes, changed=changed, templates=templates)
        figures.append(Figure(name, milliseconds(taken), taken * 1000, "ms", goal=goal))
    return figures


async def growth(saves: Saves) -> tuple[Figure, list[Curve]]:
    """How the time until a save is live grows with what is there, and with what changed in it: the
    share of one route of many that changed, against that of one of fewer; and the curves."""
    there = {many: await latency(saves, many, changed=1) for many in (10, 100, 1_000, 10_000)}
    changed = {
        many: await latency(saves, 10_000, changed=many) for many in (1, 10, 100, 1_000, 10_000)
    }
    many, few = ((changed[count] - changed[1]) / (count - 1) for count in (10_000, 1_000))
    share = Figure("a changed route's share", f"{many * 1e6:.0f} us", many / few, "x of 1,000")
    curves = []
    for name, taken in (("routes, one changed", there), ("changed of 10,000", changed)):
        points = [(count, seconds / min(taken.values())) for count, seconds in taken.items()]
        curves.append(Curve(name, "a save until it is live", points, goal=None))
    return share, curves


async def left_behind(found: World, saves: Saves) -> list[Figure]:
    """What saves do to turns, and what many of them leave behind."""
    alone = await turns(found, saves, None)
    meanwhile = await turns(found, saves, saves.text(10_000))
    late = max(with_ - without for with_, without in zip(meanwhile, alone, strict=True))
    figures = [Figure("delay of turns", milliseconds(late), late * 1000, "ms", goal=50)]
    for _ in range(20):  # what is made once is there
        await saves.save(saves.text(500))
    before, held_before = resident(found.pid), held(found.pid)
    for _ in range(RELOADS):
        await saves.save(saves.text(500, changed=1))
    after, held_after = resident(found.pid), held(found.pid)
    grown, shown = after / before, f"{after:.1f} MiB"
    figures.append(Figure(f"memory, {RELOADS} reloads", shown, grown, "x", goal=1.05))
    # The connections that are kept open to the Hub may be a few more or fewer.
    for name, old, new, goal in zip(
        ("descriptors", "watches"), held_before, held_after, (10, 0), strict=True
    ):
        figures.append(Figure(name, f"{new}", new - old, "more", goal=goal))
    return figures


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
