"""Who may run next: slots are handed out in the order in which conversations became ready.

A conversation holds at most one place, so one with many waiting turns does not get ahead of
others. A runtime may have a limit of its own beside the limit of all.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Slots(Generic[Key]):
    """Counts running turns and keeps the conversations that wait, by runtime."""

    def __init__(self, total: int, per_runtime: Mapping[str, int]) -> None:
        self._total = total
        self._per_runtime = dict(per_runtime)
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, dict[Key, int]] = {}
        self._runtime_of: dict[Key, str] = {}
        self._order = count()

    def resize(self, total: int, per_runtime: Mapping[str, int]) -> None:
        """Take over new limits. What runs above them goes on; nothing new starts until it fits."""
        self._total = total
        self._per_runtime = dict(per_runtime)

    @property
    def running(self) -> int:
        """How many turns run."""
        return self._running.total()

    def wait(self, key: Key, runtime: str) -> None:
        """The conversation wants to run a turn on a runtime; it keeps the place that it has."""
        if self._runtime_of.get(key) != runtime:
            self.forget(key)
            self._runtime_of[key] = runtime
            self._waiting.setdefault(runtime, {})[key] = next(self._order)

    def forget(self, key: Key) -> None:
        """The conversation has nothing to run any more."""
        runtime = self._runtime_of.pop(key, None)
        if runtime is not None:
            del self._waiting[runtime][key]
            if not self._waiting[runtime]:
                del self._waiting[runtime]

    def next(self) -> Key | None:
        """The conversation whose turn may start now; its slot is taken. None: nobody's."""
        if self.running >= self._total:
            return None
        first: tuple[int, str, Key] | None = None
        for runtime, queue in self._waiting.items():
            if self._has_room(runtime):
                key, order = next(iter(queue.items()))  # dicts keep the order of arrival
                if first is None or order < first[0]:
                    first = (order, runtime, key)
        if first is None:
            return None
        _, runtime, key = first
        self.forget(key)
        self._running[runtime] += 1
        return key

    def release(self, runtime: str) -> None:
        """A turn on the runtime has ended."""
        self._running[runtime] -= 1
        if not self._running[runtime]:
            del self._running[runtime]

    def _has_room(self, runtime: str) -> bool:
        limit = self._per_runtime.get(runtime)
        return limit is None or self._running[runtime] < limit
