"""The tests of a config: its own, and those of `*.test.yaml` beside it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar import plugins
from sidecar.app.authoring.preview import Told
from sidecar.app.checking.system import MachineSystem
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import Place, Position, Problem, dotted
from sidecar.config.reading.reading import Reading
from sidecar.config.schemas.schema import Schema
from sidecar.config.text.document import Document
from sidecar.config.text.parse import parse
from sidecar.config.text.templates import TEMPLATES

PATTERN = "*.test.yaml"
FORM = "a file of tests has `tests` and nothing else"


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
    if any(_problems(config.tests, lambda _: Position(str(path)))):
        _tell_own(path, config, reading, schema)
    for file in sorted(path.absolute().parent.glob(PATTERN)):
        found += _read(file, reading, schema)
    return Cases(tuple(found), tuple(reading.problems), reading.sources)


def _tell_own(path: Path, config: Config, reading: Reading, schema: Schema) -> None:
    """Note what is wrong with the config's own tests; where it is written takes another look."""
    loaded = load(path, MachineSystem(), schema, types=plugins)
    reading.sources |= loaded.sources
    if loaded.source is None:  # it has just been changed
        reading.problems += loaded.problems
    else:
        reading.problems += _problems(config.tests, loaded.source.document.value)


def _read(path: Path, reading: Reading, schema: Schema) -> list[Case]:
    text = reading.open(path)
    if text is None:
        return []
    document, problems = parse(text, reading.name(path))
    reading.problems += (
        replace(one, hint=FORM) if one.code == "empty" else one for one in problems
    )
    if document is None:
        return []
    problems = tuple(_mistakes(document, schema))
    reading.problems += problems
    tests = document.data.get("tests")
    if problems or not isinstance(tests, list):
        return []
    reading.problems += _problems(tests, document.value)
    return [Case(path, told) for told in tests]


def _mistakes(document: Document, schema: Schema) -> list[Problem]:
    """What is wrong with the form of a file that has tests and nothing else."""
    found = [
        Problem("unknown-key", f"unknown key {key!r}", document.key((key,)), key, FORM)
        for key in document.data
        if key != "tests"
    ]  # fmt: skip
    if "tests" not in document.data:
        return [*found, Problem("missing-key", "it has no `tests`", _start(document))]
    told = Document({"version": 1, "tests": document.data["tests"]}, document.keys,
                    document.values, document.blocks)  # fmt: skip
    return [*found, *(mistake.problem for mistake in schema.check(told))]


def _problems(tests: Sequence[Told], at: Callable[[Place], Position]) -> Iterator[Problem]:
    """What the schema cannot tell of the tests of one file. `at` tells where a value is written."""
    numbers: dict[str, int] = {}
    for number, told in enumerate(tests):
        place: Place = ("tests", number, "name")
        first = numbers.setdefault(told["name"], number)
        if first != number:
            message, hint = f"two tests are named {told['name']!r}", "give one of them another name"
            related = at(("tests", first, "name"))
            yield Problem(
                "duplicate-test", message, at(place), dotted(place), hint, related=related
            )
        for key in TEMPLATES:
            wanted = told["expect"].get(key)
            pattern = wanted.get("matches", "") if isinstance(wanted, Mapping) else ""
            try:
                re.compile(pattern, re.MULTILINE)
            except (re.error, OverflowError, RecursionError) as error:
                place = ("tests", number, "expect", key, "matches")
                message = f"{pattern!r} is no regular expression: {error}"
                yield Problem("wrong-value", message, at(place), dotted(place))


def _start(document: Document) -> Position:
    return document.value(())
