"""Writes that must not be lost because the journal refuses for a while, as with a full disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sidecar import metrics
from sidecar.errors import JournalError, OutcomeFinal

log = logging.getLogger(__name__)

WAIT = 5.0
"""Seconds between tries."""

T = TypeVar("T")


async def durably(write: Callable[[], Awaitable[T]]) -> T:
    """Write to the journal, again and again while it refuses.

    Raises:
        OutcomeFinal: the write makes no sense any more.
    """
    while True:
        try:
            return await write()
        except OutcomeFinal:
            raise
        except JournalError as error:
            metrics.count("journal_failures_total")
            log.error("%s; trying again in %.0f s", error, WAIT)  # noqa: TRY400 -- told
            await asyncio.sleep(WAIT)
