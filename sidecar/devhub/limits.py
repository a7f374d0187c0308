"""The Hub's limits and clocks, and the sliding window that counts against them."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

Generation = Literal["0.1.1", "today"]
"""Which Hub is played: the one that shipped with daemon 0.1.1, or the one of today."""


@dataclass(frozen=True, slots=True)
class HubLimits:
    """What the Hub allows, in counts and seconds.

    The defaults are those of today's Hub; the generation 0.1.1 sent heartbeats every 30 s and
    closed a silent socket after 90 s. The four rates (messages of an agent, messages of an agent
    to one target, signs of typing, notices to the owner) count within `rate_window`. A fetched
    message is hidden for `lease`; leases that ran out are looked for every `sweep`. `long_poll` is
    the longest wait that a poll may ask for, `idle` the longest silence of a client on its socket.
    """

    sends_per_minute: int = 20
    sends_per_pair: int = 10
    typing_per_minute: int = 20
    notices_per_minute: int = 10
    rate_window: float = 60.0
    duplicate_window: float = 300.0
    clock_skew: float = 300.0
    lease: float = 120.0
    sweep: float = 30.0
    long_poll: float = 30.0
    heartbeat: float = 15.0
    idle: float = 60.0
    auth_timeout: float = 10.0
    token_ttl: float = 86400.0
    blocks_per_trace: int = 200
    typing_interval: float = 2.0


class SlidingWindow:
    """At most `count` events per key within any `window` seconds."""

    def __init__(self, count: int, window: float) -> None:
        self._count = count
        self._window = window
        self._times: dict[str, deque[float]] = {}

    def take(self, key: str, now: float) -> float:
        """Take a place and return 0, or return the seconds until the next place is free."""
        times = self._times.setdefault(key, deque())
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) < self._count:
            times.append(now)
            return 0.0
        return times[0] + self._window - now if times else self._window
