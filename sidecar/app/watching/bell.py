"""Rings when something happens in the folders of files."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Generator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from sidecar import metrics
from sidecar.app.watching.folders import Folders, folders_of
from sidecar.app.watching.watcher import Watcher

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

log = logging.getLogger(__name__)
# It tells every event, also those of a log file that lies in a watched folder: without an end.
logging.getLogger("watchfiles").setLevel(logging.WARNING)

OFTEN, SELDOM = 0.05, 0.5
"""Seconds between two questions whether there were events, for LIVELY seconds after a change, and
later. The library cannot wait without a step either; what an idle process takes are its wakes."""
LIVELY = 60.0
_MOMENT = 1
"""Milliseconds that a question waits for events, and then for more of them."""
_LONGEST_GONE = 1.0
"""Seconds between two looks for folders that are not there, at most."""


class Bell:
    """Waits for events in the folders of files; without a watch, for time to pass."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._folders: Folders = frozenset()
        self._events: Generator[set[object], None, None] | None = None
        # Held while there is a watch: to wait for it takes less than for an `Event`.
        self._open = threading.Lock()
        self._next: asyncio.Future[Any] | None = None
        self._gone = OFTEN

    async def wait(self, inputs: Collection[Path], poll: float) -> None:
        """Return at an event, after at most `poll` seconds, or at once when the folders are
        watched from now on: nobody tells what happened in them before."""
        try:
            clock = asyncio.get_running_loop().time
            now = clock()
            # When others are done that are done now and then: see `chores.tick`.
            end = now + poll - now % poll
            others = await self._asked(self._others_or_event, inputs, clock, end)
            if others is not None:
                await self._watch(others)
            self._gone = OFTEN
            self._watcher.told(self._folders)
            metrics.gauge("config_watcher_up", 1)
        except FileNotFoundError:
            # One that went while the watch was set up has a successor a moment later.
            await self.close()
            await asyncio.sleep(min(poll, self._gone))
            self._gone = min(2 * self._gone, _LONGEST_GONE)
        except (OSError, RuntimeError) as error:
            # watchfiles raises RuntimeErrors, such as for the limit of inotify instances.
            if self._watcher.mode != "poll":
                log.warning("files cannot be watched, looking every %g s: %s", poll, error)
            metrics.count("config_watch_failures_total")
            metrics.gauge("config_watcher_up", 0)
            self._watcher.untold("poll", error)
            await self.close()
            await asyncio.sleep(poll)

    async def _watch(self, folders: Folders) -> None:
        await self.close()
        watchfiles = await asyncio.to_thread(import_module, "watchfiles")
        self._open.acquire()
        self._events = watchfiles.watch(
            *sorted({folder for folder, _, _ in folders}),
            watch_filter=None,
            recursive=False,
            step=_MOMENT,
            rust_timeout=_MOMENT,
            yield_on_timeout=True,
        )
        self._folders = folders
        await self._asked(next, self._events)  # which sets it up

    async def _asked(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        """Run a function in a thread of asyncio's own, to whose end `close` waits. With `awatch`,
        another library of threads would be loaded, which takes 1.4 MiB."""
        found = asyncio.get_running_loop().run_in_executor(None, function, *args)
        self._next = found
        return await asyncio.shield(found)

    def _others_or_event(
        self, inputs: Collection[Path], clock: Callable[[], float], end: float
    ) -> Folders | None:
        """The folders of the inputs where they are others than those that are watched; else None:
        at an event, at a time of the clock, or when the watch has ended. Blocks."""
        folders, events = folders_of(inputs), self._events
        if events is None or folders != self._folders:
            return folders
        now = clock()
        while now < end:
            if self._open.acquire(timeout=min(self._pause(now), end - now)):
                self._open.release()
                return None
            if next(events):
                return None
            now = clock()
        return None

    def _pause(self, now: float) -> float:
        changed = self._watcher.changed_at
        pause = OFTEN if changed is not None and time.time() < changed + LIVELY else SELDOM
        return pause - now % pause

    async def close(self) -> None:
        """End the watch."""
        if self._open.locked():
            self._open.release()
        if self._next is not None:
            with suppress(OSError, RuntimeError):  # told to whoever waited, if anybody did
                await self._next
            self._next = None
        if self._events is not None:
            self._events.close()
            self._events = None
