"""`sidecar migrate`: rewrite the deprecated keys of a config."""

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.config_file import add_config, show, whole_schema

if TYPE_CHECKING:
    from sidecar.config.schemas.schema import Schema


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--write", action="store_true", help="write the files, not only a diff")


def run(arguments: argparse.Namespace) -> int:
    """Print what changes, and write it with --write; 2 for what cannot be read, 1 when a file
    cannot be written or something is left for a person."""
    return migrate(arguments.config, whole_schema(), write=arguments.write)


def migrate(path: Path, schema: "Schema", *, write: bool) -> int:
    """Migrate a config and the files that it includes; the exit code."""
    from sidecar.app.checking.system import MachineSystem
    from sidecar.config.load import load
    from sidecar.config.problems import dotted
    from sidecar.config.rewriting.migrate import by_file, renames, rewritten

    found = load(path, MachineSystem(), schema)
    if found.source is None:
        show(found.problems, found.sources)
        return 2
    edits, left = renames(found.source.document, schema)
    for place in left:
        print(f"sidecar: {dotted(place)} is deprecated; change it by hand", file=sys.stderr)
    if not edits and not left:
        print(f"{path} needs no change: it is of version 1 and has no deprecated keys")
    try:
        for name, some in by_file(edits).items():
            with Path(name).open(encoding="utf-8", newline="") as file:
                before = file.read()
            after = rewritten(before, some)
            print("".join(_diff(name, before, after)), end="")
            if write:
                with Path(name).open("w", encoding="utf-8", newline="") as file:
                    file.write(after)
    except OSError as error:
        print(f"sidecar: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 1 if left else 0


def _diff(name: str, before: str, after: str) -> Iterator[str]:
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for line in difflib.unified_diff(*lines, name, name):
        yield line if line.endswith("\n") else f"{line}\n"
