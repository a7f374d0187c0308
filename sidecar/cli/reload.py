"""`sidecar reload`: have the running sidecar load its config, and tell what came of it."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from sidecar.cli.config_file import add_config, usable
from sidecar.cli.running import LONG_TIMEOUT, NotRunning, Refused, ask
from sidecar.config.comparing.plan import from_json, to_text
from sidecar.config.model import Config

PAUSE = 0.1
"""Seconds between looks at a sidecar that is waited for."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument(
        "--wait",
        type=_seconds,
        nargs="?",
        const=LONG_TIMEOUT,
        metavar="SECONDS",
        help="wait also until channels are connected, or tell why not, and until no turn runs with "
        f"an older config, for at most so long (default: {LONG_TIMEOUT:g})",
    )
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; CONFIG goes before it")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Ask and wait; 1 when no sidecar answers, or with --wait when something is not as it should
    be, or the config applies in part, 2 when the sidecar rejects it."""
    from sidecar.app.checking.check import check

    candidate = check(arguments.config)
    if candidate.draft is None:
        usable(candidate)
        return 2
    try:
        outcome = _ask(candidate.draft, arguments.config)
        late = []
        if arguments.wait is not None and outcome["result"] != "rejected":
            late = _wait(candidate.draft, outcome["generation"], arguments.wait)
            outcome["late"] = late
    except (NotRunning, Refused) as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    print(json.dumps(outcome, indent=2) if arguments.json else _text(outcome))
    for problem in [*outcome["problems"], *late]:
        print(problem, file=sys.stderr)
    for warning in outcome["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if outcome["result"] == "rejected":
        return 2
    return int(outcome["result"] == "degraded" or bool(late))


def _ask(config: Config, path: Path) -> dict[str, Any]:
    used = ask(config, "GET /status")["config"]
    if Path(used).resolve() != path.resolve():
        raise Refused(f"the sidecar that runs uses {used}")
    return ask(config, "POST /-/reload", timeout=LONG_TIMEOUT)


def _wait(config: Config, generation: int, timeout: float) -> list[str]:
    """Wait until all follow a generation; what does not by then, and why."""
    end = time.monotonic() + timeout
    while True:
        picture = ask(config, "GET /status")
        channels = picture["channels"].items()
        late = [
            f"channel {name}: {channel['state']} {channel['reason']}".rstrip()
            for name, channel in channels
            if channel["state"] != "connected"
        ]
        turns = [turn for turn in picture["running"] if turn["generation"] < generation]
        coming = any(channel["state"] in ("starting", "connecting") for _, channel in channels)
        if time.monotonic() >= end or not (turns or coming):
            return late + [f"turn {turn['turn']} still runs with an older config" for turn in turns]
        time.sleep(PAUSE)


def _text(outcome: dict[str, Any]) -> str:
    plan = from_json(outcome["plan"])
    if outcome["result"] == "rejected":
        told = "rejected, the previous config stays in force"
        return f"{told}\n{to_text(plan)}" if plan.changes else told
    lines = [f"{outcome['result']} in {outcome['seconds']:.2f} s: config {outcome['digest']}"]
    if outcome["result"] in ("applied", "degraded"):
        lines.append(to_text(plan))
    if outcome["pending"]:
        lines.append(f"takes effect after a restart: {', '.join(outcome['pending'])}")
    return "\n".join(line for line in lines if line)
