"""What the commands share that look into the journal, or act on what is in it: their arguments,
the way to the journal and the way to the running sidecar."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar
from urllib.parse import quote

from sidecar.cli.config_file import drafted
from sidecar.cli.running import NotRunning, Refused, ask
from sidecar.cli.screen import show
from sidecar.cli.table import Table
from sidecar.config.model import Config
from sidecar.errors import ActionRefused, JournalError, StateLocked
from sidecar.server.address import DEVELOPMENT

T = TypeVar("T")


def common() -> argparse.ArgumentParser:
    """The arguments of each action."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE",
                        help="the config file (default: config.yaml)")  # fmt: skip
    parser.add_argument("--dev", action="store_true", help="what `sidecar dev` has recorded")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def limited(parser: argparse.ArgumentParser) -> None:
    """Add the argument of lists."""
    parser.add_argument("--limit", type=at_least_one, default=20, metavar="N",
                        help="how many are shown at most (default: 20)")  # fmt: skip


def look(arguments: argparse.Namespace, find: Callable[[Connection], T]) -> T | int:
    """What is found in the journal, whether a sidecar runs or not; an exit code where it cannot be
    read, which has been told."""
    from sidecar.store.listing import reader

    config = configured(arguments)
    if config is None:
        return 2
    try:
        with reader(config.state.dir) as connection:
            return find(connection)
    except JournalError as error:
        return failed(f"{error}{elsewhere(config)}")


def listed(
    arguments: argparse.Namespace,
    find: Callable[[Connection], list[dict[str, Any]]],
    head: tuple[str, ...],
    row: Callable[[dict[str, Any], float], tuple[str, ...]],
) -> int:
    """Print what is found, as a table or as JSON; the exit code.

    `row` makes a line of an entry and the present time, in seconds since the epoch.
    """
    found = look(arguments, find)
    if isinstance(found, int):
        return found
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    now = time.time()
    show([Table(head, [row(one, now) for one in found])])
    return 0


def act(arguments: argparse.Namespace, kind: str, told: Callable[[dict[str, Any]], str]) -> int:
    """Have the running sidecar do `arguments.action` to `arguments.target`, or do it to the journal
    where none runs; the exit code.

    `told` are the words for what was done.
    """
    config = configured(arguments)
    if config is None:
        return 2
    path, later = f"/-/{kind}/{quote(arguments.target, safe='')}/{arguments.action}", ""
    try:
        done = ask(config, f"POST {path}")
    except Refused as error:
        return failed(str(error))
    except NotRunning as error:
        try:
            done = _act_alone(config, kind, arguments)
        except StateLocked:
            return failed(f"a sidecar runs, and does not answer: {error}")
        except (ActionRefused, JournalError) as refused:
            return failed(f"{refused}{elsewhere(config)}")
        later = " (no sidecar runs; this is for its next start)"
    print(json.dumps(done) if arguments.json else f"{told(done)}{later}")
    return 0


def _act_alone(config: Config, kind: str, arguments: argparse.Namespace) -> dict[str, Any]:
    from sidecar.app.commands.offline import act as act_alone  # takes longer than to ask

    return dict(asyncio.run(act_alone(config.state, kind, arguments.action, arguments.target)))


def elsewhere(config: Config) -> str:
    """What to add where only `sidecar dev` has a journal."""
    here, there = config.state.dir / "journal.db", config.state.dir / DEVELOPMENT / "journal.db"
    if os.path.exists(here) or not os.path.exists(there):  # noqa: PTH110 -- raises nothing
        return ""
    return "; that of `sidecar dev` is meant with --dev"


def failed(text: str) -> int:
    """Tell why it failed; the exit code."""
    print(f"sidecar: {text}", file=sys.stderr)
    return 1


def configured(arguments: argparse.Namespace) -> Config | None:
    """The config that is meant, with the state folder that is meant; None, which has been told,
    where nothing of it can be read."""
    config = drafted(arguments.config, DEVELOPMENT if arguments.dev else "")
    if config is None or not arguments.dev:
        return config
    return replace(config, state=replace(config.state, dir=config.state.dir / DEVELOPMENT))


def a_name(text: str) -> str:
    """What names one of something, for an argument."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text names nothing")
    return text


def at_least_one(text: str) -> int:
    """A number of things to show, for an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
