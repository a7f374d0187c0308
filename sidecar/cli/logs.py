"""`sidecar logs`: what the sidecar of a config logged to `log.file`."""

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sidecar.cli.config_file import add_config, drafted
from sidecar.cli.recorded import at_least_one
from sidecar.cli.screen import coloured
from sidecar.cli.table import printable
from sidecar.server.address import DEVELOPMENT, DEVELOPMENT_LOG

PAUSE = 0.2
"""Seconds between looks for more."""
COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
"""By level, at a terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--dev", action="store_true", help="what `sidecar dev` logged")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as more is logged")
    parser.add_argument("-n", "--lines", type=at_least_one, default=50,
                        metavar="N", help="the last lines (default: 50)")  # fmt: skip
    parser.add_argument("--turn", metavar="ID", help="only lines of this turn, however old")


def run(arguments: argparse.Namespace) -> int:
    """Print lines; 1 when there is no file, 2 for a config that cannot be read."""
    config = drafted(arguments.config)
    if config is None:
        return 2
    developed = config.state.dir / DEVELOPMENT / DEVELOPMENT_LOG
    file = developed if arguments.dev else config.log.file
    if file is None:
        dev = "; that of `sidecar dev` is meant with --dev" if developed.exists() else ""
        print(
            "sidecar: `log.file` is not set, so the log is on standard error: look with"
            f" `journalctl -u sidecar`, `kubectl logs`, or where you started it{dev}",
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
    with _opened(file) as stream:  # it is followed from where this ends
        if turn is None:
            found = _last(file, stream, arguments.lines)
        else:
            found = [line for line in _all(file, stream) if _is_of(line, turn)]
        for line in found:
            print(_for_people(line), end="")
        sys.stdout.flush()
        if arguments.follow:
            for line in _follow(file, stream):
                if turn is None or _is_of(line, turn):
                    print(_for_people(line), end="", flush=True)


def _opened(file: Path) -> TextIO:
    return file.open(encoding="utf-8", errors="replace")


def _old(file: Path) -> list[Path]:
    """The files that a log was rotated to, newest first."""
    return sorted(file.parent.glob(f"{file.name}.[0-9]*"), key=_number)


def _last(file: Path, stream: TextIO, count: int) -> Sequence[str]:
    """The last lines, of older files only as many as are missing."""
    found = deque(stream, count)
    for one in _old(file):
        if len(found) == count:
            break
        with _opened(one) as older:
            found.extendleft(reversed(deque(older, count - len(found))))
    return found


def _all(file: Path, stream: TextIO) -> Iterator[str]:
    """All lines that are kept, oldest first."""
    for one in reversed(_old(file)):
        with _opened(one) as older:
            yield from older
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


def _for_people(line: str) -> str:
    """A line as a terminal shows it: JSON as text. Programs get it as it is."""
    if not sys.stdout.isatty():
        return line
    try:
        told = json.loads(line)
        at = datetime.fromisoformat(told["ts"]).astimezone()
        facts = [f"{name}={value}" for name, value in told.get("context", {}).items()]
        level = coloured(f"{told['level']:<8}", COLOURS.get(told["level"], "0"), sys.stdout)
        words = printable(" ".join([told["msg"], *facts]))
        trace = printable(told.get("exc", "")).splitlines()
    except (ValueError, KeyError, TypeError, AttributeError):  # not a line of ours
        return printable(line)
    return "\n  ".join([f"{at:%Y-%m-%d %H:%M:%S} {level} {words}", *trace]) + "\n"


def _follow(file: Path, stream: TextIO) -> Iterator[str]:
    """What is added, also to the file that takes the place of a rotated one. Never ends."""
    rest = ""
    while True:
        rest += stream.readline()
        if rest.endswith("\n"):
            yield rest
            rest = ""
        elif not _is_current(stream, file):
            stream.close()
            stream = _opened(file)
        else:
            time.sleep(PAUSE)


def _is_current(stream: TextIO, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return True  # between two files
