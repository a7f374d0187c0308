"""Turns of one agent in this process: the real path from what it prints to events."""

import asyncio
import logging
import resource
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from sidecar.api import Host, Runtime, RuntimeType
from sidecar.model import Job, Prompt


@asynccontextmanager
async def runtime(
    kind: RuntimeType, options: Mapping[str, object], folder: Path
) -> AsyncIterator[Runtime]:
    """A runtime of a type, which logs errors only."""

    def no_http() -> ClientSession:
        raise NotImplementedError

    quiet = logging.getLogger(f"benchmarks.{kind.name}")
    quiet.setLevel(logging.ERROR)
    async with asyncio.TaskGroup() as group:

        def spawn(coroutine: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
            return group.create_task(coroutine, name=name)

        found = kind.build(options, Host(kind.name, quiet, folder, spawn, no_http))
        yield found
        await found.close()


def job(folder: Path) -> Job:
    """A turn of the owner's."""
    return Job("t1", "demo", Prompt("", "go"), folder, "owner")


def peak(*, anew: bool = False) -> float:
    """The largest memory of this process so far, in MiB; `anew`: from now on, where that works."""
    reset = Path("/proc/self/clear_refs")
    if anew and reset.exists():
        reset.write_text("5")  # see proc_pid_clear_refs(5)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)
