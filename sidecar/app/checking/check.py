"""Loads and checks a config file: with all that takes, so it runs in a process of its own.

What checking needs (the YAML parser, the JSON Schema validator) takes megabytes that a sidecar
would keep for ever, and work of seconds for a large config; a file that brings a parser down does
not bring a sidecar down.
"""

import pickle
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from sidecar import plugins
from sidecar.app.checking.candidate import Candidate, Memory, write_answer
from sidecar.app.checking.forks import in_forks
from sidecar.app.checking.system import MachineSystem
from sidecar.app.watching.digests import digests
from sidecar.config.load import load
from sidecar.config.model import Config, Template
from sidecar.config.problems import Problem
from sidecar.config.reading.quick import KnownRoutes, QuickRoutes
from sidecar.config.reading.reading import first
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.templates import fingerprint, templates


@dataclass(frozen=True, slots=True)
class Known:
    """What the next check of a config need not look at: its routes, and its templates by their
    fingerprints."""

    routes: KnownRoutes = field(default_factory=KnownRoutes)
    templates: frozenset[bytes] = frozenset()


def check(
    path: Path,
    system: MachineSystem | None = None,
    *,
    quick: QuickRoutes | None = None,
    right: Collection[bytes] = (),
    inside: str = "",
    alone: bool = False,
    stands_for: Path | None = None,
    leave_out: Callable[[Problem], bool] | None = None,
) -> Candidate:
    """Load and check a config file and its templates, on this machine where no other is given.

    Blocks; bad input never raises. `quick` knows what need not be read again, `right` are the
    fingerprints of templates that are known to be right. What the
    control plane set is in the folder `inside` the state folder, or at an absolute path. A process
    that is `alone`, without other threads, lets forks try the templates where these are many.
    The file is read as if it were at the place of the one that it `stands_for`. Problems of values,
    of which `leave_out` says so, do not count.
    """
    machine, quick = system or MachineSystem(), quick or QuickRoutes()
    loaded = load(
        path,
        machine,
        Schema(),
        types=plugins,
        quick=quick,
        inside=inside,
        stands_for=stands_for,
        leave_out=leave_out,
    )
    problems = loaded.problems
    if loaded.draft is not None:
        problems += _try_templates(loaded.draft, right, loaded.sources, machine.env, alone=alone)
    usable = not any(problem.level == "error" for problem in problems)
    # What was written since is not what was checked.
    taken = {path: found for path, found in machine.taken.items() if path in loaded.inputs}
    config, held = loaded.config if usable else None, {**digests(loaded.inputs), **taken}
    return Candidate(config, loaded.draft, problems, loaded.sources, held)


def _try_templates(
    config: Config,
    right: Collection[bytes],
    sources: Mapping[str, str],
    env: Mapping[str, str],
    *,
    alone: bool,
) -> tuple[Problem, ...]:
    told = {
        fingerprint(one, config.context): (one, path.rpartition(".")[2])
        for path, one in templates(config)
    }
    new = [found for name, found in told.items() if name not in right]
    if not new:
        return ()
    # Importing it takes longer than all else that a usual config takes.
    from sidecar.prompts.render import Prompts

    prompts = Prompts(config.context, config.channels, env)

    def tried(share: Sequence[tuple[Template, str]]) -> list[bytes]:
        """The fingerprints of those that are right."""
        return [
            fingerprint(one, config.context) for one, key in share if prompts.is_right(one, key)
        ]

    if alone:
        right = {*right, *chain.from_iterable(in_forks(tried, new))}
    return first(Prompts.compile(config, right, sources, env)[1])


def main(path: str, inside: str, stands_for: str) -> None:
    """Write what a file comes to to standard output, for `sidecar.app.checking.candidate`; what was
    known of it comes by standard input."""
    given = sys.stdin.buffer.read()
    known: Known = pickle.loads(given) if given else Known()  # noqa: S301 -- our own
    found, quick = _quickly(Path(path), known, inside, Path(stands_for))
    if given and found.config is not None:  # what problems point into, nobody will look at
        found = replace(found, sources={})
    if found.config is not None:
        found = replace(found, memory=_memory(found.config, quick))
    write_answer(found, quick.kept, sys.stdout.buffer)


def _quickly(
    path: Path, known: Known, inside: str, stands_for: Path
) -> tuple[Candidate, QuickRoutes]:
    """What a file seems to come to, and how it was read."""

    def checked(quick: QuickRoutes) -> Candidate:
        right = known.templates
        return check(
            path, quick=quick, inside=inside, right=right, alone=True, stands_for=stands_for
        )

    found = checked(quick := QuickRoutes(known.routes))
    if quick.misled:
        found = checked(quick := QuickRoutes())
    return found, quick


def _memory(config: Config, quick: QuickRoutes) -> Memory:
    right = frozenset(fingerprint(one, config.context) for _, one in templates(config))
    return Memory(pickle.dumps(Known(quick.learned, right)))
