"""The descriptors between us and a child: pipes, and one that tells its exit."""

import asyncio
import fcntl
import os
import sys
from contextlib import suppress

PIPE_MOST = 1 << 20
"""Bytes that a pipe can hold at most, where the system is as it comes."""


class Descriptor:
    """A descriptor of ours that the event loop may watch; -1 once it is closed."""

    __slots__ = ("_loop", "number")

    def __init__(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        self._loop = loop
        self.number = number

    @property
    def is_open(self) -> bool:
        """Whether it is not closed yet."""
        return self.number >= 0

    def close(self) -> None:
        """Close it, once."""
        if self.is_open:
            self._loop.remove_reader(self.number)
            self._loop.remove_writer(self.number)
            os.close(self.number)
            self.number = -1


def child_pipes() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Three pipes for a child: its ends, and ours, which never block."""
    open_: list[int] = []
    try:
        for _ in range(3):
            open_ += os.pipe()
    except OSError:
        for end in open_:
            os.close(end)
        raise
    in_read, in_write, out_read, out_write, err_read, err_write = open_
    _widen(out_write)
    ours = (in_write, out_read, err_read)
    for end in ours:
        os.set_blocking(end, False)
    return (in_read, out_write, err_write), ours


def _widen(end: int) -> None:
    """Let a pipe hold as much as it can: Gemini CLI loses what its pipe does not hold at its exit,
    its last word included, after it has printed a prompt of 200 KB."""
    if sys.platform == "linux":
        with suppress(OSError):  # this user has many such pipes: it holds less
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_MOST)


def exit_descriptor(pid: int) -> int:
    """A descriptor that becomes readable when the process exits; -1 where there is none."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.pidfd_open(pid)
    return -1
