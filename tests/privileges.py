"""Permissions that count for root, too."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522
"""Of the structures of capset(2), whose first word of capabilities has the ones below."""
OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of capabilities(7): what modes of files forbid."""


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Have modes of files bind this thread, and those that it starts, whoever runs the tests."""
    if os.geteuid():
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "capset"):
        pytest.skip("root cannot lay down its rights here")
    head, before = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, before) == 0
    lowered = (ctypes.c_uint32 * 6)(before[0] & ~OVERRIDES, *before[1:])
    assert libc.capset(head, lowered) == 0
    try:
        yield
    finally:
        assert libc.capset(head, before) == 0
