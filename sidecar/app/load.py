"""From the config file to something that can run: one function for start, reload and validate."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.app.system import MachineSystem
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import Problem
from sidecar.config.schema import Schema
from sidecar.prompts.render import Prompts

Adapt = Callable[[Config], Awaitable[Config]]
"""Changes a checked configuration before it is used, as the development Hub does."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A checked configuration that can run. `inputs` are the files whose content matters."""

    config: Config
    prompts: Prompts
    inputs: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What became of a config file. `ready` is None where there is an error.

    `draft` is what could be understood all the same, for commands that only look.
    """

    ready: Ready | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: frozenset[Path]


def load_candidate(path: Path) -> Candidate:
    """Load, check and compile. Blocks: call it in a thread."""
    loaded = load(path, MachineSystem(), Schema())
    problems, ready = loaded.problems, None
    if loaded.draft is not None:
        prompts, found = Prompts.compile(loaded.draft)
        problems += found
        if loaded.config is not None and not any(one.level == "error" for one in found):
            ready = Ready(loaded.config, prompts, loaded.inputs)
    return Candidate(ready, loaded.draft, problems, loaded.sources, loaded.inputs)


async def load_adapted(path: Path, adapt: Adapt | None) -> Candidate:
    """Load in a thread, then adapt."""
    found = await asyncio.to_thread(load_candidate, path)
    if found.ready is None or adapt is None:
        return found
    return replace(found, ready=replace(found.ready, config=await adapt(found.ready.config)))
