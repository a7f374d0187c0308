"""One whole configuration, compiled and built: what runs is described by exactly one of these.

A reload builds the next snapshot beside the present one, reusing each runtime whose
configuration did not change; a turn keeps the snapshot with which it began.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sidecar import metrics
from sidecar.api import ComponentKind, Host, Runtime
from sidecar.app.turns.contexts import Contexts, build_contexts, retire
from sidecar.config import model as config
from sidecar.core.routing import Router
from sidecar.errors import PartsFailed
from sidecar.plugins import runtime_type
from sidecar.prompts.render import Prompts

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RuntimeUse:
    """A built runtime and how many turns use it; the last user of a retired one closes it."""

    config: config.Runtime
    runtime: Runtime
    users: int = 0
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration with everything that is derived from it."""

    generation: int
    config: config.Config
    router: Router
    prompts: Prompts
    runtimes: Mapping[str, RuntimeUse] = field(default_factory=dict)
    contexts: Contexts = field(default_factory=dict)

    def runtime_limits(self) -> dict[str, int]:
        """How many turns each runtime may run at once, where it has a limit."""
        return {
            name: use.config.concurrent_turns
            for name, use in self.runtimes.items()
            if use.config.concurrent_turns is not None
        }


def types_of(checked: config.Config) -> list[tuple[ComponentKind, str]]:
    """The types of all parts of a configuration."""
    return [
        *(("channel", channel.type) for channel in checked.channels.values()),
        *(("runtime", runtime.type) for runtime in checked.runtimes.values()),
        *(("context", name) for name in checked.context.others),
    ]


def build(
    checked: config.Config,
    host: Callable[[str], Host],
    previous: Snapshot | None = None,
    router: Router | None = None,
) -> Snapshot:
    """The snapshot of a checked configuration. `host` lends what a component of a name needs; the
    router of many routes takes a while, so it may be made before. Without a `previous` one, the
    prompts are still to be prepared.

    Raises:
        PartsFailed: a runtime cannot be built.
        PluginError: the type of a context cannot be loaded or built.
    """
    before_contexts = previous.contexts if previous is not None else {}
    contexts = build_contexts(checked.context, host, before_contexts)
    before = previous.runtimes if previous is not None else {}
    runtimes: dict[str, RuntimeUse] = {}
    for name, wanted in checked.runtimes.items():
        if name in before and before[name].config == wanted:
            runtimes[name] = before[name]
            continue
        try:
            runtimes[name] = RuntimeUse(wanted, build_runtime(wanted, host(name)))
        except Exception as error:  # whatever a runtime type does wrong, nothing has changed
            for done, use in runtimes.items():
                if use is not before.get(done):
                    _ = host(done).spawn(use.runtime.close(), f"discard:{done}")
            retire(contexts, before_contexts, host(name).spawn)
            raise PartsFailed({("runtimes", name): f"cannot be built: {error}"}) from error
    prompts = Prompts(checked.context, checked.channels)
    if previous is not None:
        prompts.prepare()
    return Snapshot(
        generation=previous.generation + 1 if previous is not None else 1,
        config=checked,
        router=router or Router(checked.routes, checked.default_route),
        prompts=prompts,
        runtimes=runtimes,
        contexts=contexts,
    )


def build_runtime(wanted: config.Runtime, host: Host) -> Runtime:
    """The runtime of a name. Raises whatever its type does."""
    options = {
        **wanted.options,
        "args": wanted.args,
        "env": wanted.env,
        "inherit_env": wanted.inherit_env,
        "memory_max": wanted.memory_max,
        "nice": wanted.nice,
        "warm": wanted.warm,
    }
    return runtime_type(wanted.type).build(options, host)


async def close(snapshot: Snapshot) -> None:
    """End what the runtimes and context providers of a snapshot still have."""
    for name, use in snapshot.runtimes.items():
        await _close(f"runtime {name}", use.runtime.close)
    for name, context in snapshot.contexts.items():
        await _close(f"context {name}", context.provider.close)


async def _close(what: str, close: Callable[[], Awaitable[None]]) -> None:
    try:
        await close()
    except Exception:  # whatever one does wrong, the others are closed
        metrics.count("task_failures_total", task="close")
        log.exception("%s: cannot be closed", what)
