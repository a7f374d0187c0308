"""`sidecar status`: what a running sidecar does, asked over its HTTP server."""

import argparse
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from sidecar.cli.config_file import add_config
from sidecar.server import address

TIMEOUT = 5.0
"""Seconds until a sidecar that does not answer is given up."""


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
    if config.server is None:
        print("sidecar: `server` is null in the config: there is nobody to ask", file=sys.stderr)
        return 1
    failure: object = "no sidecar runs with this state folder"
    for place in address.find(config.state.dir):
        try:
            picture = _ask(place, config.server.token)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"{place}: {error}"
            continue
        print(json.dumps(picture, indent=2) if arguments.json else render(picture, time.time()))
        return 0
    print(f"sidecar: {failure}", file=sys.stderr)
    return 1


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def _ask(place: str, token: str) -> dict[str, Any]:
    if place.startswith("unix:"):
        connection: http.client.HTTPConnection = _UnixConnection(place.removeprefix("unix:"))
    else:
        host, _, port = place.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT)
    try:
        connection.request("GET", "/status", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise ValueError(f"{answer.status} {body.decode(errors='replace').strip()}")
    picture: dict[str, Any] = json.loads(body)
    return picture


def render(picture: dict[str, Any], now: float) -> str:
    """The picture as text for people. `now` is in seconds since the epoch."""
    return "\n".join(_lines(picture, now))


def _lines(picture: dict[str, Any], now: float) -> Iterator[str]:
    age = _age(now - picture["since"])
    generation = picture["generation"]
    yield f"sidecar {picture['version']}  pid {picture['pid']}  up {age}  config {generation}"
    if picture["reloads"]:
        last = picture["reloads"][-1]
        yield f"last reload: {last['result']} {_age(now - last['at'])} ago ({last['trigger']})"
        yield from (f"  {problem}" for problem in last["problems"])
        if last["pending"]:
            yield f"  takes effect after a restart: {', '.join(last['pending'])}"
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
