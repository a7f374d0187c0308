"""The end of a turn's processes: nothing that a turn has started outlives it."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from functools import partial

from sidecar.api import Spawn
from sidecar.runtimes.processes import tree
from sidecar.runtimes.processes.orphans import collect, strays
from sidecar.runtimes.processes.process import Process

KILL_WAIT = 1.0
"""Seconds in which a process is gone after SIGKILL, unless the kernel itself hangs."""
ROUNDS = 5
"""Times that the tree is looked through again for processes started while it was being ended."""
LONGEST_PAUSE = 0.05
"""Seconds between looks at processes that were told to end."""


def is_over(process: Process) -> bool:
    """Whether the process has ended and left nothing behind: a few microseconds to find out."""
    if not process.group_is_gone():
        return False
    return _no_strays()


async def finish(process: Process, marks: Mapping[str, str], grace: float, spawn: Spawn) -> bool:
    """Let go of a process, ending before what there is left of it; True when there was something.

    Once begun, the ending is finished even when the caller is cancelled.
    """
    if is_over(process):
        process.close()
        return False
    ending = spawn(end_tree(process, marks, grace), f"end:{process.pid}")
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        # Whatever comes next in this conversation must not begin beside it.
        await asyncio.wait([ending])
        raise
    return True


async def end_tree(process: Process, marks: Mapping[str, str], grace: float) -> None:
    """End a process and all that it started, then let go of it.

    All get SIGTERM, and after `grace` seconds SIGKILL: its group, its descendants, and whatever
    carries the marks. Cancelled, it kills at once.

    Raises:
        ValueError: there are no marks.
    """
    members: set[tree.Member] = set()
    try:
        for number, wait in (signal.SIGTERM, grace), *ROUNDS * [(signal.SIGKILL, KILL_WAIT)]:
            members |= await asyncio.to_thread(tree.family, process.pid, marks)
            if _gone(process, members):
                break
            process.send(number)
            tree.send(members, number)
            await _until_gone(process, members, wait)
    except asyncio.CancelledError:
        process.send(signal.SIGKILL)
        tree.send(members, signal.SIGKILL)
        raise
    finally:
        process.close()


async def end_lost(process: Process, marks: Mapping[str, str], grace: float) -> None:
    """End what a process has started and lost, and not what it holds as its child.

    They are told apart by the marks, and by their parents: orphans come to us.

    Raises:
        ValueError: there are no marks.
    """
    for number, wait in (signal.SIGTERM, grace), (signal.SIGKILL, KILL_WAIT):
        if _no_strays():
            return
        members = await asyncio.to_thread(tree.lost, process.pid, marks)
        tree.send(members, number)
        deadline = asyncio.get_running_loop().time() + wait
        await _until(partial(_none_alive, members), deadline)


async def _until_gone(process: Process, members: set[tree.Member], seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        await process.wait(deadline)
    except TimeoutError:
        return
    await _until(lambda: _gone(process, members), deadline)


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    """Wait for a condition, at most until a time of the event loop."""
    loop, pause = asyncio.get_running_loop(), 0.001
    while not condition() and loop.time() < deadline:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _gone(process: Process, members: set[tree.Member]) -> bool:
    none = _none_alive(members)
    return process.group_is_gone() and none


def _none_alive(members: set[tree.Member]) -> bool:
    """Whether all have ended. Takes away the dead that were left to us."""
    alive = [member for member in members if tree.is_alive(member)]
    for member in members.difference(alive):
        collect(member.pid)
    return not alive


def _no_strays() -> bool:
    left = strays()
    return not left or len(tree.find_dead(left)) == len(left)
