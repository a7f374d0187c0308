"""`sidecar plan`: what a config would change, without changing it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sidecar.app.candidate import Candidate
from sidecar.app.outcome import warning_lines
from sidecar.cli.config_file import add_config, show, usable
from sidecar.cli.running import LONG_TIMEOUT, NotRunning, Refused, ask, rests
from sidecar.config.diff import difference
from sidecar.config.plan import brief, from_json, to_json, to_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan, against the running sidecar where there is one; 2 for an invalid config, 1
    when the sidecar that runs does not answer."""
    from sidecar.app.check import check

    candidate = check(arguments.config)
    warnings = [problem for problem in candidate.problems if problem.level == "warning"]
    try:
        told = _ask(candidate, arguments.config)
    except NotRunning as error:
        config = candidate.config
        if config is None:
            show(candidate.problems, candidate.sources)
            return 2
        if not rests(config):
            print(f"sidecar: {error}", file=sys.stderr)
            return 1
        plan = to_json(difference(None, config))
        told = {"running": False, "valid": True, "problems": [], "plan": plan, "turns": []}
    except Refused as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    if not told["valid"]:
        _tell(told["problems"], candidate)
        return 2
    show(warnings, candidate.sources)
    told["warnings"] = warning_lines(warnings)
    print(json.dumps(told, indent=2) if arguments.json else _text(told))
    return 0


def _ask(candidate: Candidate, path: Path) -> dict[str, Any]:
    """The running sidecar makes the plan: it has its own environment, and the secrets."""
    if candidate.draft is None:
        raise NotRunning
    request = f"GET /-/plan?config={quote(str(path.absolute()))}"
    return {"running": True, **ask(candidate.draft, request, timeout=LONG_TIMEOUT)}


def _tell(problems: Sequence[str], candidate: Candidate) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems and usable(candidate) is not None:
        print("sidecar: it is valid here, but not in the sidecar's environment", file=sys.stderr)


def _text(told: dict[str, Any]) -> str:
    plan, turns = from_json(told["plan"]), told["turns"]
    if not told["running"]:
        return "\n".join(["no sidecar runs; this would start:", *map(brief, plan.changes)])
    lines = [to_text(plan)]
    if not plan.changes:
        lines.insert(0, "nothing would change")
    if turns:
        lines.append(f"{len(turns)} turn(s) end on their old runtime first: {', '.join(turns)}")
    return "\n".join(line for line in lines if line)
