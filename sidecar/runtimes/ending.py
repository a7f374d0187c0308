"""The end of a turn's processes: nothing that a turn has started outlives it."""

import asyncio
import signal
from collections.abc import Mapping

from sidecar.api import Spawn
from sidecar.runtimes import tree
from sidecar.runtimes.orphans import collect, strays
from sidecar.runtimes.process import Process

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
    left = strays()
    return not left or len(tree.find_dead(left)) == len(left)


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
    carries the marks in its environment. Cancelled, it kills at once.
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


async def _until_gone(process: Process, members: set[tree.Member], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, 0.001
    try:
        await process.wait(deadline)
    except TimeoutError:
        return
    while not _gone(process, members) and loop.time() < deadline:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _gone(process: Process, members: set[tree.Member]) -> bool:
    alive = [member for member in members if tree.is_alive(member)]
    for member in members.difference(alive):
        collect(member.pid)
    return process.group_is_gone() and not alive
