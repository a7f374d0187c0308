"""`sidecar init`: write a config to start from. A file that is there is never touched."""

import argparse
import sys
from pathlib import Path
from urllib.parse import quote

from sidecar.config.shipped import MAIN, STARTERS, folder, read_starter


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
    path: Path = arguments.path
    text = read_starter(arguments.template, _schema_for(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        print(f"sidecar: {path} is there already; nothing was written", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sidecar: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"wrote {path}; `sidecar validate {path}` checks it")
    return 0


def _schema_for(path: Path) -> str:
    """Where an editor finds the schema: by a relative path below the file's folder, which may move
    as a whole, else by an absolute one."""
    schema, here = folder().resolve() / MAIN, path.absolute().parent.resolve()
    if schema.is_relative_to(here):
        return f"./{quote(schema.relative_to(here).as_posix())}"
    return schema.as_uri()
