"""`sidecar plan`: what a config would change, without changing it."""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

from sidecar.app.checking.candidate import Candidate
from sidecar.app.reloading.outcome import warning_lines
from sidecar.cli.config_file import show, usable
from sidecar.cli.running import HINT, LONG_TIMEOUT, NotRunning, Refused, ask, rests
from sidecar.cli.validate import PIPE
from sidecar.config.comparing.diff import difference
from sidecar.config.comparing.plan import brief, from_json, to_json, to_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "config",
        nargs="?",
        default="config.yaml",
        metavar="CONFIG",
        help="the config file, `-` for standard input (default: config.yaml)",
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan, against the running sidecar where there is one; 2 for an invalid config, 1
    when the sidecar that runs does not answer."""
    given = _Given(sys.stdin.buffer.read() if arguments.config == PIPE else arguments.config)
    candidate = given.check()
    try:
        told = _ask(candidate, given)
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
        told["state"] = str(config.state.dir)
    except Refused as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return 1
    own = str(Path(arguments.config).absolute())
    if (place := told.get("config", own)) != own:  # as if at which the sidecar has read it
        candidate = given.check(Path(place))
    if not told["valid"]:
        _tell(told["problems"], candidate)
        return 2
    warnings = [problem for problem in candidate.problems if problem.level == "warning"]
    show(warnings, candidate.sources)
    told["warnings"] = warning_lines(warnings)
    print(json.dumps(told, indent=2) if arguments.json else _text(told))
    return 0


@dataclass(frozen=True, slots=True)
class _Given:
    """The config that the plan is of: the path of a file, or what came by standard input."""

    what: str | bytes

    def check(self, stands_for: Path | None = None) -> Candidate:
        """What it comes to at its place, or at that of the file that it stands for."""
        from sidecar.app.checking.check import check
        from sidecar.app.checking.system import PipedSystem

        if isinstance(self.what, str):
            return check(Path(self.what), stands_for=stands_for)
        path = Path("<stdin>")
        system = PipedSystem(path.absolute(), io.BytesIO(self.what))
        return check(path, system, stands_for=stands_for)

    @contextmanager
    def file(self, state: Path) -> Iterator[Path]:
        """A file with it, which the sidecar that works with a state folder can read."""
        if isinstance(self.what, str):
            yield Path(self.what).absolute()
            return
        with NamedTemporaryFile(prefix=".plan-", suffix=".yaml", dir=state) as file:
            file.write(self.what)
            file.flush()
            if os.geteuid() == 0 and (lock := state / "lock").exists():  # of the sidecar's user
                os.fchown(file.fileno(), lock.stat().st_uid, -1)
            yield Path(file.name)


def _ask(candidate: Candidate, given: _Given) -> dict[str, Any]:
    """The running sidecar makes the plan: it has its own environment, and the secrets."""
    config = candidate.draft
    if config is None:
        raise NotRunning
    try:
        with given.file(config.state.dir) as path:
            request = f"GET /-/plan?config={quote(str(path))}"
            return {"running": True, **ask(config, request, timeout=LONG_TIMEOUT)}
    except OSError as error:
        if rests(config):
            raise NotRunning from error
        raise Refused(f"it cannot be given to the sidecar: {error}") from error


def _tell(problems: Sequence[str], candidate: Candidate) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems and usable(candidate) is not None:
        print("sidecar: it is valid here, but not in the sidecar's environment", file=sys.stderr)


def _text(told: dict[str, Any]) -> str:
    plan, turns = from_json(told["plan"]), told["turns"]
    if not told["running"]:
        first = f"no sidecar runs with the state folder {told['state']}{HINT}; this would start:"
        return "\n".join([first, *map(brief, plan.changes)])
    lines = [to_text(plan)]
    if not plan.changes:
        lines.insert(0, "nothing would change")
    if turns:
        lines.append(f"{len(turns)} turn(s) end on their old runtime first: {', '.join(turns)}")
    return "\n".join(line for line in lines if line)
