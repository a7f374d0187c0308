"""Ends work that takes long once it is of no use any more."""

import threading
from collections.abc import Callable
from typing import Self

LONG = 5.0
"""Seconds that a check of a config may take, whatever is saved meanwhile; a usual one takes a tenth
of a second."""
LOOK = 0.5
"""Seconds between two looks whether it is of use, after that."""


class Overdue:
    """For a `with` around work: when that has taken `long` seconds and is `outdated`, calls `end`,
    and `cut` tells so."""

    def __init__(self, outdated: Callable[[], bool], end: Callable[[], None], long: float) -> None:
        self.cut = False
        self._outdated = outdated
        self._end = end
        self._long = long
        self._over = threading.Event()

    def __enter__(self) -> Self:
        # No exit waits for this thread: files may hang when they are looked at.
        threading.Thread(target=self._look, name="overdue", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        wait = self._long
        while not self._over.wait(wait):
            wait = LOOK
            if self._outdated() and not self._over.is_set():
                self.cut = True
                self._end()
                return
