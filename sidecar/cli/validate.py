"""`sidecar validate`: check configs, their templates included, and list all their problems."""

import argparse
import sys
from pathlib import Path

from sidecar.app.candidate import Candidate
from sidecar.cli.screen import wants_colours
from sidecar.config.problems import render_github, render_json, render_text

PIPE = "-"
"""Stands for standard input."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "configs",
        nargs="*",
        default=["config.yaml"],
        metavar="CONFIG",
        help="config files, `-` for standard input (default: config.yaml)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the problems as a JSON list")
    form.add_argument(
        "--github", action="store_true", help="the problems as annotations of GitHub Actions"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when there are warnings")


def run(arguments: argparse.Namespace) -> int:
    """Check each; 2 for an invalid config, 1 for warnings with --strict."""
    found = {name: _check(name) for name in arguments.configs}
    problems = [problem for one in found.values() for problem in one.problems]
    if arguments.json:
        print(render_json(problems))
    elif arguments.github:
        print(render_github(problems), end="\n" if problems else "")
    else:
        for name, one in found.items():
            _print(name, one)
    if any(one.config is None for one in found.values()):
        return 2
    return 1 if problems and arguments.strict else 0


def _check(name: str) -> Candidate:
    from sidecar.app.check import check
    from sidecar.app.system import PipedSystem

    if name != PIPE:
        return check(Path(name))
    piped = Path("<stdin>")
    return check(piped, PipedSystem(piped.absolute(), sys.stdin.buffer))


def _print(name: str, found: Candidate) -> None:
    if found.problems:
        colours = wants_colours(sys.stdout)
        print(render_text(found.problems, found.sources, colours=colours))
    elif found.config is not None:
        print(f"{'standard input' if name == PIPE else name} is valid")
