"""Tells when the content of the config or of a file that it names has changed.

An event of the file system is only a bell: what counts is the content, compared at each event
and every few seconds besides. Watched are folders, never files, and all folders in which a link
on the way to a file lies: editors replace files, and Kubernetes replaces the link `..data`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from sidecar import metrics
from sidecar.app.digests import NOTHING, WILDCARDS, Digests, digests
from sidecar.app.written import OwnWrites

log = logging.getLogger(__name__)
# It tells every event, also those of a log file that lies in a watched folder: without an end.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

SETTLE = 0.2
"""Seconds without a change after which a file counts as written."""
LONGEST_SETTLE = 5.0
"""Seconds after which a file that is written all the time counts as changed all the same."""
FIRST_LOOK = 0.05
LOOK = 1.0
"""Seconds between a new watch and a look at what happened before it was there: little after the
first, which follows a change, and more after the one that takes its place when all is quiet."""
_STEP = 5
"""Milliseconds without a further event after which events are told: the settling is ours."""
_MOST_LINKS = 40
"""Links that lead on to each other; the kernel follows as many."""

_Folders = frozenset[tuple[Path, int, int]]


async def changes(
    inputs: Callable[[], Collection[Path]],
    *,
    poll: float = 5.0,
    known: Digests = NOTHING,
    own: OwnWrites | None = None,
    stirs: Callable[[], None] = lambda: None,
) -> AsyncGenerator[bool, None]:
    """Yield each time the content of the inputs has changed and come to rest: whether it is still
    as it was when `stirs` was called, before the rest was waited for.

    `inputs` is asked anew before each look; one that joins counts from then on, and one with a
    wildcard stands for the names of the files that match it. What changes while the receiver is
    busy is told afterwards, once. `poll` is the number of seconds between looks without an event,
    `known` what is known of the content before the first look. Writes of our own do not count.
    """
    own = own or OwnWrites()
    bell = _Bell(poll)
    try:
        while True:
            now = await asyncio.to_thread(digests, inputs())
            if _differ(known, now, own):
                stirs()
                settled = await _settled(inputs, now)
                calm, now = settled == now, settled
                if _differ(known, now, own):
                    known = now
                    yield calm
                    continue
            known = now
            await bell.wait(inputs())
    finally:
        await bell.close()


class _Bell:
    """Waits for events in the folders of files; without a watch, for time to pass."""

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._folders: _Folders = frozenset()
        self._events: AsyncGenerator[set[object], None] | None = None
        self._pause = 0.0
        self._failing = False

    async def wait(self, inputs: Collection[Path]) -> None:
        """Return at an event, or after `poll` seconds."""
        try:
            await self._event(await asyncio.to_thread(_folders, inputs))
            self._failing = False
            metrics.gauge("config_watcher_up", 1)
        except FileNotFoundError:
            # A folder went while the watch was set up: a moment later there is another one.
            await self.close()
            await asyncio.sleep(min(self._poll, LOOK))
        except (OSError, RuntimeError) as error:
            # watchfiles raises RuntimeErrors, such as for the limit of inotify instances.
            if not self._failing:
                log.warning("files cannot be watched, looking every %g s: %s", self._poll, error)
            metrics.count("config_watch_failures_total")
            metrics.gauge("config_watcher_up", 0)
            self._failing = True
            await self.close()
            await asyncio.sleep(self._poll)

    async def _event(self, folders: _Folders) -> None:
        loop = asyncio.get_running_loop()
        look, until = min(self._poll, LOOK), loop.time() + self._poll
        if self._events is None or folders != self._folders:
            await self._watch(folders, FIRST_LOOK)
            until = loop.time()
        elif self._pause < look:
            await self._watch(folders, look)
            until = loop.time()
        assert self._events is not None  # noqa: S101 -- for the type checker
        while not await anext(self._events) and loop.time() < until:
            pass

    async def _watch(self, folders: _Folders, pause: float) -> None:
        """Watch folders, and look every `pause` seconds whether it is time to return."""
        await self.close()
        watchfiles = await asyncio.to_thread(import_module, "watchfiles")
        self._events = watchfiles.awatch(
            *sorted({folder for folder, _, _ in folders}),
            watch_filter=None,
            recursive=False,
            rust_timeout=int(pause * 1000),
            step=_STEP,
            yield_on_timeout=True,
        )
        self._folders, self._pause = folders, pause

    async def close(self) -> None:
        """End the watch."""
        if self._events is not None:
            await self._events.aclose()
            self._events = None


async def _settled(inputs: Callable[[], Collection[Path]], now: Digests) -> Digests:
    """The digests once they are the same twice in a row, `SETTLE` apart."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST_SETTLE
    while loop.time() < end:
        await asyncio.sleep(SETTLE)
        before, now = now, await asyncio.to_thread(digests, inputs())
        if before == now:
            break
    return now


def _differ(known: Digests, now: Digests, own: OwnWrites) -> bool:
    return any(path in known and not own.lead(known[path], held) for path, held in now.items())


def _folders(inputs: Collection[Path]) -> _Folders:
    """The folders to watch, each with what changes when it is made anew.

    Raises FileNotFoundError when there is none.
    """
    watched = set()
    for path in inputs:
        with suppress(OSError):  # of a path that the system refuses, its content is looked at
            for folder in _on_the_way(path):
                told = folder.stat()
                watched.add((folder, told.st_dev, told.st_ino))
    if not watched:
        raise FileNotFoundError("none of the folders exists")
    return frozenset(watched)


def _on_the_way(path: Path) -> set[Path]:
    """The folder of a file and of each link that leads to it, as far as they exist."""
    found: set[Path] = set()
    current, rest = Path(path.anchor), list(path.parts[1:])
    links = 0
    while rest and links < _MOST_LINKS:
        part = rest.pop(0)
        if part == "..":
            current = current.parent
            continue
        step = current / part
        if WILDCARDS & set(part) and not step.exists():
            rest = []
        if step.is_symlink():
            found.add(current)
            links += 1
            target = step.readlink()
            rest = [*target.parts[target.is_absolute() :], *rest]
            current = Path(target.anchor) if target.is_absolute() else current
        elif rest and not step.is_dir():
            rest = []
        elif rest:
            current = step
    return found | {current}
