"""`sidecar status`: what a running sidecar does, asked over its HTTP server; of one that does not
run, what it left."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sidecar.cli.config_file import add_config, drafted
from sidecar.cli.recorded import failed
from sidecar.cli.running import HINT, NotRunning, Refused, ask, rests
from sidecar.cli.screen import show
from sidecar.cli.table import NOTHING, Table, age, dollars
from sidecar.config.comparing.plan import brief, from_json
from sidecar.config.model import Config
from sidecar.server.address import find
from sidecar.server.client import Refusal, fetch
from sidecar.store.lock import holder

SHOWN = 10
"""Changes of the last reload that are shown."""
PAUSE = 2.0
"""Seconds between two pictures."""
LIVE_TIMEOUT = 3.0
"""Seconds until one that does not say that it is alive counts as dead."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the whole picture as JSON")
    parser.add_argument(
        "--watch", action="store_true", help=f"show it anew every {PAUSE:g} s, until Ctrl-C"
    )
    parser.add_argument("--live", type=Path, metavar="FOLDER",
                        help="ask only whether one is alive that works with this state folder, "
                             "whatever its config holds")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the picture; 1 when no sidecar runs or it is not well, 2 for a config that cannot
    be read."""
    if arguments.live is not None:
        return _live(arguments.live)
    config = drafted(arguments.config)
    if config is None:
        return 2
    if not arguments.watch:
        return _show(config, arguments)
    try:
        while True:
            _show(config, arguments)
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        return 0


def _live(state: Path) -> int:
    """0 where a sidecar with a state folder answers that it is alive, or cannot be asked because it
    has no `server`; else 1."""
    place = ""
    try:
        if holder(state) is None:
            return failed(f"no sidecar runs with the state folder {state}")
        if place := find(state):
            fetch(place, "GET /livez", timeout=LIVE_TIMEOUT)
    except Refusal as error:
        return failed(f"{place}: {error.status} {error}")
    except (OSError, HTTPException, ValueError) as error:
        return failed(f"{place or state}: {error}")
    return 0


def _show(config: Config, arguments: argparse.Namespace) -> int:
    try:
        picture = ask(config, "GET /status")
    except (NotRunning, Refused) as error:
        if isinstance(error, NotRunning) and rests(config):
            return _show_rest(config, arguments)
        if arguments.watch and sys.stdout.isatty():
            show([f"sidecar: {error}"], anew=True)
        else:
            print(f"sidecar: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(picture, indent=2), flush=True)
    else:
        show(parts(picture, time.time()), anew=arguments.watch)
    return int(bool(picture["not_ready"]))


def _show_rest(config: Config, arguments: argparse.Namespace) -> int:
    from sidecar.app.commands import at_rest  # takes longer than to ask

    left = at_rest.picture(arguments.config, config)
    if arguments.json:
        print(json.dumps(left, indent=2), flush=True)
    else:
        show(rest(left, time.time()), anew=arguments.watch)
    return 1


def rest(left: dict[str, Any], now: float) -> Iterator[str | Table]:
    """What a sidecar left that does not run, for people. `now` is in seconds since the epoch."""
    seen, ended = left["seen_at"], "was cut" if left["cut"] else "ended"
    since = (
        "" if seen is None else f"; it {ended}, with its last sign of life {age(now - seen)} ago"
    )
    yield f"no sidecar runs with this state folder{since}"
    yield f"state folder: {left['state']}{HINT if seen is None else ''}"
    good = left["last_good"]
    if good is None:
        yield "config that was in force last: not kept"
    else:
        kept = f"kept {age(now - good['kept_at'])} ago by version {good['version']}"
        yield f"config that was in force last: of {good['config']}, {kept}"
    if left["generation"] is not None:
        yield f"the last turn ran with config generation {left['generation']}"
    if left["journal_problem"]:
        yield left["journal_problem"]
        return
    yield ""
    yield Table(
        ("TURN", "STATE", "FOR", "CONVERSATION", "ROUTE", "RUNTIME", "TRUST"),
        [_turn(turn, turn["state"], now - turn["accepted_at"]) for turn in left["waiting"]],
    )
    yield ""
    outbox = left["outbox"]
    yield f"outbox: {outbox['pending']} waiting, {outbox['refused']} refused for good"


def parts(picture: dict[str, Any], now: float) -> Iterator[str | Table]:
    """The picture for people. `now` is in seconds since the epoch."""
    up = age(now - picture["since"])
    name = f"{picture['generation']} ({picture['digest']})"
    yield f"sidecar {picture['version']}  pid {picture['pid']}  up {up}  config {name}"
    if picture["pending"]:
        yield f"takes effect after a restart: {', '.join(picture['pending'])}"
    yield from _config(picture, now)
    yield from _control_plane(picture, now)
    yield ""
    yield Table(
        ("CHANNEL", "ACCOUNT", "STATE", "SINCE", "RECONNECTS", "REASON"),
        [
            (
                name,
                channel["account"],
                channel["state"],
                age(now - channel["since"]),
                str(channel["reconnects"]),
                channel["reason"],
            )
            for name, channel in picture["channels"].items()
        ],
    )
    yield ""
    yield Table(
        ("TURN", "STATE", "FOR", "CONVERSATION", "ROUTE", "RUNTIME", "TRUST"),
        [_turn(turn, "running", now - turn["since"]) for turn in picture["running"]]
        + [_turn(turn, "waiting", now - turn["received_at"]) for turn in picture["waiting"]],
    )
    if picture["spending"]:
        yield ""
        yield Table(
            ("ROUTE", "SPENT", "BUDGET", "PER", "RENEWS IN"),
            [
                (
                    name,
                    dollars(spent["spent"]),
                    dollars(spent["usd"]),
                    spent["per"],
                    age(spent["renews_at"] - now),
                )
                for name, spent in picture["spending"].items()
            ],
        )
    yield ""
    outbox = picture["outbox"]
    yield f"outbox: {outbox['pending']} waiting, {outbox['refused']} refused for good"


def _control_plane(picture: dict[str, Any], now: float) -> Iterator[str]:
    plane = picture["control_plane"]
    if plane is not None:
        who = f" as {plane['instance']}" if plane["instance"] else ""
        yield f"control plane: {plane['state']} for {age(now - plane['since'])}{who}"
        if plane["refused"]:
            yield f"  last frame that was refused: {plane['refused']}"
    yield from picture["remarks"]


def _config(picture: dict[str, Any], now: float) -> Iterator[str]:
    """What became of what was saved."""
    yield _watcher(picture["watcher"], now)
    if not picture["on_disk"]["in_force"]:
        changed = ", ".join(picture["on_disk"]["changed"])
        why = f"not looked at yet: {changed}" if changed else picture["degraded"]
        yield f"what is saved in {picture['config']} does not run: {why}"
    if picture["reloads"]:
        last = picture["reloads"][-1]
        yield f"last reload: {last['result']} {age(now - last['at'])} ago ({last['trigger']})"
        yield from (f"  {problem}" for problem in last["problems"])
        yield from (f"  warning: {warning}" for warning in last["warnings"])
        plan = from_json(last["plan"]).cut(SHOWN)
        yield from (f"  {brief(change)}" for change in plan.changes)
        if plan.more:
            yield f"  … and {plan.more} more"
        error = picture["last_error"]
        if error is not None and error["at"] != last["at"]:
            yield f"last error {age(now - error['at'])} ago: {error['problems'][0]}"


def _watcher(told: dict[str, Any], now: float) -> str:
    how = {
        "inotify": f"in {len(told['folders'])} folder(s), by inotify",
        "poll": f"by a look from time to time, for events cannot be had: {told['reason']}",
        "failed": f"not at all: {told['reason']}",
    }.get(told["mode"], "soon")
    changed, looked = told["changed_at"], told["looked_at"]
    seen = "" if looked is None else f"; last look {age(now - looked)} ago"
    last = "" if changed is None else f", last change {age(now - changed)} ago"
    return f"watches {told['files']} file(s) {how}{seen}{last}"


def _turn(turn: dict[str, Any], state: str, seconds: float) -> tuple[str, ...]:
    place = turn["conversation"] + (f"/{turn['thread']}" if turn["thread"] else "")
    told = (turn[key] or NOTHING for key in ("route", "runtime", "trust"))
    return (turn["turn"], state, age(seconds), place, *told)
