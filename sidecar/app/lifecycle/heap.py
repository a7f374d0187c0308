"""The memory of a process that runs for long. With another C library than GNU's, what is told to it
here is not done."""

import asyncio
import ctypes
import gc
import mimetypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

ARENA_MAX = -8
"""`M_ARENA_MAX` of https://man7.org/linux/man-pages/man3/mallopt.3.html"""

NO_EXTENSION = "FROZENLIST_NO_EXTENSIONS"
"""What https://github.com/aio-libs/frozenlist looks for in the environment."""


def share_one_heap() -> None:
    """Let all threads allocate from one heap: what their own ones would hold is never given back.
    To be called before there are threads."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(ARENA_MAX, 1)


def leave_out() -> None:
    """Have aiohttp, which is to be imported later, do without 0.9 MiB that nothing here uses.

    These are the C++ library, which only one of its lists is written in, and the system's
    list of types of files, which are not served here. To be called before there are threads.
    """
    mimetypes.knownfiles.clear()
    if NO_EXTENSION not in os.environ:
        os.environ[NO_EXTENSION] = "1"
        import_module("frozenlist")
        del os.environ[NO_EXTENSION]


def give_back() -> None:
    """Give the free pages of the heap back to the system, which it does by itself only where no
    memory after them is used. Blocks, for a millisecond or less."""
    if (trim := _function("malloc_trim")) is not None:
        trim(ctypes.c_size_t(0))


def collect_new() -> None:
    """Collect the garbage among new objects, of which there are very many. For a thread: on the
    loop, a collection after `no_collections` comes on top of what that does there, with 10,000 new
    routes for 15 instead of 7 ms."""
    gc.collect(0)


@contextmanager
def no_collections(most: float = 5.0) -> Iterator[None]:
    """Collect no garbage: very many new objects, such as thousands of routes, would set off one
    collection after the other, each of which holds up everything. After `most` seconds something is
    waited for that hangs, and garbage of turns must not pile up meanwhile."""
    gc.disable()
    timer = asyncio.get_running_loop().call_later(most, gc.enable)
    try:
        yield
    finally:
        timer.cancel()
        gc.enable()


@cache
def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
