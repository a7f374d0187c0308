"""`sidecar validate`: check configs, their templates included, and list all their problems."""

import argparse
import os
import sys
from pathlib import Path

from sidecar.app.checking.candidate import Candidate
from sidecar.cli.config_file import begin_with, no_config, of_the_machine
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
    parser.add_argument(
        "--no-env",
        action="store_true",
        help="check for another machine: without environment variables, and whatever folders, "
        "commands and files of secrets this one lacks",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when there are warnings")


def run(arguments: argparse.Namespace) -> int:
    """Check each; 2 for an invalid config, 1 for warnings with --strict."""
    found = {name: _check(name, offline=arguments.no_env) for name in arguments.configs}
    problems = [problem for one in found.values() for problem in one.problems]
    if arguments.json:
        print(render_json(problems))
    elif arguments.github:
        print(render_github(problems), end="\n" if problems else "")
    else:
        for name, one in found.items():
            _print(name, one, offline=arguments.no_env)
    if any(one.config is None for one in found.values()):
        return 2
    return 1 if problems and arguments.strict else 0


def _check(name: str, *, offline: bool) -> Candidate:
    from sidecar.app.checking.check import check
    from sidecar.app.checking.system import MachineSystem, PipedSystem

    env = {} if offline else os.environ
    path, system = Path(name), MachineSystem(env)
    if name == PIPE:
        path = Path("<stdin>")
        system = PipedSystem(path.absolute(), sys.stdin.buffer, env)
    if offline:  # what a control plane set is not in there, nor anything else
        return check(path, system, inside=os.devnull, leave_out=of_the_machine)
    return check(path, system)


def _print(name: str, found: Candidate, *, offline: bool) -> None:
    if found.problems:
        colours = wants_colours(sys.stdout)
        print(render_text(found.problems, found.sources, colours=colours))
    if found.config is not None:
        warnings = len(found.problems)
        noun = "warning" if warnings == 1 else "warnings"
        told = f", with {warnings} {noun}" if warnings else ""
        told += ", as far as it does not depend on its machine" if offline else ""
        print(f"{'standard input' if name == PIPE else name} is valid{told}")
    elif (path := no_config(found.problems)) is not None:
        print(begin_with(path))
