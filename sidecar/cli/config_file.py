"""What the commands that take a config file share: the argument, and showing its problems."""

import argparse
import os
import sys
from pathlib import Path

from sidecar.app.load import Candidate, Ready
from sidecar.config.problems import render_text


def add_config(parser: argparse.ArgumentParser, default: str = "config.yaml") -> None:
    """Add the argument CONFIG."""
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        default=Path(default),
        metavar="CONFIG",
        help=f"the config file (default: {default})",
    )


def usable(candidate: Candidate) -> Ready | None:
    """What can run; problems are printed to standard error."""
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    if candidate.problems:
        print(render_text(candidate.problems, candidate.sources, colours=colours), file=sys.stderr)
    return candidate.ready
