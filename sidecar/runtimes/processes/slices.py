"""How long one task may hold the event loop that never has to wait, such as a reader in a flood."""

import asyncio

LONGEST = 0.0005
"""Seconds for which a task holds the event loop."""
MOST_ROUNDS = 10
"""Rounds of the event loop that others get then, as long as they have something to do."""
QUIET = 0.0001
"""Seconds of a round in which nobody did anything."""


class Slice:
    """The time of one task, from its making on."""

    __slots__ = ("_loop", "_paused", "_since")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begin()

    def begin(self) -> None:
        """The task has waited: its time begins anew."""
        self._since = self._paused = self._loop.time()

    def pause(self) -> None:
        """The task asks for more, which may be there already."""
        self._paused = self._loop.time()

    def resume(self) -> None:
        """The task has it. What took long was waited for."""
        now = self._loop.time()
        if now - self._paused > LONGEST:
            self._since = now

    async def give_way(self) -> None:
        """Let others do what they have to do, if the time is over: not a step of theirs only, for
        that would make what takes many steps wait for as many slices."""
        if self._loop.time() - self._since <= LONGEST:
            return
        for _ in range(MOST_ROUNDS):
            before = self._loop.time()
            await asyncio.sleep(0)
            if self._loop.time() - before < QUIET:
                break
        self.begin()
