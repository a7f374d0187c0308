"""What the benchmarks share: the floors, the figures, and how they are told."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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


def peak_of(pid: int, *, anew: bool = False) -> float:
    """The largest memory of a process so far, in MiB, or where that is not known what it has now;
    `anew`: from now on."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return resident(pid)
    if anew:
        status.with_name("clear_refs").write_text("5")  # see proc_pid_clear_refs(5)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def cpu_time(pid: int) -> float:
    """Seconds of a processor that a process has taken, without its children, on Linux."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


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


@dataclass(frozen=True, slots=True)
class Curve:
    """How a figure grows: for each amount of something, how many times the one of the least, and
    the bound of that."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    goal: float | None = 1.1


def report(*figures: Figure, curves: Sequence[Curve] = ()) -> int:
    """Print the figures; 1 when a goal is missed in a long run, else 0.

    With `BENCH_RESULT` in the environment, they are added to that file as JSON.
    """
    if place := os.environ.get("BENCH_RESULT"):
        file = Path(place)
        told = json.loads(file.read_text()) if file.exists() else {"figures": [], "curves": []}
        told["figures"] += map(asdict, figures)
        told["curves"] += map(asdict, curves)
        file.write_text(json.dumps(told))
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
