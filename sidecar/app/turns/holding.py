"""What a turn holds of a configuration: its runtime and contexts stay open until it lets go."""

import time
from typing import cast

from sidecar.api import Retires, Spawn
from sidecar.app.turns.contexts import hold, release
from sidecar.app.turns.snapshot import RuntimeUse, Snapshot
from sidecar.app.turns.work import Running, Work


def take(snapshot: Snapshot, runtime: str) -> Running:
    """Hold a configuration, with its runtime of a name."""
    use = snapshot.runtimes[runtime]
    use.users += 1
    hold(snapshot.contexts)
    return Running(snapshot, use, time.time())


def let_go(running: Running, spawn: Spawn) -> None:
    """Hold it no more; what has been replaced meanwhile is closed by the last one that held it."""
    release(running.snapshot.contexts, spawn)
    use = running.use
    use.users -= 1
    if use.retired:
        _close_unused(use, spawn)


def retire(use: RuntimeUse, spawn: Spawn) -> None:
    """Give up a runtime that has been replaced. What it keeps for later turns is ended at once: it
    may hold sessions that its successor is to go on with."""
    use.retired = True
    if use.users and hasattr(use.runtime, "retire"):
        _ = spawn(cast(Retires, use.runtime).retire(), f"retire:{use.config.name}")
    _close_unused(use, spawn)


def _close_unused(use: RuntimeUse, spawn: Spawn) -> None:
    if not use.users:
        _ = spawn(use.runtime.close(), f"retire:{use.config.name}")


def pin(work: Work, snapshot: Snapshot) -> Running:
    """What a turn that waits is to run with: this configuration, or the one it is pinned to."""
    work.pinned = work.pinned or take(snapshot, work.route.runtime)
    return work.pinned


def unpin(work: Work, spawn: Spawn) -> None:
    """Let it run with the configuration of its time."""
    if work.pinned is not None:
        let_go(work.pinned, spawn)
        work.pinned = None
