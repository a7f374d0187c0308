"""What a sidecar does now and then, whatever else happens."""

import asyncio
import time

from sidecar import metrics
from sidecar.runtimes.orphans import reap_strays
from sidecar.store.journal import Journal

PRUNE_INTERVAL = 3600.0
"""Seconds between clean-ups of the journal."""
REAP_INTERVAL = 5.0
"""Seconds between collections of dead processes that were left to us."""


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
        await asyncio.sleep(REAP_INTERVAL)
