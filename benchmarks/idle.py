"""An idle sidecar with one connected channel: its memory and how long it takes to start."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import Figure, instant_program, milliseconds, report, resident, smoke
from benchmarks._world import world


def interpreter_start() -> float:
    """Seconds to start and end a bare Python; the best of five."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        times.append(time.perf_counter() - begin)
    return min(times)


async def measure(settle: float) -> int:
    bare = interpreter_start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with world(folder, instant_program(folder)) as found:
            await asyncio.sleep(settle)
            memory = resident(found.pid)
    return report(
        Figure("memory", f"{memory:.1f} MiB", memory, "MiB", goal=50),
        Figure("start to connected", milliseconds(found.start), found.start / bare, "x python"),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(measure(0.5 if smoke() else 3.0)))
