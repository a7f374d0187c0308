"""The tests of a config: its own, and those of `*.test.yaml` beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.app.authoring.preview import Told
from sidecar.app.system import MachineSystem
from sidecar.config.document import Document
from sidecar.config.model import Config
from sidecar.config.parse import parse
from sidecar.config.problems import Position, Problem
from sidecar.config.reading import Reading
from sidecar.config.schema import Schema

PATTERN = "*.test.yaml"


@dataclass(frozen=True, slots=True)
class Case:
    """One test, and the file that it stands in."""

    file: Path
    told: Told

    @property
    def name(self) -> str:
        """What the test shows."""
        return str(self.told["name"])


@dataclass(frozen=True, slots=True)
class Cases:
    """The tests, the problems of their files, and the texts that these point into."""

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]


def cases(path: Path, config: Config) -> Cases:
    """The tests of a config, in the order of the files. Blocks; bad input never raises."""
    found = [Case(path, told) for told in config.tests]
    reading, schema = Reading(MachineSystem()), Schema()
    for file in sorted(path.absolute().parent.glob(PATTERN)):
        found += _read(file, reading, schema)
    return Cases(tuple(found), tuple(reading.problems), reading.sources)


def _read(path: Path, reading: Reading, schema: Schema) -> list[Case]:
    text = reading.open(path)
    if text is None:
        return []
    document, problems = parse(text, reading.name(path))
    reading.problems += problems
    if document is None:
        return []
    problems = tuple(_mistakes(document, schema))
    reading.problems += problems
    tests = document.data.get("tests")
    if problems or not isinstance(tests, list):
        return []
    return [Case(path, told) for told in tests]


def _mistakes(document: Document, schema: Schema) -> list[Problem]:
    """What is wrong with the form of a file that has tests and nothing else."""
    found = [
        Problem("unknown-key", f"unknown key {key!r}", document.key((key,)), key,
                "a file of tests has `tests` and nothing else")
        for key in document.data
        if key != "tests"
    ]  # fmt: skip
    if "tests" not in document.data:
        return [*found, Problem("missing-key", "it has no `tests`", _start(document))]
    told = Document({"version": 1, "tests": document.data["tests"]}, document.keys,
                    document.values, document.blocks)  # fmt: skip
    return [*found, *(mistake.problem for mistake in schema.check(told))]


def _start(document: Document) -> Position:
    return document.value(())
