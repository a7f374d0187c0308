"""What a sidecar does now and then, whatever else happens."""

import asyncio
import time

from sidecar import metrics
from sidecar.app.lifecycle.heap import give_back
from sidecar.runtimes.processes.orphans import reap_strays
from sidecar.store.journal import Journal

PRUNE_INTERVAL = 3600.0
"""Seconds between clean-ups of the journal."""
REAP_INTERVAL = 5.0
"""Seconds between collections of dead processes that were left to us."""
AFTER_START = 5.0
"""Seconds, at most, until the memory that the start leaves free is given back."""
MEMORY_INTERVAL = 60.0
"""Seconds between two times that free memory is given back."""


async def tick(interval: float) -> float:
    """Sleep until the clock of the loop shows a multiple of `interval` seconds; that time. What
    many parts do now and then, they do together so, and the process wakes up once for it."""
    now = asyncio.get_running_loop().time()
    wait = interval - now % interval
    await asyncio.sleep(wait)
    return now + wait


async def prune(journal: Journal, ttl: float) -> None:
    """Remove what is older than `ttl` seconds from the journal, again and again."""
    while True:
        removed = await journal.prune(now=time.time(), journal_ttl=ttl)
        metrics.count("journal_pruned_total", removed)
        await asyncio.sleep(PRUNE_INTERVAL)


async def reap() -> None:
    """Collect dead processes, again and again."""
    while True:
        reap_strays()
        await tick(REAP_INTERVAL)


async def stay_small() -> None:
    """Give back free memory, again and again: the gaps that the start and the turns leave would
    stay for ever."""
    await tick(AFTER_START)
    while True:
        await asyncio.to_thread(give_back)
        await tick(MEMORY_INTERVAL)
