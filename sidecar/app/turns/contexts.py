"""The context providers of a snapshot: built with it, asked for a turn, closed after its last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

from sidecar import metrics
from sidecar.api import Asked, ContextProvider, ContextType, Host, Spawn
from sidecar.config.model import Context
from sidecar.errors import PluginError
from sidecar.plugins import CONTEXTS, context_type

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ContextUse:
    """A built provider and how many turns may ask it; the last one of a retired one closes it."""

    type: ContextType
    options: Mapping[str, object]
    provider: ContextProvider
    users: int = 0
    retired: bool = False


Contexts = Mapping[str, ContextUse]
"""Providers by the name that templates have for them."""


def build_contexts(wanted: Context, host: Callable[[str], Host], before: Contexts) -> Contexts:
    """The providers of a configuration; those of `before` that are the same are taken over.

    Raises:
        PluginError: one cannot be loaded or built.
    """
    built: dict[str, ContextUse] = {}
    for name, options in _options(wanted).items():
        try:
            type_ = context_type(name)
            old = before.get(name)
            if old is not None and (old.type, old.options) == (type_, options):
                built[name] = old
            else:
                built[name] = ContextUse(type_, options, type_.build(options, host(name)))
        except Exception as error:  # whatever a type does wrong, nothing has changed
            retire(built, before, host(name).spawn)
            raise PluginError(f"context {name}: cannot be built: {error}") from error
    return built


def hold(contexts: Contexts) -> None:
    """A turn begins that may ask them."""
    for use in contexts.values():
        use.users += 1


def release(contexts: Contexts, spawn: Spawn) -> None:
    """A turn that held them has ended."""
    for name, use in contexts.items():
        use.users -= 1
        if use.retired and not use.users:
            _ = spawn(use.provider.close(), f"retire:{name}")


def retire(contexts: Contexts, others: Contexts, spawn: Spawn) -> None:
    """Close what the other ones have not taken over, when no turn holds it any more."""
    for name, use in contexts.items():
        if use is not others.get(name):
            use.retired = True
            if not use.users:
                _ = spawn(use.provider.close(), f"retire:{name}")


async def ask(
    contexts: Contexts, names: Collection[str], asked: Asked, *, timeout: float, spawn: Spawn
) -> dict[str, object]:
    """What the named providers tell, within `timeout` seconds in all.

    One that fails, or takes longer, is as one that has nothing to tell.
    """
    uses = {name: contexts[name] for name in names if name in contexts}
    found: dict[str, object] = {}
    waits: dict[str, Awaitable[object]] = {}
    for name, use in uses.items():
        try:
            value = use.provider.value(asked)
        except Exception as error:  # noqa: BLE001 -- whatever it does wrong, the turn goes on
            _failed(name, f"{type(error).__name__}: {error}")
        else:
            if hasattr(value, "__await__"):  # a tenth of what `isinstance` takes
                waits[name] = cast(Awaitable[object], value)
            else:
                found[name] = value
    if waits:
        found |= await _answers(waits, timeout, spawn)
    return {name: found.get(name, use.type.empty) for name, use in uses.items()}


async def _answers(
    waits: Mapping[str, Awaitable[object]], timeout: float, spawn: Spawn
) -> dict[str, object]:
    """Those that come within `timeout` seconds."""
    found: dict[str, object] = {}

    async def one(name: str, answer: Awaitable[object]) -> None:
        try:
            found[name] = await answer
        except Exception as error:  # noqa: BLE001 -- whatever it does wrong, the turn goes on
            _failed(name, f"{type(error).__name__}: {error}")

    tasks = {name: spawn(one(name, answer), f"context:{name}") for name, answer in waits.items()}
    try:
        await asyncio.wait(tasks.values(), timeout=timeout)
    finally:
        late = [name for name, task in tasks.items() if not task.done()]
        for name in late:
            tasks[name].cancel()
    for name in late:
        _failed(name, f"no answer within {timeout:g} s")
    return dict(found)  # a late one that ignores that it is cancelled changes nothing any more


def _failed(name: str, reason: str) -> None:
    metrics.count("context_failures_total", context=name)
    log.warning("context %s: %s", name, reason)


def _options(wanted: Context) -> dict[str, Mapping[str, object]]:
    """The options of each provider."""
    known: dict[str, Mapping[str, object]] = {
        "activity": {
            "window": wanted.activity_window,
            "max_entries": wanted.activity_max_entries,
            "share_groups": wanted.activity_share_groups,
        },
        "room": {"ttl": wanted.room_ttl},
    }
    built_in = {name: known.get(name, {}) for name in CONTEXTS}
    if not wanted.working_memory:
        built_in.pop("memory", None)
    return {**built_in, **wanted.others}
