"""The only place that makes tasks: each has a name and an owner, and none fails in silence."""

import asyncio
import logging
from collections.abc import Coroutine

from sidecar import metrics

log = logging.getLogger(__name__)


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

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        metrics.count("task_failures_total", task=task.get_name().partition(":")[0])
        log.error("task %s failed", task.get_name(), exc_info=failure)
