"""Loads and checks a config file: with all that takes, so it runs in a process of its own.

What checking needs (the YAML parser, the JSON Schema validator) takes megabytes that a sidecar
would keep for ever, and work of seconds for a large config; a file that brings a parser down does
not bring a sidecar down.
"""

import gc
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from sidecar import plugins
from sidecar.app.load import Candidate, Memory, write_answer
from sidecar.app.system import MachineSystem
from sidecar.app.watch import digests
from sidecar.config.load import load
from sidecar.config.quick import KnownRoutes, QuickRoutes
from sidecar.config.schema import Schema
from sidecar.config.system import System
from sidecar.prompts.render import Prompts


def check(
    path: Path, system: System | None = None, *, quick: QuickRoutes | None = None
) -> Candidate:
    """Load and check a config file and its templates, on this machine where no other is given.

    Blocks; bad input never raises. What is read with `quick` is good only where there is no
    problem.
    """
    loaded = load(path, system or MachineSystem(), Schema(), types=plugins, quick=quick)
    problems = loaded.problems
    if loaded.draft is not None:
        problems += Prompts.compile(loaded.draft)[1]
    usable = not any(problem.level == "error" for problem in problems)
    config, held = loaded.config if usable else None, digests(loaded.inputs)
    return Candidate(config, loaded.draft, problems, loaded.sources, held)


def main(path: str) -> None:
    """Write what a file comes to to standard output, for `sidecar.app.load`; what was known of its
    routes comes by standard input."""
    gc.disable()  # this process ends before there is anything to collect
    given = sys.stdin.buffer.read()
    known: KnownRoutes = pickle.loads(given) if given else KnownRoutes()  # noqa: S301 -- our own
    found, quick = _quickly(Path(path), known)
    told = found.problems if not given or found.config is None else ()
    kept = quick.kept
    if told:
        full = check(Path(path))
        found, kept = full, [None] * len(full.config.routes if full.config else ())
    else:
        found = replace(found, problems=(), sources={})
    memory = Memory(pickle.dumps(quick.learned)) if found.config is not None else found.memory
    write_answer(replace(found, memory=memory), kept, sys.stdout.buffer)


def _quickly(path: Path, known: KnownRoutes) -> tuple[Candidate, QuickRoutes]:
    """What a file seems to come to, and how it was read."""
    quick = QuickRoutes(known)
    found = check(path, quick=quick)
    if quick.misled:
        quick = QuickRoutes()
        found = check(path, quick=quick)
    return found, quick
