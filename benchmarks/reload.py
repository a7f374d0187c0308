"""Saving a config: the time until it is live, what it does to the event loop and to turns that
run, and what many saves leave behind."""

import asyncio
import http.client
import itertools
import re
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks._measure import Figure, milliseconds, report, resident, smoke
from benchmarks._world import CONFIG, PATIENCE, World, world
from sidecar.devhub import DevHub
from sidecar.server import address

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


@contextmanager
def stalls(folder: Path) -> Iterator[list[float]]:
    """Seconds that each answer of the event loop takes meanwhile, asked for without a pause."""
    found: list[float] = []
    ended = threading.Event()
    connection = http.client.HTTPConnection(address.find(folder / "state"))

    def ask() -> None:
        while not ended.is_set():
            begin = time.perf_counter()
            connection.request("GET", "/livez")
            connection.getresponse().read()
            found.append(time.perf_counter() - begin)
            time.sleep(0.001)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        connection.close()


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
            return report(*[figure async for figure in figures(found, saves, folder)])


async def figures(found: World, saves: Saves, folder: Path) -> AsyncIterator[Figure]:
    """Each result."""
    for name, routes, changed, templates, goal in (
        ("500 routes", 500, None, 0, 400),
        ("500 routes, 100 templates", 500, None, 100, 1000),
        (f"{TEMPLATES} new templates", TEMPLATES, None, TEMPLATES, 1000),
        ("10,000 routes", 10_000, None, 0, 1500),
        ("1 of 10,000 routes", 10_000, 1, 0, 300),
    ):
        taken = await latency(saves, routes, changed=changed, templates=templates)
        yield Figure(name, milliseconds(taken), taken * 1000, "ms", goal=goal)
    with stalls(folder) as found_stalls:
        for _ in range(SAVES):
            await saves.save(saves.text(10_000))
    worst = max(found_stalls)
    yield Figure("loop, longest stall", milliseconds(worst), worst * 1000, "ms", goal=50)
    alone = await turns(found, saves, None)
    meanwhile = await turns(found, saves, saves.text(10_000))
    late = max(with_ - without for with_, without in zip(meanwhile, alone, strict=True))
    yield Figure("delay of turns", milliseconds(late), late * 1000, "ms", goal=50)
    for _ in range(20):  # what is made once is there
        await saves.save(saves.text(500))
    before, held_before = resident(found.pid), held(found.pid)
    for _ in range(RELOADS):
        await saves.save(saves.text(500, changed=1))
    after, held_after = resident(found.pid), held(found.pid)
    yield Figure(f"memory, {RELOADS} reloads", f"{after:.1f} MiB", after / before, "x", goal=1.05)
    # The connections that are kept open to the Hub may be a few more or fewer.
    for name, old, new, goal in zip(
        ("descriptors", "watches"), held_before, held_after, (10, 0), strict=True
    ):
        yield Figure(name, f"{new}", new - old, "more", goal=goal)


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
