"""`sidecar logs`: what the sidecar of a config logged to `log.file`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from sidecar.cli.config_file import add_config, drafted

PAUSE = 0.2
"""Seconds between looks for more."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on as more is logged")
    parser.add_argument("-n", "--lines", type=int, default=50, help="the last lines, 50 by default")
    parser.add_argument("--turn", metavar="ID", help="only lines of this turn, however old")


def run(arguments: argparse.Namespace) -> int:
    """Print lines; 1 when there is no file, 2 for a config that cannot be read."""
    config = drafted(arguments.config)
    if config is None:
        return 2
    file = config.log.file
    if file is None:
        print(
            "sidecar: `log.file` is not set, so the log is on standard error: look with"
            " `journalctl -u sidecar`, `kubectl logs`, or where you started it",
            file=sys.stderr,
        )
        return 1
    try:
        _show(file, arguments)
    except FileNotFoundError:
        print(f"sidecar: {file} does not exist yet", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _show(file: Path, arguments: argparse.Namespace) -> None:
    turn: str | None = arguments.turn
    found = [line for line in _kept(file) if turn is None or _is_of(line, turn)]
    print("".join(found if turn else found[-arguments.lines :]), end="", flush=True)
    if arguments.follow:
        for line in _follow(file):
            if turn is None or _is_of(line, turn):
                print(line, end="", flush=True)


def _kept(file: Path) -> Iterator[str]:
    """The lines of the file and of those that it was rotated to, oldest first."""
    old = sorted(file.parent.glob(f"{file.name}.[0-9]*"), key=_number, reverse=True)
    for one in (*old, file):
        with one.open(encoding="utf-8", errors="replace") as stream:
            yield from stream


def _number(path: Path) -> int:
    return int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0


def _is_of(line: str, turn: str) -> bool:
    """Whether a line belongs to a turn, whose id may be given by its beginning."""
    if not line.startswith("{"):
        return f"turn={turn}" in line
    try:
        context = json.loads(line).get("context", {})
    except (ValueError, AttributeError):
        return False
    return str(context.get("turn", "")).startswith(turn)


def _follow(file: Path) -> Iterator[str]:
    """What is added, also to the file that takes the place of a rotated one. Never ends."""
    stream = _at_end(file)
    rest = ""
    while True:
        rest += stream.readline()
        if rest.endswith("\n"):
            yield rest
            rest = ""
        elif not _is_current(stream, file):
            stream.close()
            stream = file.open(encoding="utf-8", errors="replace")
        else:
            time.sleep(PAUSE)


def _at_end(file: Path) -> TextIO:
    stream = file.open(encoding="utf-8", errors="replace")
    stream.seek(0, 2)
    return stream


def _is_current(stream: TextIO, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return True  # between two files
