"""How long an event loop did not look at its sockets and timers, measured in its own process.

`python -m benchmarks._stalls FILE run config.yaml` is a sidecar that notes it in a file: the
longest such time, and for how much of it the loop's thread had a processor. In the rest it waited,
for the machine or for another thread.
"""

import mmap
import selectors
import struct
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, milliseconds

NOTED = struct.Struct("dd")
Stall = tuple[float, float]
"""Seconds, and those of a processor in it."""


class Stalls:
    """What is noted in a file, which is made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(NOTED.size))
        self._noted = _mapped(path)

    def anew(self) -> None:
        """Forget what was noted so far."""
        NOTED.pack_into(self._noted, 0, 0.0, 0.0)

    @property
    def longest(self) -> Stall:
        """The longest one since."""
        seconds, busy = NOTED.unpack_from(self._noted)
        return seconds, busy


def stall(*noted: Stall) -> Figure:
    """The figure of the longest one."""
    seconds, busy = max(noted)
    told = f"{milliseconds(seconds)}, {milliseconds(busy)} busy"
    return Figure("loop, longest stall", told, seconds * 1000, "ms", goal=50)


def of_this_process() -> Stalls:
    """What is noted of the event loops that are made in this process from now on."""
    with tempfile.TemporaryDirectory() as folder:
        stalls = Stalls(Path(folder) / "stalls")
        note(stalls.path)
    return stalls


def note(path: Path) -> None:
    """Have each event loop that is made in this process from now on note in the file."""
    noted = _mapped(path)

    class Noting(selectors.DefaultSelector):
        left = 0.0, 0.0

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            before, busy = self.left
            took = time.perf_counter() - before
            if before and took > NOTED.unpack_from(noted)[0]:
                NOTED.pack_into(noted, 0, took, time.thread_time() - busy)
            try:
                return super().select(timeout)
            finally:
                self.left = time.perf_counter(), time.thread_time()

    selectors.DefaultSelector = Noting  # type: ignore[misc]


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), NOTED.size)


if __name__ == "__main__":
    note(Path(sys.argv.pop(1)))
    from sidecar.cli import main

    sys.exit(main())
