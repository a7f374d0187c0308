"""What a process does about its memory."""

import asyncio
import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.app.lifecycle import chores, heap
from tests.patience import until

PAGE = os.sysconf("SC_PAGESIZE")
BLOCK = 2000
"""Bytes that neither Python's own allocator serves nor a mapping of their own."""
MOST_KEPT = 64
"""Of so many blocks one is kept, so that the end of the heap stays where it is."""


def resident() -> int:
    """The bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


gnu = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only the GNU C library can do it"
)


@gnu
async def test_what_a_start_leaves_free_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "AFTER_START", 0.01)
    monkeypatch.setattr(chores, "MEMORY_INTERVAL", 3600.0)
    blocks = [bytearray(BLOCK) for _ in range(32 << 10)]
    full = resident()
    blocks = blocks[::MOST_KEPT]
    assert full - resident() < 16 << 20, "the gaps are not there"
    task = asyncio.create_task(chores.stay_small())  # noqa: TID251 -- of a test
    await until(lambda: full - resident() >= 32 << 20)
    task.cancel()
    assert len(blocks) == 512


@gnu
async def test_what_a_burst_leaves_free_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def tick(interval: float) -> None:
        waits.append(interval)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(chores, "tick", tick)
    task = asyncio.create_task(chores.stay_small())  # noqa: TID251 -- of a test
    await until(lambda: chores.MEMORY_INTERVAL in waits)  # that of the start has been given back
    blocks = [bytearray(BLOCK) for _ in range(32 << 10)]
    full = resident()
    blocks = blocks[::MOST_KEPT]
    await until(lambda: full - resident() >= 32 << 20)
    task.cancel()
    assert len(blocks) == 512


def test_a_sidecar_does_without_what_aiohttp_loads_and_it_does_not_use() -> None:
    script = """if True:
        import os, sys
        from sidecar.cli import main
        before = dict(os.environ)
        assert main(["run", "/nowhere/config.yaml"]) == 2
        import aiohttp.web, mimetypes
        assert dict(os.environ) == before
        assert "frozenlist" in sys.modules and "frozenlist._frozenlist" not in sys.modules
        print(len(mimetypes.types_map))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300, "the system's list of types of files was read"


async def test_collections_stop_for_a_while_only() -> None:
    with heap.no_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    with heap.no_collections(most=0.01):  # what is waited for hangs
        await until(gc.isenabled)
    assert gc.isenabled()
