"""Loads and checks a config file: with all that takes, so it runs in a process of its own.

What checking needs (the YAML parser, the JSON Schema validator) takes megabytes that a sidecar
would keep for ever, and work of seconds for a large config; a file that brings a parser down does
not bring a sidecar down.
"""

import pickle
import sys
from pathlib import Path

from sidecar.app.load import Candidate
from sidecar.app.system import MachineSystem
from sidecar.app.watch import digests
from sidecar.config.load import load
from sidecar.config.schema import Schema
from sidecar.config.system import System
from sidecar.prompts.render import Prompts


def check(path: Path, system: System | None = None) -> Candidate:
    """Load and check a config file and its templates, on this machine where no other is given.

    Blocks; bad input never raises.
    """
    loaded = load(path, system or MachineSystem(), Schema())
    problems = loaded.problems
    if loaded.draft is not None:
        problems += Prompts.compile(loaded.draft)[1]
    usable = not any(problem.level == "error" for problem in problems)
    config, held = loaded.config if usable else None, digests(loaded.inputs)
    return Candidate(config, loaded.draft, problems, loaded.sources, held)


def main(path: str) -> None:
    """Write the pickled `Candidate` of a file to standard output, for `sidecar.app.load`."""
    pickle.dump(check(Path(path)), sys.stdout.buffer)
