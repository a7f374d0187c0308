"""Tells when the content of the config or of a file that it names has changed.

An event of the file system is only a bell: what counts is the content, compared at each event
and every few seconds besides. Watched are folders, never files, and all folders in which a link
on the way to a file lies: editors replace files, and Kubernetes replaces the link `..data`.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from sidecar import metrics
from sidecar.app.digests import NOTHING, Digests, digests
from sidecar.app.folders import Folders, folders_of
from sidecar.app.written import OwnWrites
from sidecar.config.reloading import LONGEST_DEBOUNCE, Reloading

log = logging.getLogger(__name__)
# It tells every event, also those of a log file that lies in a watched folder: without an end.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

FIRST_LOOK = 0.05
LOOK = 1.0
"""Seconds between a new watch and a look at what happened before it was there: little after the
first, which follows a change, and more after the one that takes its place when all is quiet."""
_STEP, _QUIET_STEP = 25, 200
"""Milliseconds without a further event after which events are told, for LIVELY seconds after a
change, and later: the settling is ours. The watch wakes up so often also when nothing happens,
which takes 2 ms of each second with the one and 0.25 with the other."""
LIVELY = 60.0
LONGEST_WAIT = 300.0
"""Seconds between two tries of what comes to no end."""


@dataclass(slots=True)
class Watcher:
    """How files are watched, for people. With `inotify`, or what the system has for it, the file
    system tells changes in `folders`; with `poll` it does not, for `reason`, and the content is
    looked at from time to time; `failed`: neither works.

    `files` is the number of inputs; they were last looked at `looked_at`, and the last change was
    seen `changed_at`, in seconds since the epoch.
    """

    mode: Literal["starting", "inotify", "poll", "failed"] = "starting"
    reason: str = ""
    folders: tuple[str, ...] = ()
    files: int = 0
    looked_at: float | None = None
    changed_at: float | None = None

    def told(self, folders: Folders) -> None:
        """The file system tells what happens in folders."""
        self.mode, self.reason = "inotify", ""
        self.folders = tuple(sorted({str(folder) for folder, _, _ in folders}))

    def untold(self, mode: Literal["poll", "failed"], error: Exception) -> None:
        """It does not."""
        self.mode, self.reason, self.folders = mode, str(error) or type(error).__name__, ()


async def changes(
    inputs: Callable[[], Digests],
    *,
    timing: Callable[[], Reloading] = Reloading,
    own: OwnWrites | None = None,
    stirs: Callable[[], None] = lambda: None,
    watcher: Watcher | None = None,
    retries: Callable[[], bool] = lambda: False,
    unchecked: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[bool, None]:
    """Yield each time the content of the inputs has changed and come to rest: whether it is still
    as it was when `stirs` was called, before the rest was waited for.

    `inputs` is asked anew before each look, with what the receiver found in them: that counts, of
    one that joins and of one in which it has found something else since. One with a wildcard stands
    for the names of the files that match it. What changes while the receiver is busy is told
    afterwards, once. `timing` is asked each time for how long files have to be at rest and for the
    seconds between looks without an event. Writes of our own do not count. `watcher` is kept up to
    date.
    While `retries` says so, what failed is to be tried again: a `touch` counts too. While
    `unchecked` does, the receiver came to no end with it: it is told again from time to time.
    """
    own, watcher = own or OwnWrites(), watcher or Watcher()
    bell, times = _Bell(watcher), frozenset[tuple[Path, int]]()
    known = taken = NOTHING
    again = _Again()
    try:
        while True:
            known, taken = _taken(known, taken, inputs())
            now = await asyncio.to_thread(digests, taken)
            watcher.files, watcher.looked_at = len(now), time.time()
            before, times = times, frozenset()
            if retries():
                times = await asyncio.to_thread(_times, now)
            if before and times and before != times and not _differ(known, now, own):
                yield False
                continue
            if _differ(known, now, own):
                stirs()
                settled = await _settled(inputs, known, now, timing().debounce)
                calm, now = settled == now, settled
                known, taken = _taken(known, taken, inputs())
                if _differ(known, now, own):
                    known, watcher.changed_at = now, time.time()
                    yield calm
                    continue
            known = now
            if again.is_due(unchecked(), timing().poll, time.monotonic()):
                yield False
                continue
            await bell.wait(inputs(), timing().poll)
    except Exception as error:
        watcher.untold("failed", error)
        raise
    finally:
        await bell.close()


class _Again:
    """When to try again what came to no end: after a while, then after twice as long, and so on."""

    def __init__(self) -> None:
        self._wait = 0.0
        self._at = 0.0

    def is_due(self, wanted: bool, first: float, now: float) -> bool:
        """Whether it is time `now`, in seconds of a clock that never goes back. `first` are those
        since it was wanted first."""
        if not wanted:
            self._wait = 0.0
            return False
        due = bool(self._wait) and now >= self._at
        if due or not self._wait:
            self._wait = min(2 * self._wait or first, max(first, LONGEST_WAIT))
            self._at = now + self._wait
        return due


class _Bell:
    """Waits for events in the folders of files; without a watch, for time to pass."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._folders: Folders = frozenset()
        self._events: Generator[set[object], None, None] | None = None
        self._stop = threading.Event()
        self._next: asyncio.Future[None] | None = None
        self._pause, self._step = 0.0, 0

    async def wait(self, inputs: Collection[Path], poll: float) -> None:
        """Return at an event, or after `poll` seconds."""
        try:
            folders = await asyncio.to_thread(folders_of, inputs)
            await self._event(folders, poll)
            self._watcher.told(folders)
            metrics.gauge("config_watcher_up", 1)
        except FileNotFoundError:
            # A folder went while the watch was set up: a moment later there is another one.
            await self.close()
            await asyncio.sleep(min(poll, LOOK))
        except (OSError, RuntimeError) as error:
            # watchfiles raises RuntimeErrors, such as for the limit of inotify instances.
            if self._watcher.mode != "poll":
                log.warning("files cannot be watched, looking every %g s: %s", poll, error)
            metrics.count("config_watch_failures_total")
            metrics.gauge("config_watcher_up", 0)
            self._watcher.untold("poll", error)
            await self.close()
            await asyncio.sleep(poll)

    async def _event(self, folders: Folders, poll: float) -> None:
        loop = asyncio.get_running_loop()
        look, until = min(poll, LOOK), loop.time() + poll
        if self._events is None or folders != self._folders:
            await self._watch(folders, FIRST_LOOK)
            until = loop.time()
        elif self._pause < look or self._step != self._steps():
            await self._watch(folders, look)
            until = loop.time()
        assert self._events is not None  # noqa: S101 -- for the type checker
        # In a thread of asyncio's own: for `awatch`, another library of threads would be loaded,
        # which takes 1.4 MiB.
        self._next = loop.run_in_executor(None, _rung, self._events, loop.time, until)
        await asyncio.shield(self._next)

    def _steps(self) -> int:
        changed = self._watcher.changed_at
        return _STEP if changed is not None and time.time() < changed + LIVELY else _QUIET_STEP

    async def _watch(self, folders: Folders, pause: float) -> None:
        """Watch folders, and look every `pause` seconds whether it is time to return."""
        await self.close()
        watchfiles = await asyncio.to_thread(import_module, "watchfiles")
        self._stop.clear()
        step = self._steps()
        self._events = watchfiles.watch(
            *sorted({folder for folder, _, _ in folders}),
            watch_filter=None,
            recursive=False,
            rust_timeout=int(pause * 1000),
            step=step,
            yield_on_timeout=True,
            stop_event=self._stop,
        )
        self._folders, self._pause, self._step = folders, pause, step

    async def close(self) -> None:
        """End the watch."""
        self._stop.set()
        if self._next is not None:
            with suppress(OSError, RuntimeError):  # told to whoever waited, if anybody did
                await self._next
            self._next = None
        if self._events is not None:
            self._events.close()
            self._events = None


