"""The memory of a process that runs for long."""

import ctypes

ARENA_MAX = -8
"""`M_ARENA_MAX` of https://man7.org/linux/man-pages/man3/mallopt.3.html"""


def share_one_heap() -> None:
    """Let all threads allocate from one heap, of the GNU C library alone: what their own ones would
    hold is never given back. To be called before there are threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ARENA_MAX, 1)
