"""Keeps to the Hub's limits for sending: at most so many in a window that slides along."""

import asyncio
import math
from collections import deque

from sidecar.config.model import Rate
from sidecar.errors import ReplyHeld

MARGIN = 0.5
"""Seconds added to a window: the Hub counts a message when it arrives, which is later."""
MOST_CONVERSATIONS = 1000
"""Conversations that are remembered; of more, those without a recent message are forgotten."""
LONGEST_HOLD = 1.0
"""Seconds for which a message waits here; for longer, it waits where it can be given up."""
LATEST = 5.0
"""Seconds by which a message may come back too late and still has its place in the line."""


class _Window:
    """Times of what was sent. `lock` lets one wait for room at a time, first come, first served."""

    def __init__(self, rate: Rate, margin: float) -> None:
        self.lock = asyncio.Lock()
        self._count = rate.count
        self._span = rate.window + margin
        self._times: deque[float] = deque()
        self._closed_until = 0.0

    def wait(self, now: float, ahead: int = 0) -> float:
        """Seconds until one more may be sent, when so many are sent before it."""
        while self._times and self._times[0] <= now - self._span:
            self._times.popleft()
        return max(self._full(now, ahead), self._closed_until - now, 0.0)

    def _full(self, now: float, ahead: int) -> float:
        later = ahead - (self._count - len(self._times))
        if later < 0:
            return 0.0
        rounds, place = divmod(later, self._count)
        freed = self._times[place] if place < len(self._times) else now
        return freed + self._span * (1 + rounds) - now

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
        self._line: dict[str, float] = {}

    async def pass_one(self, conversation: str) -> None:
        """Return when a message into the conversation may be sent, which counts from then on.

        Raises:
            ReplyHeld: it has to wait for longer than LONGEST_HOLD, and keeps its place in the line
                when it comes back after that.
        """
        window = self._window(conversation)
        async with window.lock:
            while (wait := self._wait(conversation, window)) > 0:
                await self._hold(conversation, wait)
            now = _now()
            self._line.pop(conversation, None)
            self._total.take(now)
            window.take(now)

    def _wait(self, conversation: str, window: _Window) -> float:
        now = _now()
        if (wait := window.wait(now)) > 0:
            self._line.pop(conversation, None)  # others can use what it cannot
            return wait
        return self._total.wait(now, self._ahead(conversation, now))

    def _ahead(self, conversation: str, now: float) -> int:
        """How many conversations are before this one in the line for what the total leaves.

        Each has one message in it, so that none can fill it.
        """
        for gone in [one for one, until in self._line.items() if until < now]:
            del self._line[gone]
        self._line[conversation] = math.inf  # one that comes back stays where it was
        return list(self._line).index(conversation)

    async def _hold(self, conversation: str, wait: float) -> None:
        if wait > LONGEST_HOLD:
            if conversation in self._line:
                self._line[conversation] = _now() + wait + LATEST
            raise ReplyHeld("the limits for sending leave no room for it yet", wait)
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._line.pop(conversation, None)
            raise

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
