"""Folders that are mounted read-only, also for root."""

import ctypes
import os
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

CLONE_NEWNS = 0x20000
"""Of unshare(2): mounts of this thread's own."""
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
"""Of mount(2)."""


def threads_that_cannot_write(folder: Path) -> ThreadPoolExecutor:
    """Threads for which a folder is mounted read-only, as the files of a Secret are in a pod."""
    pool = ThreadPoolExecutor(1, initializer=_mount, initargs=(os.fsencode(folder),))
    try:
        pool.submit(int).result()
    except BrokenExecutor:
        pytest.skip("mounts cannot be made here")
    return pool


def _mount(folder: bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for failed in (
        libc.unshare(CLONE_NEWNS),
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
        libc.mount(folder, folder, None, MS_BIND, None),
        libc.mount(b"none", folder, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None),
    ):
        if failed:
            raise OSError(ctypes.get_errno(), "mounts of its own")
