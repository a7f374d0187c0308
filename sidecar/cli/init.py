"""`sidecar init`: write a config to start from. A file that is there is never touched."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sidecar.cli.new_file import schema_for, write_new
from sidecar.config.schemas.shipped import FOR_PODS, STARTERS, TESTS, beside_starter, read_starter


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path("config.yaml"),
        metavar="PATH",
        help="the file to write (default: config.yaml)",
    )
    parser.add_argument(
        "--template",
        choices=STARTERS,
        default=STARTERS[0],
        help=f"what it is for (default: {STARTERS[0]})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write it; 1 when there is such a file, or it cannot be written."""
    path, name = arguments.path, arguments.template
    code = write_new(path, lambda schema: read_starter(name, schema), elsewhere=name in FOR_PODS)
    if code == 0:
        _write_beside(path, beside_starter(name, schema_for(path, TESTS)))
    return code


def _write_beside(path: Path, texts: Mapping[str, str]) -> None:
    """Write what comes with a config; the tests are called like it. What is there stays."""
    for name, text in texts.items():
        file = path.parent / (f"{path.stem}.test.yaml" if name == "config.test.yaml" else name)
        try:
            file.parent.mkdir(exist_ok=True)
            with file.open("x", encoding="utf-8") as new:
                new.write(text)
            print(f"wrote {file}")
        except FileExistsError:
            print(f"sidecar: {file} is there already, and stays as it is", file=sys.stderr)
        except OSError as error:
            print(f"sidecar: {file} cannot be written: {error.strerror}", file=sys.stderr)
