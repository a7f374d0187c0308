"""How long an event loop did not look at its sockets and timers, measured in its own process.

`python -m benchmarks._stalls FILE run config.yaml` is a sidecar that notes it in a file: the
longest such time.
"""

import mmap
import selectors
import struct
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, milliseconds

NOTED = struct.Struct("d")


class Stalls:
    """What is noted in a file, which is made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(NOTED.size))
        self._noted = _mapped(path)

    def anew(self) -> None:
        """Forget what was noted so far."""
        NOTED.pack_into(self._noted, 0, 0.0)

    @property
    def longest(self) -> float:
        """Seconds of the longest one since."""
        seconds: float = NOTED.unpack_from(self._noted)[0]
        return seconds


def stall(*noted: float) -> Figure:
    """The figure of the longest of some."""
    seconds = max(noted)
    return Figure("loop, longest stall", milliseconds(seconds), seconds * 1000, "ms", goal=50)


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
        left = 0.0

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            took = time.perf_counter() - self.left
            if self.left and took > NOTED.unpack_from(noted)[0]:
                NOTED.pack_into(noted, 0, took)
            try:
                return super().select(timeout)
            finally:
                self.left = time.perf_counter()

    selectors.DefaultSelector = Noting  # type: ignore[misc]


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), NOTED.size)


if __name__ == "__main__":
    note(Path(sys.argv.pop(1)))
    from sidecar.cli import main

    sys.exit(main())
