"""What a running sidecar answers over HTTP: its picture, a plan, a reload."""

import asyncio
import logging
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from sidecar import __version__, metrics
from sidecar.api import ChannelStatus
from sidecar.app.connecting.channels import Channels
from sidecar.app.gauges import Gauge, Gauges
from sidecar.app.reloading.outcome import Outcome
from sidecar.app.reloading.reload import Reloader
from sidecar.app.steering.control_plane import ControlPlane
from sidecar.app.turns.actions import Actions
from sidecar.app.turns.budgets import Budgets
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outages import Outage, Outages
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.work import Work
from sidecar.app.watching.digests import digests
from sidecar.app.watching.own_writes import OwnWrites
from sidecar.app.watching.watcher import Watcher
from sidecar.config.comparing.plan import to_json
from sidecar.config.model import Config
from sidecar.errors import JournalError
from sidecar.store.journal import Journal
from sidecar.store.records import JournalCounts

log = logging.getLogger(__name__)


class Status:
    """Puts the answers together from the parts that run. Until `started` is set, what changes
    something waits: the start would not know that it has."""

    def __init__(
        self,
        reloader: Reloader,
        channels: Channels,
        dispatcher: Dispatcher,
        outbox: Outbox,
        journal: Journal,
        budgets: Budgets,
        own: OwnWrites,
        plane: ControlPlane,
        watcher: Watcher,
        outages: Outages,
    ) -> None:
        self._reloader = reloader
        self._channels = channels
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._journal = journal
        self._budgets = budgets
        self._own = own
        self._plane = plane
        self._watcher = watcher
        self._outages = outages
        self._actions = Actions(journal, dispatcher, outbox)
        self.started = asyncio.Event()
        self._since = time.time()
        # Threads are few, and a file system that hangs may keep no more than one of them.
        self._disk = asyncio.Lock()
        self._gauges = Gauges(reloader, channels, dispatcher, outbox, outages)

    def forget_agents(self, forget: Callable[[str], Awaitable[Mapping[str, object]]]) -> None:
        """From now on, `forget` removes an agent of the control plane that a person names."""
        self._actions.forget_agent = forget

    def gauges(self) -> Iterable[Gauge]:
        """The states that a monitoring system asks for."""
        return self._gauges.read()

    def channel_states(self) -> Mapping[str, str]:
        """The state of each channel."""
        return {name: status.state for name, (_, status) in self._channels.statuses().items()}

    async def picture(self) -> Mapping[str, object]:
        """Channels, turns, outbox, journal, the last reloads and the counters, as JSON values."""
        try:
            counts = await self._journal.counts()
        except JournalError as error:  # the rest of the picture is what helps then
            metrics.count("journal_failures_total")
            log.error("the journal cannot be counted: %s", error)  # noqa: TRY400 -- told
            counts = JournalCounts({}, 0, 0, 0)
        statuses = self._channels.statuses()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "since": self._since,
            "config": str(self._reloader.path),
            "generation": self._reloader.snapshot.generation,
            "digest": self._reloader.digest,
            "pending": self._reloader.pending,
            "on_disk": await self._on_disk(),
            "watcher": asdict(self._watcher),
            "not_ready": self.not_ready(),
            "degraded": self.degraded(),
            "channels": {name: _channel(*found) for name, found in statuses.items()},
            "control_plane": self._plane.picture(),
            "remarks": self.remarks(),
            "outages": {name: asdict(one) for name, one in self._present_outages().items()},
            "running": [
                {
                    **_turn(work),
                    "since": running.since,
                    "generation": running.snapshot.generation,
                }
                for work, running in self._dispatcher.running.values()
            ],
            "waiting": [_turn(work) for work in self._dispatcher.waiting.values()],
            "outbox": {"pending": self._outbox.waiting, "refused": counts.replies_refused},
            "journal": {"turns": dict(counts.turns), "sessions": counts.sessions},
            "spending": self._budgets.picture(self._reloader.snapshot.config.all_routes),
            "last_error": self._last_error(),
            "reloads": [_reload(one) for one in self._reloader.history],
            "counters": metrics.snapshot(),
        }

    async def plan(self, path: Path) -> Mapping[str, object]:
        """What would change if the config file held what this one holds, and which turns would be
        left on runtimes that go.

        Of another file than the running one, problems are not told: who asks may not be allowed
        to read it, and can check it all the same when it is.
        """
        own = path == self._reloader.path
        async with self._disk:
            ours = own or await asyncio.to_thread(_is_ours, path)
        if not ours:
            return {"valid": False, "problems": ["only a file of the sidecar's user is planned"]}
        proposal = await self._reloader.plan(path)
        return {
            "config": str(self._reloader.path),
            "valid": proposal.config is not None,
            "problems": proposal.problems if own else (),
            "plan": to_json(proposal.plan),
            "turns": self._on_old_runtimes(proposal.config),
        }

    async def reload(self) -> Mapping[str, object]:
        """What a reload led to."""
        await self.started.wait()
        return _reload(await self._reloader.reload("http"))

    async def act(self, kind: str, verb: str, target: str) -> Mapping[str, object]:
        """Do something about a turn, a session, a reply or an agent, as `Actions.act`."""
        await self.started.wait()
        return await self._actions.act(kind, verb, target)

    def not_ready(self) -> list[str]:
        """Why the sidecar is not ready. A channel that backs off is on its way, so it counts."""
        return [
            f"channel {name}: {status.state}{f': {status.reason}' if status.reason else ''}"
            for name, (_, status) in self._channels.statuses().items()
            if status.state in ("starting", "stopped")
        ]

    def degraded(self) -> str:
        """Why it works, but not with all that the config file holds; empty where it does."""
        return self._reloader.shortfall

    def remarks(self) -> list[str]:
        """What a person has to do, though the channels work."""
        outages = self._present_outages().items()
        return [*self._plane.remarks(), *(one.line(name) for name, one in outages)]

    def _present_outages(self) -> Mapping[str, Outage]:
        return self._outages.present(self._reloader.snapshot.config.runtimes, time.time())

    async def _on_disk(self) -> dict[str, object]:
        """The hash of the config file, whether what runs was made of it and of all that it names,
        and what has changed since it was looked at."""
        known, path = self._reloader.inputs, self._reloader.path
        async with self._disk:
            now = await asyncio.to_thread(digests, {path, *known})
        changed = [
            str(one) for one, held in known.items() if not self._own.lead(held, now.get(one))
        ]
        held = now[path]
        return {
            "sha256": held.hex() if held is not None else None,
            "in_force": not changed and not self.degraded(),
            "changed": changed,
        }

    def _last_error(self) -> dict[str, object] | None:
        for one in reversed(self._reloader.history):
            if one.result in ("rejected", "degraded"):
                return {"at": one.at, "trigger": one.trigger, "problems": one.problems}
        return None

    def _on_old_runtimes(self, config: Config | None) -> list[str]:
        """The running turns whose runtime would be closed when they have ended."""
        return [
            turn
            for turn, (_, running) in self._dispatcher.running.items()
            if config and config.runtimes.get(running.use.config.name) != running.use.config
        ]


