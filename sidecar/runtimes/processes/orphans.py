"""Processes that lost their parent: those of this sidecar, and those of one that was killed."""

import ctypes
import functools
import os
import signal
import sys
import time
from pathlib import Path

from sidecar.runtimes.processes import tree
from sidecar.runtimes.processes.environment import STATE, state_mark
from sidecar.runtimes.processes.process import live

PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h, see prctl(2)."""
PAUSE = 0.01
"""Seconds between looks at processes that were told to end."""

_seen: set[tree.Member] = set()


@functools.cache
def adopt() -> bool:
    """Let orphans of our descendants become our children; False where that is not possible.

    Without it they go to the init process, and nobody knows any more where they came from.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def strays() -> list[int]:
    """Our children that nobody among us has started as a `Process`."""
    known = live()
    return [pid for pid in tree.own_children() if pid not in known]


def reap_strays() -> int:
    """Take away dead processes that were left to us; returns how many.

    To be called now and then. One is taken at the second look, so that the library that started
    it, if it is no orphan, has had the time to ask for its exit code.
    """
    dead = tree.find_dead(strays())
    taken = dead & _seen
    for member in taken:
        collect(member.pid)
    _seen.clear()
    _seen.update(dead - taken)
    return len(taken)


def collect(pid: int) -> None:
    """Take away one dead process, if it is our child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def sweep(state: Path, grace: float = 1.0) -> int:
    """End all processes of turns of the sidecar with this state folder; returns how many.

    They get SIGTERM, and after `grace` seconds SIGKILL. Only for one that holds the lock of the
    folder. Blocks.
    """
    marks = {STATE: state_mark(state)}
    found = tree.marked(marks)
    if not found:
        return 0
    tree.send(found, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(map(tree.is_alive, found)) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    tree.send(tree.marked(marks) | found, signal.SIGKILL)
    return len(found)
