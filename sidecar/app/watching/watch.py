"""Tells when the content of the config or of a file that it names has changed.

An event of the file system is only a bell: what counts is the content, compared at each event
and every few seconds besides. Watched are folders, never files, and all folders in which a link
on the way to a file lies: editors replace files, and Kubernetes replaces the link `..data`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection
from pathlib import Path

from sidecar.app.watching.bell import Bell
from sidecar.app.watching.digests import NOTHING, Digests, Look, look
from sidecar.app.watching.own_writes import OwnWrites
from sidecar.app.watching.watcher import Watcher
from sidecar.config.reloading import LONGEST_DEBOUNCE, Reloading

LONGEST_WAIT = 300.0
"""Seconds between two tries of what comes to no end."""


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
    bell, now = Bell(watcher), Look()
    known = taken = NOTHING
    again = _Again()
    try:
        while True:
            known, taken = _taken(known, taken, inputs())
            before, now = now, await asyncio.to_thread(look, taken)
            watcher.files, watcher.looked_at = len(now.held), time.time()
            if _differ(known, now.held, own):
                stirs()
                begun, now = now.held, await _settled(inputs, known, now, timing().debounce)
                known, taken = _taken(known, taken, inputs())
                if _differ(known, now.held, own):
                    known, watcher.changed_at = now.held, time.time()
                    yield begun == now.held
                    continue
            known = now.held
            touched = retries() and now.touched_since(before)
            if touched or again.is_due(unchecked(), timing().poll, time.monotonic()):
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


async def _settled(
    inputs: Callable[[], Collection[Path]], known: Digests, now: Look, debounce: float
) -> Look:
    """The look once files hold the same twice in a row, and have done so for `debounce` seconds.

    Up to half of these had passed when the change was seen, as far as the file system tells: its
    clock may be another one.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + LONGEST_DEBOUNCE
    at_rest = await asyncio.to_thread(_at_rest, known, now.held)
    pause = debounce - min(at_rest, debounce / 2)
    while loop.time() < end:
        await asyncio.sleep(pause)
        before, now, pause = now, await asyncio.to_thread(look, inputs()), debounce
        if before.held == now.held:
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


def _taken(known: Digests, before: Digests, now: Digests) -> tuple[Digests, Digests]:
    """What is known when the receiver has found `now` what it had found `before` as something else:
    whatever was seen since, it is what the receiver works with. And `now`."""
    anew = {path: held for path, held in now.items() if path not in before or before[path] != held}
    return {**now, **known, **anew}, now


def _differ(known: Digests, now: Digests, own: OwnWrites) -> bool:
    return any(path in known and not own.lead(known[path], held) for path, held in now.items())
