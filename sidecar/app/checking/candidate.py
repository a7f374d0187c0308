"""What a check of a config file found, and how it is handed over to another process.

The checker imports no asyncio: that would take a part of the time in which a save takes effect.
"""

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import IO, Any

from sidecar.app.watching.digests import Digests
from sidecar.config.model import Budget, Config, Match, Route, SessionBounds, Template
from sidecar.config.problems import Problem

PIECE = 200
"""Routes that are read at once: it takes a few milliseconds, in which no other thread runs."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What makes the next check of a config quick: what the checker knows of its routes, pickled,
    and the routes themselves."""

    known: bytes = b""
    routes: tuple[Route, ...] = ()


NO_MEMORY = Memory()
UNCHECKED = "unchecked"
"""The code of the problem that tells that a check came to no end, whatever the file holds."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What became of a config file. `config` is None where there is an error.

    `draft` is what could be understood all the same, for commands that only look. `sources` are
    the texts that problems point into, `inputs` the files whose content matters, with what they
    held. `memory` is for the next check.
    """

    config: Config | None
    draft: Config | None
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    inputs: Digests
    memory: Memory = NO_MEMORY


def write_answer(found: Candidate, kept: Sequence[int | None], file: IO[bytes]) -> None:
    """Write what a check found, in pieces. Of each route of the config, `kept` tells which one it
    is of those that the memory had, None for a new one."""
    routes: Sequence[Route] = ()
    if found.draft is not None:
        # What can run is the draft too; of what cannot, it tells at least the state folder.
        slim = None if found.config is not None else replace(found.draft, routes=())
        found = replace(found, draft=slim)
    if found.config is not None:
        routes = [
            route for route, old in zip(found.config.routes, kept, strict=True) if old is None
        ]
        found = replace(found, config=replace(found.config, routes=()))
    pickle.dump((found, kept), file)
    for start in range(0, len(routes), PIECE):
        pickler = pickle.Pickler(file)
        pickler.dispatch_table = _REDUCED
        pickler.dump(routes[start : start + PIECE])


def read_answer(answer: bytes, memory: Memory) -> Candidate:
    """What a check found, that was given a memory. Blocks, but no other thread."""
    file = io.BytesIO(answer)
    found, kept = _next(file)
    if found.config is None:
        return found  # type: ignore[no-any-return]  # as it was written
    new = (route for _ in kept for route in _next(file))
    routes = tuple(next(new) if old is None else memory.routes[old] for old in kept)
    config = replace(found.config, routes=routes)
    learned = Memory(found.memory.known, routes)
    return replace(found, config=config, draft=config, memory=learned)  # type: ignore[no-any-return]


_Reduction = Callable[[Any], tuple[type, tuple[object, ...]]]


def _reduction(kind: type[Any]) -> _Reduction:
    values = attrgetter(*(field.name for field in fields(kind)))
    return lambda part: (kind, values(part))


_PARTS: Sequence[type[Any]] = (Route, Match, Template, SessionBounds, Budget)
_REDUCED: dict[type, _Reduction] = {kind: _reduction(kind) for kind in _PARTS}
"""How to pickle the parts of routes. As dataclasses with slots are pickled, writing takes three
times and reading twice as long."""


def _next(file: IO[bytes]) -> Any:
    return pickle.load(file)  # noqa: S301 -- from our own process
