"""Keeps to the Hub's limits for sending: at most so many in a window that slides along."""

import asyncio
from collections import deque

from sidecar.config.model import Rate

MARGIN = 0.5
"""Seconds added to a window: the Hub counts a message when it arrives, which is later."""
MOST_CONVERSATIONS = 1000
"""Conversations that are remembered; of more, those without a recent message are forgotten."""


class _Window:
    """Times of what was sent. `lock` lets one wait for room at a time, first come, first served."""

    def __init__(self, rate: Rate, margin: float) -> None:
        self.lock = asyncio.Lock()
        self._count = rate.count
        self._span = rate.window + margin
        self._times: deque[float] = deque()
        self._closed_until = 0.0

    async def room(self) -> None:
        """Return when one more may be sent."""
        while (wait := self.wait(_now())) > 0:  # noqa: ASYNC110 -- time alone makes room
            await asyncio.sleep(wait)

    def wait(self, now: float) -> float:
        """Seconds until one more may be sent."""
        while self._times and self._times[0] <= now - self._span:
            self._times.popleft()
        full = self._times[0] + self._span - now if len(self._times) >= self._count else 0.0
        return max(full, self._closed_until - now, 0.0)

    def take(self, now: float) -> None:
        """One more is sent."""
        self._times.append(now)

    def close(self, seconds: float | None, now: float) -> float:
        """Nothing may be sent for a while; the seconds of it.

        When the other side did not tell how long: until our own window has room. It may have
        already (the other side remembers more after a restart), then for a part of the window.
        """
        if seconds is None:
            seconds = self.wait(now) or self._span / 4
        self._closed_until = max(self._closed_until, now + seconds)
        return seconds

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return self.wait(_now()) == 0 and not self._times and not self.lock.locked()


class Pacer:
    """Lets messages pass as fast as both limits allow, in fair turns between conversations."""

    def __init__(self, total: Rate, per_conversation: Rate, *, margin: float = MARGIN) -> None:
        self._total = _Window(total, margin)
        self._per_conversation = per_conversation
        self._margin = margin
        self._windows: dict[str, _Window] = {}

    async def pass_one(self, conversation: str) -> None:
        """Return when a message into the conversation may be sent, which counts from then on."""
        window = self._window(conversation)
        async with window.lock:
            await window.room()
            # Each conversation has one message in this line, so that none can fill it.
            async with self._total.lock:
                await self._total.room()
                now = _now()
                self._total.take(now)
                window.take(now)

    def refused(self, wait: float | None) -> float:
        """The Hub wants no message for a while; how long, in seconds."""
        return self._total.close(wait, _now())

    def refused_in(self, conversation: str, wait: float | None) -> float:
        """The Hub wants no message into the conversation for a while; how long, in seconds."""
        return self._window(conversation).close(wait, _now())

    def _window(self, conversation: str) -> _Window:
        window = self._windows.get(conversation)
        if window is None:
            if len(self._windows) >= MOST_CONVERSATIONS:
                self._windows = {key: old for key, old in self._windows.items() if not old.idle}
            window = self._windows[conversation] = _Window(self._per_conversation, self._margin)
        return window


def _now() -> float:
    return asyncio.get_running_loop().time()
