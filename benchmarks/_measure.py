"""What the benchmarks share: the floors, the figures, and how they are printed."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """\
#!/bin/sh
echo '{"type":"text","text":"done by '$$'"}'
echo '{"type":"result"}'
"""


def smoke() -> bool:
    """Whether a short run is asked for."""
    return "--smoke" in sys.argv[1:]


def instant_program(folder: Path) -> Path:
    """A program that answers at once and exits: compiled C, a shell script without a compiler."""
    program = folder / "instant"
    compiler = shutil.which("cc")
    if compiler:
        source = Path(__file__).with_name("instant.c")
        subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    else:
        program.write_text(SCRIPT)
        program.chmod(0o700)
    return program


def spawn_times(program: Path, count: int) -> list[float]:
    """Seconds from starting the program to its end, each; its output goes nowhere."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        pid = os.posix_spawn(program, [str(program)], os.environ, file_actions=nowhere)
        os.waitpid(pid, 0)
        times.append(time.perf_counter() - begin)
    return times


def quantile(times: Sequence[float], share: float) -> float:
    """The value that the share of all values does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def resident(pid: int) -> float:
    """The memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True)
    return int(shown.stdout) / 1024


@dataclass(frozen=True, slots=True)
class Figure:
    """One result. `goal` is a bound of `ratio`: at most, or with `least` at least."""

    name: str
    value: str
    ratio: float
    unit: str
    goal: float | None = None
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached; true without a goal."""
        if self.goal is None:
            return True
        return self.ratio >= self.goal if self.least else self.ratio <= self.goal


def milliseconds(seconds: float) -> str:
    """A time to print."""
    return f"{seconds * 1000:.2f} ms"


def report(*figures: Figure) -> int:
    """Print the figures; 1 when a goal is missed in a long run, else 0."""
    for figure in figures:
        line = f"  {figure.name:<28} {figure.value:>12}  {figure.ratio:>8.2f} {figure.unit}"
        if figure.goal is not None:
            line += f"  (goal: {'at least' if figure.least else 'at most'} {figure.goal:g}"
            line += ")" if smoke() else ", met)" if figure.met else ", MISSED)"
        print(line, flush=True)
    return int(not smoke() and not all(figure.met for figure in figures))


def floor(times: Sequence[float]) -> float:
    """The median of the floor's times, printed."""
    median = statistics.median(times)
    print(f"  floor: {milliseconds(median)} (p99 {milliseconds(quantile(times, 0.99))})")
    return median
