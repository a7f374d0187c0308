"""The one way from a config file to a checked `Config`, or to its problems."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config.building.build import build
from sidecar.config.building.part import Source
from sidecar.config.building.state import state_dir
from sidecar.config.model import Config
from sidecar.config.problems import Problem
from sidecar.config.reading.accepts import quick_mistakes
from sidecar.config.reading.include import gather
from sidecar.config.reading.interpolate import Interpolation
from sidecar.config.reading.layer import Layer, read_layer
from sidecar.config.reading.masking import masked, masked_problems, written_secrets
from sidecar.config.reading.quick import QuickRoutes
from sidecar.config.reading.reading import Reading
from sidecar.config.schemas.mistakes import HIDDEN, MOST, WRITTEN
from sidecar.config.schemas.others import Types, joined
from sidecar.config.schemas.schema import Schema
from sidecar.config.system import System
from sidecar.config.text.document import Document

_MORE = "there may be more: what is wrong in its form is told first"
AVAILABLE = frozenset({"acp", "claude-code", "codex", "command", "gemini"})
"""The built-in runtime types that can run."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a config file.

    `config` is None when there is a problem of level error; `draft` is then what could be
    understood all the same, good for looking only, None when that is nothing. `sources` are the
    texts that problems point into, by the name in their positions. `inputs` are all files whose
    content matters; one with a wildcard stands for the files that match it. `source` is what
    `draft` was built from, None where there is none. `schema` is what it was checked by.
    """

    config: Config | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: frozenset[Path]
    source: Source | None
    schema: Schema


def load(
    path: Path,
    system: System,
    schema: Schema,
    *,
    types: Types | None = None,
    available: Collection[str] = AVAILABLE,
    quick: QuickRoutes | None = None,
    inside: str = "",
    stands_for: Path | None = None,
    leave_out: Callable[[Problem], bool] | None = None,
) -> Loaded:
    """Load and check a config file with all that it includes; all problems at once.

    The schema is joined with those of `types` that the config names. `available` are the built-in
    runtime types that can run. What the control plane set is in the folder `inside` the state
    folder that the config names, or at an absolute path: a process goes on with the folder that it
    began with. `quick` reads without the YAML parser what it can. The file is read as if it were at
    the place of the one that it `stands_for`. Problems of values, of which `leave_out` says so, do
    not count. Blocks while it reads files. Bad input never raises.
    """
    reading = Reading(system, quick, leave_out)
    user, interpolation = _read(reading, path, path if stands_for is None else stands_for)
    source, draft = None, None
    if user is not None:
        kept = list(reading.problems)
        layer = _layer(user, interpolation, inside)
        while True:
            document = layer.under(user)
            schema = schema if types is None else joined(schema, document.data, types)
            source = _check(document, interpolation, schema)
            draft = None if source is None else build(source, schema, available)
            broken = layer.broken(reading.problems)
            if not broken:
                break
            layer, warnings = layer.left_out(broken)
            kept += warnings
            reading.begin_again(kept)
    problems = _in_order(reading)
    config = None if _is_broken(problems) else draft
    inputs = frozenset(reading.inputs)
    return Loaded(config, draft, problems, reading.sources, inputs, source, schema)


def _layer(user: Document, interpolation: Interpolation, inside: str) -> Layer:
    state = Source(user, interpolation).root.part("state")
    return read_layer(state_dir(state) / inside, interpolation.reading)


def _read(reading: Reading, path: Path, stands_for: Path) -> tuple[Document | None, Interpolation]:
    interpolation, here = Interpolation(reading), reading.system.cwd
    document = gather(here / path, reading, interpolation, here / stands_for)
    if document is not None:
        interpolation.complete_all(document)
        if reading.quick is not None:
            reading.quick.depend_on(interpolation.given)
    return document, interpolation


def _check(document: Document, interpolation: Interpolation, schema: Schema) -> Source | None:
    """The document with what is known of it; None where it is not known all that is broken."""
    reading = interpolation.reading
    told = {problem.position for problem in reading.problems}
    secrets, given = written_secrets(document, schema), interpolation.hidden
    hidden = dict.fromkeys(secrets.holders | secrets.values, WRITTEN)
    hidden.update(dict.fromkeys(given, HIDDEN))
    if reading.quick is None:
        mistakes = schema.check(document, hidden)
    else:
        mistakes = quick_mistakes(document, schema, hidden)
    for mistake in mistakes:
        # What is missing because of an earlier problem is not told twice.
        if mistake.place not in interpolation.failed and mistake.problem.position not in told:
            reading.problems.append(mistake.problem)
    broken = interpolation.failed.union(one.place for one in mistakes if one.breaks)
    reading.problems = masked_problems(reading.problems, document, secrets)
    reading.sources = masked(reading.sources, document, secrets, given, reading.problems)
    if len(mistakes) >= MOST:
        reading.note("error", lambda: Problem("more", _MORE, mistakes[-1].problem.position))
        return None
    return Source(document, interpolation, frozenset(broken))


def _is_broken(problems: Iterable[Problem]) -> bool:
    return any(problem.level == "error" for problem in problems)


def _in_order(reading: Reading) -> tuple[Problem, ...]:
    """The problems, each once, in the order of the files and of their lines."""
    files = {name: index for index, name in enumerate(reading.sources)}

    def order(problem: Problem) -> tuple[int, int, int]:
        place = problem.position
        return files.get(place.file, len(files)), place.line, place.column

    found = sorted(dict.fromkeys(reading.problems), key=order)
    return (*found, *(reading.rest(found[-1].position) if found else ()))
