"""What the processes of a turn may take of the machine: memory, and a place behind others.

Both are set from outside right after the start, for code that runs in a child before its exec
would make every start slower. Until then, for a fraction of a millisecond, a process is free; what
it has started meanwhile keeps the memory limit from before, but stands back as its group does.
"""

import logging
import os
import resource
import sys
from collections.abc import Mapping
from typing import NamedTuple, Self, cast

from sidecar import metrics

log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """`memory` is in bytes, of each process alone: private memory that can be written to, which is
    what `RLIMIT_DATA` counts. The address space is not bounded, for some programs reserve much
    more of it than they use. `nice` is added to our own."""

    memory: int | None = None
    nice: int = 0

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Self:
        """Those in the options of a runtime."""
        memory, nice = options.get("memory_max"), options.get("nice")
        return cls(cast(int | None, memory), cast(int, nice or 0))

    def apply(self, pid: int) -> None:
        """Bound a process that leads a group, and what it starts from now on. One that is gone
        already is fine, and one that cannot be bounded runs all the same; the memory is bounded on
        Linux only."""
        try:
            self._apply(pid)
        except ProcessLookupError:
            return
        except (OSError, ValueError) as error:  # a program of another user, a kernel without it
            metrics.count("agents_unbounded_total")
            log.warning("process %d takes what it wants of the machine: %s", pid, error)

    def _apply(self, pid: int) -> None:
        if self.nice:
            nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + self.nice)
            os.setpriority(os.PRIO_PGRP, pid, nice)
        if self.memory is not None and sys.platform == "linux":
            _, hardest = resource.prlimit(pid, resource.RLIMIT_DATA)
            most = self.memory if hardest < 0 else min(self.memory, hardest)
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
