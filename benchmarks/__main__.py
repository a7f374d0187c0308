"""Runs every benchmark in a process of its own."""

import subprocess
import sys

NAMES = (
    "turn",
    "render",
    "warm",
    "throughput",
    "routing",
    "ndjson",
    "longline",
    "journal",
    "idle",
    "reload",
)

if __name__ == "__main__":
    failed = []
    for name in NAMES:
        print(f"{name}:", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
