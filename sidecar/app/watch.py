"""TEMPORARY polling stand-in."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path


def _digest(paths):
    h = hashlib.sha256()
    for p in sorted(paths):
        try:
            h.update(p.read_bytes())
        except OSError:
            h.update(b"-")
    return h.digest()


async def changes(
    inputs: Callable[[], frozenset[Path]], *, poll: float = 0.3
) -> AsyncIterator[None]:
    seen = await asyncio.to_thread(_digest, inputs())
    while True:
        await asyncio.sleep(poll)
        now = await asyncio.to_thread(_digest, inputs())
        if now != seen:
            seen = now
            yield None
            seen = await asyncio.to_thread(_digest, inputs())
