"""Work on many items at once on all processors, by forks of this process."""

import os
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4
"""Processes, this one included."""
FEW = 50
"""Items that are not worth a fork."""


def in_forks(work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` gives for each share of the items; a share whose fork fails is left out.

    Only for a process without other threads: a fork has none of them, but the locks they hold.
    What is printed meanwhile, or at the exit, is printed once. Raises what `work` raises here.
    """
    count = max(1, min(MOST, _processors(), len(items) // FEW))
    shares = [items[start::count] for start in range(count)]
    forks = [one for one in (_begin(work, share) for share in shares[1:]) if one is not None]
    try:
        results = [work(shares[0])]
    finally:
        answers = [_end(pid, pipe) for pid, pipe in forks]
    return results + [pickle.loads(answer) for answer in answers if answer]  # noqa: S301 -- ours


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(
    work: Callable[[Sequence[Item]], Result], share: Sequence[Item]
) -> tuple[int, int] | None:
    """The id of a fork that works on a share, and where its answer comes; None without one."""
    ours, theirs = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # too many processes
        os.close(ours)
        os.close(theirs)
        return None
    if pid:
        os.close(theirs)
        return pid, ours
    code = 1
    with suppress(BaseException):  # the process that began it does without the share
        os.close(ours)
        with os.fdopen(theirs, "wb") as answer:
            answer.write(pickle.dumps(work(share)))
        code = 0
    os._exit(code)


def _end(pid: int, pipe: int) -> bytes:
    """The answer of a fork that worked to its end, else nothing."""
    with os.fdopen(pipe, "rb") as answer:
        told = answer.read()
    _, status = os.waitpid(pid, 0)
    return told if status == 0 else b""
