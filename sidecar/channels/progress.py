"""Shows a running turn to the owner in the Hub's dashboard."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar import metrics
from sidecar.api import Host
from sidecar.channels.hub import Hub
from sidecar.codecs.hub.botcord_blocks import BlockFeed
from sidecar.errors import ChannelError, ChannelUnavailable
from sidecar.model import Block

MOST_FAILURES = 3
"""Blocks in a row that the Hub does not take before no more are shown of the turn."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of progress, in seconds: between blocks, between signs of typing, and for `close`."""

    blocks: float = 0.2
    typing: float = 4.0
    close: float = 5.0


class OwnerProgress:
    """The progress of one turn. `open_hub` gives the Hub; `trace` is the owner's message."""

    def __init__(
        self,
        open_hub: Callable[[], Awaitable[Hub]],
        host: Host,
        room: str,
        trace: str,
        pace: Pace,
    ) -> None:
        self._open_hub = open_hub
        self._host = host
        self._room = room
        self._trace = trace
        self._pace = pace
        self._feed = BlockFeed()
        self._more = asyncio.Event()
        self._closing = asyncio.Event()
        self._typing = host.spawn(self._type(), f"typing:{host.name}")
        self._posting: asyncio.Task[None] | None = None

    def show(self, block: Block) -> None:
        """Queue a block; never waits. What is too much is left out."""
        if self._closing.is_set():
            return
        if not self._feed.add(block):
            metrics.count("progress_blocks_dropped_total", channel=self._host.name)
        self._more.set()
        if self._posting is None:
            self._posting = self._host.spawn(self._post(), f"progress:{self._host.name}")

    async def close(self, *, reply_follows: bool) -> None:
        """Return when what was queued is sent, or after `pace.close` seconds.

        A reply ends the turn on the dashboard; without one, that is told.
        """
        self._typing.cancel()
        self._closing.set()
        self._more.set()
        try:
            async with asyncio.timeout(self._pace.close):
                if self._posting is not None:
                    await asyncio.wait([self._posting])
                if not reply_follows:
                    await self._told(self._end())
        except TimeoutError:
            metrics.count("progress_failures_total", channel=self._host.name)
            self._host.log.info("the progress of a turn was not shown in time")
            if self._posting is not None:
                self._posting.cancel()

    async def _type(self) -> None:
        while True:
            wait = self._pace.typing
            try:
                hub = await self._open_hub()
                await hub.typing(self._room)
            except ChannelUnavailable as error:
                wait = max(wait, error.wait or 0.0)
            except ChannelError:
                return
            await asyncio.sleep(wait)

    async def _post(self) -> None:
        """Post blocks one after the other, so that they arrive in order."""
        failures = 0
        while failures < MOST_FAILURES:
            block = self._feed.take()
            if block is not None:
                failures = 0 if await self._told(self._show(block)) else failures + 1
                await self._rest()
            elif self._closing.is_set():
                return
            else:
                self._more.clear()
                await self._more.wait()

    async def _rest(self) -> None:
        """Let pieces of text gather, unless the turn is over."""
        try:
            async with asyncio.timeout(self._pace.blocks):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _show(self, block: dict[str, object]) -> None:
        hub = await self._open_hub()
        await hub.stream_block(self._trace, block)
        metrics.count("progress_blocks_total", channel=self._host.name)

    async def _end(self) -> None:
        hub = await self._open_hub()
        await hub.stream_end(self._trace)

    async def _told(self, request: Awaitable[None]) -> bool:
        """Whether a request worked. Progress is a courtesy: nothing else suffers when it fails."""
        try:
            await request
        except ChannelError as error:
            metrics.count("progress_failures_total", channel=self._host.name)
            self._host.log.info("progress cannot be shown: %s", error)
            return False
        return True
