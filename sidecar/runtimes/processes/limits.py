"""Marks that a process cannot drop by accident: what it inherits besides its environment.

Every process has the resource limits of its parent, whatever it execs, whatever session it leads
and whoever its parent becomes. Two of them mean nothing to Linux any more, see getrlimit(2), so
their soft values can name a sidecar and a turn.
"""

import functools
import logging
import os
import resource
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

from sidecar import metrics
from sidecar.runtimes.processes.environment import STATE, TURN

log = logging.getLogger(__name__)

RLIMIT_LOCKS = 10
"""From asm-generic/resource.h; Python has no name for it."""

_LIMITS = {
    STATE: (resource.RLIMIT_RSS, "Max resident set"),
    TURN: (RLIMIT_LOCKS, "Max file locks"),
}
"""The limit that holds a mark, and its name below /proc."""
_FIRST = 1 << 60
"""No limit that somebody chose is so high, and none of ours is lower."""

_starting = threading.Lock()


@contextmanager
def marked(env: Mapping[str, str]) -> Iterator[None]:
    """What is started inside has the marks of this environment in its limits, too.

    All that start processes in sessions of their own do it inside, also those without marks: the
    limits of this process are changed for that moment. Where that cannot be, nothing is marked.
    """
    with _starting:
        before = _present() if any(name in env for name in _LIMITS) and _can_mark() else {}
        try:
            for name, (_, hard) in before.items():
                if name in env:
                    resource.setrlimit(_LIMITS[name][0], (_value(env[name]), hard))
            yield
        finally:
            for name, limits in before.items():
                resource.setrlimit(_LIMITS[name][0], limits)


def carried(limits: bytes, marks: Mapping[str, str]) -> bool:
    """Whether the text of /proc/PID/limits holds all marks, and there are any."""
    return bool(marks) and all(
        b"%-25s %-20d " % (_LIMITS[name][1].encode("ascii"), _value(value)) in limits
        for name, value in marks.items()
    )


@functools.cache
def _can_mark() -> bool:
    """Whether these limits mean nothing, and may be changed as far as is wanted."""
    if sys.platform != "linux":
        return False
    if any(hard != resource.RLIM_INFINITY for _, hard in _present().values()):
        reason = "a limit of this process has no room for marks"
    else:
        try:
            for name, limits in _present().items():
                resource.setrlimit(_LIMITS[name][0], limits)
        except (OSError, ValueError) as error:  # also on kernels that only look like Linux
            reason = str(error)
        else:
            return True
    metrics.count("agents_unmarked_total")
    log.warning("what wipes its environment may outlive its turn: %s", reason)
    return False


def _present() -> dict[str, tuple[int, int]]:
    return {name: resource.getrlimit(limit) for name, (limit, _) in _LIMITS.items()}


def _value(mark: str) -> int:
    return _FIRST + int.from_bytes(sha256(os.fsencode(mark)).digest()[:7], "big")