def _rung(events: Iterator[set[object]], clock: Callable[[], float], until: float) -> None:
    """Return at events, or at a time of the clock, when the watch has ended too. Blocks."""
    for found in events:
        if found or clock() >= until:
            return


async def _settled(
    inputs: Callable[[], Collection[Path]], known: Digests, now: Digests, debounce: float
) -> Digests:
    """The digests once they are the same twice in a row, and have been for `debounce` seconds.

    Up to half of these had passed when the change was seen, as far as the file system tells: its
    clock may be another one.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST_DEBOUNCE
    pause = debounce - min(await asyncio.to_thread(_at_rest, known, now), debounce / 2)
    while loop.time() < end:
        await asyncio.sleep(pause)
        before, now, pause = now, await asyncio.to_thread(digests, inputs()), debounce
        if before == now:
            break
    return now


def _at_rest(known: Digests, now: Digests) -> float:
    """Seconds since what is not as it was known was changed; 0 where a file went."""
    changed = [path for path, held in now.items() if known.get(path, held) != held]
    try:
        latest = max(path.stat().st_ctime for path in changed)
    except (OSError, ValueError):
        return 0.0
    return max(0.0, time.time() - latest)


def _times(inputs: Collection[Path]) -> frozenset[tuple[Path, int]]:
    """When the files were changed last."""
    found = set()
    for path in inputs:
        with suppress(OSError):
            found.add((path, path.stat().st_mtime_ns))
    return frozenset(found)


def _taken(known: Digests, before: Digests, now: Digests) -> tuple[Digests, Digests]:
    """What is known when the receiver has found `now` what it had found `before` as something else:
    whatever was seen since, it is what the receiver works with. And `now`."""
    anew = {path: held for path, held in now.items() if path not in before or before[path] != held}
    return {**now, **known, **anew}, now


def _differ(known: Digests, now: Digests, own: OwnWrites) -> bool:
    return any(path in known and not own.lead(known[path], held) for path, held in now.items())
