"""`sidecar validate`: check a config, its templates included, and list all its problems."""

import argparse
import os
import sys

from sidecar.cli.config_file import add_config
from sidecar.config.problems import render_github, render_json, render_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the problems as a JSON list")
    form.add_argument(
        "--github", action="store_true", help="the problems as annotations of GitHub Actions"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when there are warnings")


def run(arguments: argparse.Namespace) -> int:
    """Check it; 2 for an invalid config, 1 for warnings with --strict."""
    from sidecar.app.check import check

    found = check(arguments.config)
    if arguments.json:
        print(render_json(found.problems))
    elif arguments.github:
        print(render_github(found.problems), end="\n" if found.problems else "")
    elif found.problems:
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(render_text(found.problems, found.sources, colours=colours))
    if found.config is None:
        return 2
    if not found.problems and not arguments.json and not arguments.github:
        print(f"{arguments.config} is valid")
    return 1 if found.problems and arguments.strict else 0
