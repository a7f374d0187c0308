"""Wakes those who wait for something on the Hub to become true."""

import asyncio
from collections.abc import Callable


class News:
    """Wakes those who wait for something to become true."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Let everybody who waits look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for the condition, at most `timeout` seconds; returns whether it holds."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    await self._event.wait()
        except TimeoutError:
            return condition()
        return True