def _is_ours(path: Path) -> bool:
    """Whether nobody else can have written a file to find out what the sidecar makes of it."""
    try:
        told = path.stat()
    except OSError:
        return False
    return told.st_uid in (0, os.geteuid()) and not told.st_mode & stat.S_IWOTH


def _reload(outcome: Outcome) -> dict[str, object]:
    return {
        "at": outcome.at,
        "trigger": outcome.trigger,
        "result": outcome.result,
        "generation": outcome.generation,
        "previous": outcome.previous,
        "digest": outcome.digest,
        "seconds": outcome.seconds,
        "plan": to_json(outcome.plan),
        "problems": outcome.problems,
        "pending": outcome.pending,
        "warnings": outcome.warnings,
    }


def _channel(account: str, status: ChannelStatus) -> dict[str, object]:
    return {
        "account": account,
        "state": status.state,
        "since": status.since,
        "reason": status.reason,
        "connection": status.connection,
        "reconnects": status.reconnects,
    }


def _turn(work: Work) -> dict[str, object]:
    message = work.newest
    return {
        "turn": work.turn,
        "channel": message.channel,
        "conversation": message.conversation.id,
        "thread": message.conversation.thread,
        "route": work.route.name,
        "runtime": work.route.runtime,
        "trust": work.trust,
        "received_at": message.received_at,
    }
