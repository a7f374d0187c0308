"""`sidecar reload`: have the running sidecar load its config, and tell what came of it."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sidecar.cli.config_file import add_config, usable
from sidecar.cli.running import LONG_TIMEOUT, NotRunning, Refused, ask
from sidecar.config.model import Config
from sidecar.config.plan import from_json, to_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Ask and wait; 1 when no sidecar answers, 2 when it rejects the config."""
    from sidecar.app.check import check

    candidate = check(arguments.config)
    if candidate.draft is None:
        usable(candidate)
        return 2
    try:
        outcome = _ask(candidate.draft, arguments.config)
    except (NotRunning, Refused) as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    print(json.dumps(outcome, indent=2) if arguments.json else _text(outcome))
    for problem in outcome["problems"]:
        print(problem, file=sys.stderr)
    return 2 if outcome["result"] == "rejected" else 0


def _ask(config: Config, path: Path) -> dict[str, Any]:
    used = ask(config, "GET /status")["config"]
    if Path(used).resolve() != path.resolve():
        raise Refused(f"the sidecar that runs uses {used}")
    return ask(config, "POST /-/reload", timeout=LONG_TIMEOUT)


def _text(outcome: dict[str, Any]) -> str:
    if outcome["result"] == "rejected":
        return "rejected, the previous config stays in force"
    lines = [f"{outcome['result']} in {outcome['seconds']:.2f} s: config {outcome['digest']}"]
    if outcome["result"] == "applied":
        lines.append(to_text(from_json(outcome["plan"])))
    if outcome["pending"]:
        lines.append(f"takes effect after a restart: {', '.join(outcome['pending'])}")
    return "\n".join(line for line in lines if line)
