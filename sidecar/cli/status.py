"""`sidecar status`: what a running sidecar does, asked over its HTTP server."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from sidecar.cli.config_file import add_config
from sidecar.cli.running import NotRunning, Refused, ask
from sidecar.config.plan import brief, from_json

SHOWN = 10
"""Changes of the last reload that are shown."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the whole picture as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the picture; 1 when no sidecar answers, 2 for a config that cannot be read."""
    from sidecar.app.check import check

    # A config that is broken by its last save is when people want to look.
    config = check(arguments.config).draft
    if config is None:
        print(
            f"sidecar: {arguments.config} cannot be read; see `sidecar validate`", file=sys.stderr
        )
        return 2
    try:
        picture = ask(config, "GET /status")
    except (NotRunning, Refused) as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    print(json.dumps(picture, indent=2) if arguments.json else render(picture, time.time()))
    return 0


def render(picture: dict[str, Any], now: float) -> str:
    """The picture as text for people. `now` is in seconds since the epoch."""
    return "\n".join(_lines(picture, now))


def _lines(picture: dict[str, Any], now: float) -> Iterator[str]:
    age = _age(now - picture["since"])
    name = f"{picture['generation']} ({picture['digest']})"
    yield f"sidecar {picture['version']}  pid {picture['pid']}  up {age}  config {name}"
    if picture["pending"]:
        yield f"takes effect after a restart: {', '.join(picture['pending'])}"
    if picture["reloads"]:
        last = picture["reloads"][-1]
        yield f"last reload: {last['result']} {_age(now - last['at'])} ago ({last['trigger']})"
        yield from (f"  {problem}" for problem in last["problems"])
        plan = from_json(last["plan"]).cut(SHOWN)
        yield from (f"  {brief(change)}" for change in plan.changes)
        if plan.more:
            yield f"  … and {plan.more} more"
    yield ""
    yield from _table(
        ("CHANNEL", "ACCOUNT", "STATE", "SINCE", "RECONNECTS", "REASON"),
        [
            (
                name,
                channel["account"],
                channel["state"],
                _age(now - channel["since"]),
                str(channel["reconnects"]),
                channel["reason"],
            )
            for name, channel in picture["channels"].items()
        ],
    )
    yield ""
    yield from _table(
        ("TURN", "STATE", "FOR", "CONVERSATION", "ROUTE", "RUNTIME", "TRUST"),
        [_turn(turn, "running", now - turn["since"]) for turn in picture["running"]]
        + [_turn(turn, "waiting", now - turn["received_at"]) for turn in picture["waiting"]],
    )
    yield ""
    outbox = picture["outbox"]
    yield f"outbox: {outbox['pending']} waiting, {outbox['refused']} refused for good"


def _turn(turn: dict[str, Any], state: str, seconds: float) -> tuple[str, ...]:
    place = turn["conversation"] + (f"/{turn['thread']}" if turn["thread"] else "")
    return (
        turn["turn"], state, _age(seconds), place, turn["route"], turn["runtime"], turn["trust"],
    )  # fmt: skip


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    if not rows:
        yield "(none)"


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= unit:
            return f"{whole // unit}{name}"
    return f"{whole}s"
