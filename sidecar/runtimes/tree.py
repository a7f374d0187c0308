"""Processes as Linux shows them below /proc. Elsewhere there is nothing to see.

A process is told from a later one with the same id by the time of its start.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

EXEC_WAIT = 0.1
"""Seconds in which an exec is over, also on a busy machine."""


class Member(NamedTuple):
    """One process. `started` is in clock ticks since the machine started."""

    pid: int
    started: int


class _Stat(NamedTuple):
    member: Member
    parent: int
    dead: bool


def own_children() -> list[int]:
    """The children of this process, those included that were left to it."""
    # Orphans come to the first thread of a process, which is also the one that runs the loop.
    me = os.getpid()
    return [int(pid) for pid in _read(f"/proc/{me}/task/{me}/children").split()]


def is_alive(member: Member) -> bool:
    """Whether the process still runs; a dead one that waits for its parent does not."""
    stat = _stat(member.pid)
    return stat is not None and stat.member == member and not stat.dead


def find_dead(pids: Iterable[int]) -> set[Member]:
    """Of these processes, the dead ones that nobody has waited for."""
    stats = map(_stat, pids)
    return {stat.member for stat in stats if stat is not None and stat.dead}


def family(root: int, marks: Mapping[str, str]) -> set[Member]:
    """The living descendants of a process, and all processes with all marks in their environment,
    with their descendants.

    The process itself is not among them. Reads much, and may wait a moment: call it in a thread.
    """
    stats = _all()
    found = _grown(stats, {root, *_marked(stats, marks)})
    return _living(stats, found - {root})


def lost(root: int, marks: Mapping[str, str]) -> set[Member]:
    """All processes with all marks in their environment, with their descendants, that are not
    descendants of the process any more: whoever started them has ended.

    Reads much, and may wait a moment: call it in a thread.
    """
    stats = _all()
    held = _grown(stats, {root})
    return _living(stats, _grown(stats, set(_marked(stats, marks)) - held) - held)


def marked(marks: Mapping[str, str]) -> set[Member]:
    """All processes with all marks in their environment, without this one and those above it.

    Reads much, and may wait a moment: call it in a thread.
    """
    stats = _all()
    above: set[int] = set()
    pid = os.getpid()
    while pid in stats and pid not in above:
        above.add(pid)
        pid = stats[pid].parent
    return {stats[pid].member for pid in _marked(stats, marks) if pid not in above}


def send(members: Iterable[Member], number: signal.Signals) -> None:
    """Send a signal to those that still run."""
    for member in members:
        if is_alive(member):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member.pid, number)


def _grown(stats: Mapping[int, _Stat], roots: set[int]) -> set[int]:
    """Processes and all their descendants."""
    found = grown = roots
    while grown:
        grown = {pid for pid, stat in stats.items() if stat.parent in grown} - found
        found = found | grown
    return found


def _living(stats: Mapping[int, _Stat], pids: Iterable[int]) -> set[Member]:
    living = (stats[pid] for pid in pids if pid in stats)
    return {stat.member for stat in living if not stat.dead}


def _marked(stats: Mapping[int, _Stat], marks: Mapping[str, str]) -> Iterator[int]:
    wanted = [os.fsencode(f"\0{name}={value}\0") for name, value in marks.items()]
    me = os.getpid()
    for pid, stat in stats.items():
        environment = _read(f"/proc/{pid}/environ")
        if not environment and stat.parent == me and not stat.dead:
            environment = _environment_soon(pid)
        if all(mark in b"\0" + environment for mark in wanted):
            yield pid


def _environment_soon(pid: int) -> bytes:
    """The environment of a child that seems to have none: in the midst of an exec, it is not there
    yet, although the parent that waited for the exec may have ended already."""
    deadline = time.monotonic() + EXEC_WAIT
    while time.monotonic() < deadline:
        time.sleep(0.001)
        if environment := _read(f"/proc/{pid}/environ"):
            return environment
    return b""


def _all() -> dict[int, _Stat]:
    found = {}
    with suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
                found[stat.member.pid] = stat
    return found


def _stat(pid: int) -> _Stat | None:
    # The name of the program, in parentheses, may hold spaces and parentheses: see proc(5).
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 20:
        return None
    dead = fields[0] in (b"Z", b"X")
    return _Stat(Member(pid, int(fields[19])), int(fields[1]), dead)


def _read(path: str) -> bytes:
    """A file of /proc; empty when it is not there or not ours. Never waits for a disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        pieces = []
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:  # it ended between the two calls
        return b""
    finally:
        os.close(descriptor)
