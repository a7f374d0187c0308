"""One line of 64 MiB from an agent: its time against just reading it, and the memory it takes."""

import asyncio
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

from aiohttp import ClientSession

from benchmarks._measure import Figure, milliseconds, report, smoke
from sidecar.api import Host
from sidecar.model import Job, Prompt, TurnEnded
from sidecar.runtimes.command import COMMAND

CHUNK = 1 << 16
AGENT = """\
import os, sys
os.write(1, b'{"type":"text","text":"')
for _ in range(int(sys.argv[1])):
    os.write(1, b"x" * 65536)
os.write(1, b'"}\\n{"type":"text","text":"done"}\\n{"type":"result"}\\n')
"""


def argv(size: int) -> list[str]:
    """An agent that prints one line of `size` bytes and an answer."""
    return [sys.executable, "-I", "-S", "-c", AGENT, str(size // CHUNK)]


def read_time(size: int) -> float:
    """Seconds to read what the agent prints, and to do nothing with it."""
    begin = time.perf_counter()
    with subprocess.Popen(argv(size), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while os.read(child.stdout.fileno(), CHUNK):
            pass
    return time.perf_counter() - begin


def peak() -> float:
    """The largest memory of this process so far, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


async def turn(folder: Path, size: int) -> float:
    """Run one turn of that agent; its seconds."""

    def no_http() -> ClientSession:
        raise NotImplementedError

    quiet = logging.getLogger("longline")
    quiet.setLevel(logging.ERROR)  # that a line was left out is known here
    async with asyncio.TaskGroup() as group:

        def spawn(coroutine: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
            return group.create_task(coroutine, name=name)

        host = Host("longline", quiet, folder, spawn, no_http)
        runtime = COMMAND.build({"command": argv(size), "protocol": "ndjson"}, host)
        job = Job("t1", "demo", Prompt("", "go"), folder, "owner")
        begin = time.perf_counter()
        events = [event async for event in runtime.run(job)]
        seconds = time.perf_counter() - begin
        await runtime.close()
    ended = events[-1]
    if not isinstance(ended, TurnEnded) or ended.failure or not ended.text.endswith("done"):
        sys.exit(f"the turn went wrong: {str(ended)[:200]}")
    return seconds


async def measure(size: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await turn(folder, CHUNK)  # warms up
        before = peak()
        seconds = min([await turn(folder, size) for _ in range(3)])
        grown = peak() - before
    least = min(read_time(size) for _ in range(3))
    print(f"  floor: {milliseconds(least)} to read {size >> 20} MiB")
    return report(
        Figure("turn", milliseconds(seconds), seconds / least, "x floor"),
        Figure("turn, in seconds", milliseconds(seconds), seconds, "s", goal=0.2),
        Figure("memory, more than before", f"{grown:.1f} MiB", grown, "MiB", goal=8),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(1 << 22 if smoke() else 1 << 26)))
