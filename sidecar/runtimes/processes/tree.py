"""Processes as Linux shows them below /proc. Elsewhere there is nothing to see.

A process is told from a later one with the same id by the time of its start. It has a mark when
that is in its environment, or, when it wiped that, in its limits (`limits`).
"""

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from sidecar.runtimes.processes.limits import carried


class Member(NamedTuple):
    """One process. `started` is in clock ticks since the machine started."""

    pid: int
    started: int


class _Stat(NamedTuple):
    member: Member
    parent: int
    session: int
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
    """The living descendants of a process, and all processes with all marks, with their
    descendants.

    The process itself is not among them. Reads much, and may wait a moment: call it in a thread.

    Raises:
        ValueError: there are no marks.
    """
    stats = _all()
    found = _grown(stats, {root, *_marked(stats, marks)})
    return _living(stats, found - {root})


def lost(root: int, marks: Mapping[str, str]) -> set[Member]:
    """All processes with all marks, with their descendants, that are not descendants of the
    process any more: whoever started them has ended.

    Reads much: call it in a thread.

    Raises:
        ValueError: there are no marks.
    """
    stats = _all()
    held = _grown(stats, {root})
    return _living(stats, _grown(stats, set(_marked(stats, marks)) - held) - held)


def marked(marks: Mapping[str, str]) -> set[Member]:
    """All processes with all marks, those in sessions of theirs, and the descendants of both,
    without this one, those above it, and its session.

    Reads much: call it in a thread.

    Raises:
        ValueError: there are no marks.
    """
    stats = _all()
    above: set[int] = set()
    pid = os.getpid()
    ours = stats[pid].session if pid in stats else pid
    while pid in stats and pid not in above:
        above.add(pid)
        pid = stats[pid].parent
    found = set(_marked(stats, marks)) - above
    sessions = {stats[pid].session for pid in found} - {ours}
    found |= {pid for pid, stat in stats.items() if stat.session in sessions}
    return _living(stats, _grown(stats, found - above) - above)


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
    if not marks:
        raise ValueError("without marks, every process of the machine would be one of ours")
    me = os.getpid()
    ours = stats[me].session if me in stats else me
    wanted = [os.fsencode(f"\0{name}={value}\0") for name, value in marks.items()]
    for pid, stat in stats.items():
        environment = b"\0" + _read(f"/proc/{pid}/environ")
        found = all(mark in environment for mark in wanted)
        # Agents get sessions of their own; what is in ours may have been started beside one.
        if not found and stat.session != ours:
            found = carried(_read(f"/proc/{pid}/limits"), marks)
        if found:
            yield pid


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
    return _Stat(Member(pid, int(fields[19])), int(fields[1]), int(fields[3]), dead)


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
