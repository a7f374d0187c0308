"""`sidecar stop`: stop the sidecar that runs with a config, as SIGTERM does."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from sidecar.cli.config_file import add_config, drafted
from sidecar.cli.running import HINT
from sidecar.server.address import DEVELOPMENT
from sidecar.store.lock import holder

PAUSE = 0.05
"""Seconds between looks."""
SLACK = 15.0
"""Seconds beyond `limits.drain_timeout` in which it must have ended."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument(
        "--now", action="store_true", help="cut running turns; they run again at the next start"
    )


def run(arguments: argparse.Namespace) -> int:
    """Return when it has ended; 1 when none runs, or it does not end."""
    config = drafted(arguments.config)
    if config is None:
        return 2
    state = config.state.dir
    try:
        found = [
            (folder, pid) for folder in (state, state / DEVELOPMENT) if (pid := holder(folder))
        ]
    except OSError as error:
        told = f"the state folder {state} cannot be looked at: {error.strerror or error}"
        print(f"sidecar: {told}", file=sys.stderr)
        return 1
    if not found:
        print(f"sidecar: none runs with the state folder {state}{HINT}", file=sys.stderr)
        return 1
    folder, pid = found[0]
    if sys.stdout.isatty() and not arguments.now:
        print(f"process {pid}: running turns may finish, for {config.limits.turns_drain:g} s")
    os.kill(pid, signal.SIGTERM)
    if arguments.now:  # by another signal: the same one again may come in one with the first
        os.kill(pid, signal.SIGINT)
    if _ended(folder, pid, config.limits.drain_timeout + SLACK):
        if sys.stdout.isatty():
            print(f"process {pid} has ended")
        return 0
    print(f"sidecar: process {pid} has not ended yet", file=sys.stderr)
    return 1


def _ended(folder: Path, pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holder(folder) != pid:
            return True
        time.sleep(PAUSE)
    return False
