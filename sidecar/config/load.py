"""The one way from a config file to a checked `Config`, or to its problems."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config.build import build
from sidecar.config.include import gather
from sidecar.config.interpolate import Interpolation
from sidecar.config.masking import masked
from sidecar.config.model import Config
from sidecar.config.part import Source
from sidecar.config.problems import Problem
from sidecar.config.reading import Reading
from sidecar.config.schema import Schema
from sidecar.config.system import System

AVAILABLE = frozenset({"claude-code", "codex", "command", "gemini"})
"""The built-in runtime types that can run."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a config file.

    `config` is None when there is a problem of level error; `draft` is then what could be
    understood all the same, good for looking only, None when that is nothing. `sources` are the
    texts that problems point into, by the name in their positions. `inputs` are all files whose
    content matters; one with a wildcard stands for the files that match it. `source` is what
    `draft` was built from, None where there is none.
    """

    config: Config | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: frozenset[Path]
    source: Source | None


def load(
    path: Path, system: System, schema: Schema, *, available: Collection[str] = AVAILABLE
) -> Loaded:
    """Load and check a config file with all that it includes; all problems at once.

    `available` are the built-in runtime types that can run; those that the schema was joined
    with always can. Blocks while it reads files. Bad input never raises.
    """
    reading = Reading(system)
    source = _read(reading, path, schema)
    draft = None if source is None else build(source, schema, schema.extra.union(available))
    problems = _in_order(reading)
    broken = any(problem.level == "error" for problem in problems)
    config = None if broken else draft
    return Loaded(config, draft, problems, reading.sources, frozenset(reading.inputs), source)


def _read(reading: Reading, path: Path, schema: Schema) -> Source | None:
    interpolation = Interpolation(reading)
    document = gather(reading.system.cwd / path, reading, interpolation)
    if document is None:
        return None
    interpolation.complete_all(document)
    told = {problem.position for problem in reading.problems}
    mistakes = schema.check(document, interpolation.hidden)
    for mistake in mistakes:
        # What is missing because of an earlier problem is not told twice.
        if mistake.place not in interpolation.failed and mistake.problem.position not in told:
            reading.problems.append(mistake.problem)
    broken = interpolation.failed.union(one.place for one in mistakes if one.breaks)
    reading.sources = masked(reading.sources, document, schema, interpolation.hidden)
    return Source(document, interpolation, frozenset(broken))


def _in_order(reading: Reading) -> tuple[Problem, ...]:
    """The problems, each once, in the order of the files and of their lines."""
    files = {name: index for index, name in enumerate(reading.sources)}

    def order(problem: Problem) -> tuple[int, int, int]:
        place = problem.position
        return files.get(place.file, len(files)), place.line, place.column

    return tuple(sorted(dict.fromkeys(reading.problems), key=order))
