"""What the commands that take a config file share: the argument, and showing its problems."""

import argparse
import os
import sys
from collections.abc import Collection
from pathlib import Path

from sidecar.app.load import Candidate
from sidecar.config.model import Config
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


def usable(candidate: Candidate, *, without: Collection[str] = ()) -> Config | None:
    """What can run; problems, but those with a code in `without`, are printed to standard error."""
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    shown = [problem for problem in candidate.problems if problem.code not in without]
    if shown:
        print(render_text(shown, candidate.sources, colours=colours), file=sys.stderr)
    return candidate.config
