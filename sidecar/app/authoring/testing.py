"""Runs the tests of a config, offline, and tells what of it they reach."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.app.authoring.expectations import asks_for_process, mistakes
from sidecar.app.authoring.facts import unknown, unknown_channels
from sidecar.app.authoring.invocation import invocation
from sidecar.app.authoring.preview import Preview, name_of, preview, situation_of
from sidecar.app.authoring.testfiles import Case
from sidecar.config.model import Config, Route, Template
from sidecar.config.text.templates import TEMPLATES, templates_of
from sidecar.core.redact import Redactor
from sidecar.errors import SidecarError
from sidecar.prompts.render import Prompts
from sidecar.prompts.trace import blocks_of

FOLDER = "snapshots"
"""Beside the file of a test: what its snapshots were."""


@dataclass(frozen=True, slots=True)
class Result:
    """A test that was run: the turn it led to, and where that is not what is expected."""

    case: Case
    found: Preview | None
    mistakes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Reached:
    """A part of a config, and whether a test reached it."""

    name: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """What tests reach: the routes, and the blocks of the config's own templates in which
    something was printed."""

    routes: tuple[Reached, ...]
    blocks: tuple[Reached, ...]


def run(config: Config, cases: Iterable[Case], *, update: bool = False) -> Iterator[Result]:
    """Run tests one by one. With `update`, snapshots become what is there now. Blocks."""
    prompts = Prompts(config.context, config.channels)
    redact = Redactor(config.secrets).redact  # arguments may be made of some
    for case in cases:
        began = time.perf_counter()
        found, wrong = _run(config, prompts, case, update=update)
        yield Result(case, found, tuple(map(redact, wrong)), time.perf_counter() - began)


def coverage(config: Config, results: Sequence[Result]) -> Coverage:
    """What the tests reached."""
    found = [result.found for result in results if result.found is not None]
    taken = {one.route.name for one in found}
    wrote: dict[Template, set[str]] = {}
    for one in found:
        for made in (getattr(one, key) for key in TEMPLATES):
            if made.by is not None:
                wrote.setdefault(made.by, set()).update(made.wrote)
    routes = config.all_routes
    return Coverage(
        tuple(Reached(route.name, route.name in taken) for route in routes),
        tuple(_blocks(routes, wrote)),
    )


def _run(
    config: Config, prompts: Prompts, case: Case, *, update: bool
) -> tuple[Preview | None, Sequence[str]]:
    expected = case.told["expect"]
    try:
        situation = situation_of(case.told, config)
    except ValueError as error:
        return None, [str(error)]
    wrong = [f"facts: {told}" for told in unknown(situation.facts, config.context.others)]
    if wrong := [*unknown_channels(situation.messages, config), *wrong]:
        return None, wrong
    found = preview(config, prompts, situation)

    def snapshot(name: str, text: str) -> str | None:
        return _snapshot(case.file.parent / FOLDER / name, text, update=update)

    try:
        how = None
        if found is not None and asks_for_process(expected):
            how = invocation(config, situation, found)
        folder = case.file.absolute().parent
        return found, mistakes(expected, found, how, snapshot, folder)
    except (SidecarError, OSError) as error:
        return found, [str(error)]


def _snapshot(path: Path, text: str, *, update: bool) -> str | None:
    """What a snapshot is, after it was written anew for `update`; None where there is none."""
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n", "utf-8")
        return text
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None


def _blocks(routes: Iterable[Route], wrote: Mapping[Template, set[str]]) -> Iterator[Reached]:
    known = set()
    for route in routes:
        for _, template in templates_of(route):
            if template in known:
                continue
            known.add(template)
            for block in blocks_of(template.text):
                name = f"{name_of(template)}{f':{block}' if block else ''}"
                yield Reached(name, block in wrote.get(template, ()))
