"""Tasks that run beside who starts them: each has a name and an owner, and none fails in silence.

Tasks that somebody waits for are those of an `asyncio.TaskGroup`, or of `asyncio.gather`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from sidecar import metrics

log = logging.getLogger(__name__)

PAUSE = 30.0
"""Seconds before work that failed begins again."""


class Supervisor:
    """Owns background tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
        """Start a task. When it fails, that is logged and counted."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(
        self, work: Callable[[], Awaitable[None]], name: str, *, pause: float = PAUSE
    ) -> "asyncio.Task[None]":
        """Start work that has no end: after a failure it begins again, `pause` seconds later."""

        async def again() -> None:
            while True:
                try:
                    await work()
                except Exception:  # without it, much would never happen again
                    metrics.count("task_failures_total", task=name)
                    log.exception("task %s failed; it begins again in %g s", name, pause)
                await asyncio.sleep(pause)

        return self.spawn(again(), name)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        while self._tasks:
            tasks = list(self._tasks)
            await asyncio.sleep(0)  # cancelled before its first step, none would end what it has
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        metrics.count("task_failures_total", task=task.get_name().partition(":")[0])
        log.error("task %s failed", task.get_name(), exc_info=failure)


async def cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
