"""Runs every benchmark in a process of its own, several times with `--runs`, and tells the medians.

With `--write` the figures go into `docs/performance.md` and `docs/performance.json`, and the
curves into pictures beside them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = (
    "turn",
    "throughput",
    "growth",
    "waiting",
    "blocks",
    "render",
    "warm",
    "routing",
    "ndjson",
    "longline",
    "flood",
    "journal",
    "idle",
    "reload",
)

Result = dict[str, Any]
"""What `_measure.report` writes: figures and curves."""


def run(name: str, smoke: bool) -> tuple[bool, Result]:
    """One run: whether it reached its goals, and what it found."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "result.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--smoke"] if smoke else [])]
        env = {**os.environ, "BENCH_RESULT": str(place)}
        done = subprocess.run(command, check=False, env=env)
        found = json.loads(place.read_text()) if place.exists() else {"figures": [], "curves": []}
    return done.returncode == 0, found


def median(results: list[Result]) -> Result:
    """Of each figure the run whose ratio is the median, of each curve the medians of its points."""
    figures = []
    for same in zip(*(result["figures"] for result in results), strict=True):
        ordered = sorted(same, key=lambda figure: figure["ratio"])
        ratios = [figure["ratio"] for figure in ordered]
        middle = dict(ordered[len(ordered) // 2], ratio=statistics.median(ratios))
        figures.append({**middle, "least_of_runs": ratios[0], "most_of_runs": ratios[-1]})
    curves = []
    for alike in zip(*(result["curves"] for result in results), strict=True):
        points = zip(*(curve["points"] for curve in alike), strict=True)
        middle_points = [(at[0][0], statistics.median(y for _, y in at)) for at in points]
        curves.append({**alike[0], "points": middle_points})
    return {"figures": figures, "curves": curves, "runs": len(results)}


def met(figure: Result) -> bool:
    """Whether the median reaches the goal; true without one."""
    if figure["goal"] is None:
        return True
    ratio, goal = figure["ratio"], figure["goal"]
    return bool(ratio >= goal if figure["least"] else ratio <= goal)


def main() -> int:
    """Run what is asked for; 1 when a goal is missed, or a run failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="short runs, without goals")
    parser.add_argument("--runs", type=int, default=1, help="runs of each, of which medians count")
    parser.add_argument("--write", action="store_true", help="renew docs/performance.*")
    given = parser.parse_args()
    found, failed = {}, []
    for name in given.names or NAMES:
        print(f"{name}:", flush=True)
        runs = [run(name, given.smoke) for _ in range(given.runs)]
        complete = [result for _, result in runs if result["figures"]]
        if complete:
            found[name] = median(complete)
        right = all(map(met, found[name]["figures"])) if complete and given.runs > 1 else runs[0][0]
        if not right:
            failed.append(name)
    if given.write:
        from benchmarks import _page  # needs matplotlib, which `make performance` installs

        _page.write(found)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
