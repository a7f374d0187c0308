"""What the commands that take a config file share: the argument, and showing its problems."""

import argparse
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.app.checking.candidate import Candidate
from sidecar.cli.screen import wants_colours
from sidecar.config.model import Config
from sidecar.config.problems import Position, Problem, render_text

if TYPE_CHECKING:
    from sidecar.config.schemas.schema import Schema


def add_config(parser: argparse.ArgumentParser, default: str = "config.yaml") -> None:
    """Add the argument CONFIG."""
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        default=Path(default),
        metavar="CONFIG",
        help=f"the config file (default: {default})",
    )


def usable(candidate: Candidate, *, without: Collection[str] = ()) -> Config | None:
    """What can run; problems, but those with a code in `without`, are printed to standard error."""
    shown = [problem for problem in candidate.problems if problem.code not in without]
    show(shown, candidate.sources)
    return candidate.config


OF_THE_MACHINE = frozenset(
    {"command-not-found", "credentials-missing", "credentials-open", "no-folder", "unset-variable"}
)
"""Codes of problems that keep a config from running here, and nobody from looking at it."""


def readable(candidate: Candidate) -> Config | None:
    """What a command that runs nothing can look at; errors that are in the way are printed."""
    errors = [problem for problem in candidate.problems if problem.level == "error"]
    shown = [problem for problem in errors if not of_the_machine(problem)]
    show(shown, candidate.sources)
    return None if shown else candidate.draft


def drafted(path: Path, inside: str = "") -> Config | None:
    """What can be understood of a config, for commands about a sidecar that may be running: a
    file that its last save has broken is when people want to look. Where nothing can, what was in
    force last, if the state folder is the usual one. What keeps all of it from being read is told
    on standard error. What the control plane set is in the state folder, or in the folder `inside`
    it."""
    from sidecar.app.checking.check import check

    found = check(path, inside=inside).draft
    if found is None:
        told = f"sidecar: {path} cannot be read; see `sidecar validate`"
        if not path.exists():
            told = f"sidecar: there is no {path}: {begin_with(path)}"
        found = _in_force_last(path)
        print(told if found is None else f"{told}; as it was in force last:", file=sys.stderr)
    return found


def _in_force_last(path: Path) -> Config | None:
    """The last good config of a file that tells no state folder; None where none is kept."""
    from sidecar.app.checking.system import MachineSystem
    from sidecar.app.reloading.last_good import recall
    from sidecar.config.system import usual_state_dir
    from sidecar.errors import NoLastGood

    try:
        return recall(usual_state_dir(MachineSystem()), path)[0]
    except NoLastGood:
        return None


def of_the_machine(problem: Problem) -> bool:
    """Whether a problem tells only what this machine lacks."""
    # A file that a value is read from is told with the place of that.
    secret = problem.code == "unreadable" and bool(problem.path)
    return secret or problem.code in OF_THE_MACHINE


def show(problems: Sequence[Problem], sources: Mapping[str, str]) -> None:
    """Print problems to standard error, with excerpts of the texts that they point into."""
    colours = wants_colours(sys.stderr)
    if problems:
        print(render_text(problems, sources, colours=colours), file=sys.stderr)
    if (path := no_config(problems)) is not None:
        print(f"sidecar: {begin_with(path)}", file=sys.stderr)


def no_config(problems: Sequence[Problem]) -> Path | None:
    """The config file that was asked for, if the problem is that there is none."""
    for problem in problems:
        path, itself = Path(problem.position.file), Position(problem.position.file)
        missing = problem.code == "unreadable" and problem.position == itself
        if missing and not problem.path and not path.exists():
            return path
    return None


def begin_with(path: Path) -> str:
    """What to do where there is no config file `path`."""
    usual = path == Path("config.yaml")
    write = "sidecar init" if usual else f"sidecar init {shlex.quote(str(path))}"
    return f"`{write}` writes one to start from, `sidecar dev` needs none"


def whole_schema() -> "Schema":
    """The schema with all installed types; what cannot be used is told on standard error."""
    from sidecar import plugins
    from sidecar.config.schemas.others import with_all
    from sidecar.config.schemas.schema import Schema

    schema = with_all(Schema(), plugins)
    for reason in schema.unusable.values():
        print(f"sidecar: {reason}", file=sys.stderr)
    return schema
