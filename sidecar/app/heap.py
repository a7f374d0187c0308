"""The memory of a process that runs for long, as far as the GNU C library manages it. With another
one, nothing of this is done."""

import ctypes
from functools import cache
from typing import Any

ARENA_MAX = -8
"""`M_ARENA_MAX` of https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def share_one_heap() -> None:
    """Let all threads allocate from one heap: what their own ones would hold is never given back.
    To be called before there are threads."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(ARENA_MAX, 1)


def give_back() -> None:
    """Give the free pages of the heap back to the system, which it does by itself only where no
    memory after them is used. Blocks, for a millisecond or less."""
    if (trim := _function("malloc_trim")) is not None:
        trim(ctypes.c_size_t(0))


@cache
def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
