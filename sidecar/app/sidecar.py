"""The whole sidecar: what is started in which order, and how it stops."""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self, cast

from sidecar import __version__, metrics
from sidecar.api import Host, KnowsRooms
from sidecar.app.budgets import Budgets
from sidecar.app.channels import Channels
from sidecar.app.discovery import Discovery
from sidecar.app.dispatch import Dispatcher
from sidecar.app.http_client import http_client
from sidecar.app.intake import Intake
from sidecar.app.lag import watch_loop
from sidecar.app.load import NO_MEMORY, Adapt, Loader, Memory
from sidecar.app.log_setup import configure_logs
from sidecar.app.outbox import Outbox
from sidecar.app.recover import recover
from sidecar.app.reload import Reloader
from sidecar.app.snapshot import Snapshot, build
from sidecar.app.status import Status
from sidecar.app.supervisor import Supervisor
from sidecar.app.turn import TurnRunner
from sidecar.app.watch import Digests, changes
from sidecar.app.written import OwnWrites
from sidecar.channels.discovery import scan
from sidecar.config.model import Config
from sidecar.core.budgets import KEPT
from sidecar.model import Message, Room, Said
from sidecar.runtimes.orphans import reap_strays, sweep
from sidecar.server import address
from sidecar.server.http import HttpServer
from sidecar.store.journal import Journal
from sidecar.store.lock import StateLock

log = logging.getLogger(__name__)

PRUNE_INTERVAL = 3600.0
"""Seconds between clean-ups of the journal."""
DISCOVERY_INTERVAL = 2.0
"""Seconds between looks for new credentials files."""
REAP_INTERVAL = 5.0
"""Seconds between collections of dead processes that were left to us."""


class Sidecar:
    """A sidecar in this process, for one `async with`: it runs inside and has stopped after.

    `config` is what the file `path` held, as checked, `inputs` are the files to watch, and with
    `memory` the next check is quick.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        inputs: Digests,
        adapt: Adapt | None = None,
        memory: Memory = NO_MEMORY,
    ) -> None:
        self._path = path
        self._config = config
        self._inputs = inputs
        self._runs = False
        self._logs = (config.log, config.secrets)
        self._supervisor = Supervisor()
        self.spawn = self._supervisor.spawn
        self.state = self._config.state.dir
        self._loader = Loader(path, memory, adapt)
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()
        self._own = OwnWrites()

    async def __aenter__(self) -> Self:
        """Start everything; channels connect in the background.

        Raises:
            StateLocked: another sidecar uses the state folder.
            JournalError: the journal cannot be used.
            PluginError: a runtime cannot be built.
            OSError: the server's address cannot be used.
        """
        async with AsyncExitStack() as stack:
            await self._open_state(stack)
            snapshot = build(self._config, self._host)
            self._build_parts(snapshot)
            await self._serve(stack)
            stack.push_async_callback(self.channels.close)
            stack.push_async_callback(self._close_runtimes)
            stack.push_async_callback(self._supervisor.close)
            # What is left of an earlier run; once channels run, the journal has more than that.
            replies = await self.journal.pending_replies()
            unfinished = await self.journal.unfinished()
            await self._apply(snapshot)
            self.outbox.add(replies)
            recover(unfinished, self.dispatcher, self.channels.config)
            stack.push_async_callback(self._drain)
            background = [
                self._supervisor.keep(self._watch, "watch"),
                self._supervisor.keep(self._discover, "discovery"),
                self._supervisor.keep(self._prune, "prune"),
                self._supervisor.keep(self._reap, "reap"),
                self._supervisor.keep(watch_loop, "loop"),
            ]
            stack.push_async_callback(_cancel, background)
            self._stack = stack.pop_all()
        self._runs = True
        log.info(
            "sidecar %s runs %s: %d channel(s), %d route(s)",
            __version__,
            self._path,
            len(self.channels.statuses()),
            len(self._config.routes),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop receiving, let running turns and replies finish in time, then end everything."""
        await self._stack.aclose()
        log.info("stopped")

    def reload_soon(self, trigger: str) -> None:
        """Ask for a reload, as a save of the config file does. One that starts or stops does not
        listen."""

        async def reload() -> None:
            await self.reloader.reload(trigger)

        if self._runs:
            _ = self.spawn(reload(), "reload")

    async def _open_state(self, stack: AsyncExitStack) -> None:
        state = self._config.state
        lock = StateLock(state.dir)
        await asyncio.to_thread(lock.acquire)
        stack.push_async_callback(asyncio.to_thread, lock.release)
        self._http = http_client()
        stack.push_async_callback(self._http.close)
        self.journal = await Journal.open(state.dir, session_ttl=state.session_ttl, now=time.time())
        stack.push_async_callback(self.journal.close)
        self.budgets = Budgets(await self.journal.spent(time.time() - KEPT))
        killed = await asyncio.to_thread(sweep, state.dir)
        if killed:
            log.warning("%d process(es) that an earlier run left are ended", killed)

    def _build_parts(self, snapshot: Snapshot) -> None:
        self.channels = Channels(self._accept, self._host, self.spawn)
        self.outbox = Outbox(self.journal, self.channels.get, self.spawn)
        runner = TurnRunner(self.journal, self.outbox, self.channels.get, self.spawn, self.budgets)
        self.dispatcher = Dispatcher(
            self.journal, self.outbox, runner, snapshot, self.channels.config, self.spawn
        )
        self._intake = Intake(self.journal, self.dispatcher, self.channels.config, self.spawn)
        self._discovery = Discovery(scan)
        self.reloader = Reloader(
            self._path,
            self._loader.load,
            snapshot,
            self._inputs,
            self._host,
            self.spawn,
            self._apply,
        )

    async def _serve(self, stack: AsyncExitStack) -> None:
        wanted = self._config.server
        if wanted is None:
            return
        parts = (self.channels, self.dispatcher, self.outbox, self.journal, self.budgets)
        inside = Status(self.reloader, *parts)
        server = HttpServer(wanted.listen, wanted.token, inside)
        await server.start()
        stack.push_async_callback(server.close)
        await asyncio.to_thread(address.write, self.state, server.address)
        stack.push_async_callback(asyncio.to_thread, address.remove, self.state)
        log.info("health and status at %s", server.address)

    async def _drain(self) -> None:
        self._runs = False
        limits = self.reloader.snapshot.config.limits
        deadline = time.monotonic() + limits.drain_timeout
        # What is cut at the end takes its grace too, and all of it has to fit.
        grace = min(limits.stop_grace, limits.drain_timeout / 2)
        await self.channels.stop_receiving()
        log.info("stopping: %d turn(s) run", len(self.dispatcher.running))
        await self.dispatcher.drain(max(0.0, deadline - grace - time.monotonic()))
        try:
            await asyncio.wait_for(self.outbox.drained(), max(0.5, deadline - time.monotonic()))
        except TimeoutError:
            log.warning("%d reply(s) stay for the next start", self.outbox.waiting)

    async def _close_runtimes(self) -> None:
        for use in self.reloader.snapshot.runtimes.values():
            await use.runtime.close()
        for context in self.reloader.snapshot.contexts.values():
            await context.provider.close()

    async def _accept(self, messages: Sequence[Message]) -> None:
        await self._intake.accept(messages)

    def _host(self, name: str) -> Host:
        return Host(
            name=name,
            log=logging.getLogger(f"sidecar.{name}"),
            state=self._config.state.dir,
            spawn=self.spawn,
            http=lambda: self._http,
            wrote=self._own.note,
            said_since=self._said_since,
            replied_to=lambda message: self.journal.replied_to(message),
            room_of=self._room_of,
        )

    async def _said_since(self, message: Message, since: float) -> Sequence[Said]:
        return await self.journal.said_since(message.channel, message.account, since)

    async def _room_of(self, message: Message) -> Room | None:
        channel = self.channels.get(message.channel)
        if channel is None or not hasattr(channel, "room"):
            return None
        return await cast(KnowsRooms, channel).room(message.conversation.id)

    async def _apply(self, snapshot: Snapshot, must: Collection[str] = ()) -> None:
        """Make what runs follow a snapshot; not, if one of the channels `must` cannot be built."""
        async with self._one_at_a_time:
            await self._apply_logs(snapshot.config)
            await self._discovery.look(snapshot.config)
            wanted = self._discovery.channels(snapshot.config)
            built = self.channels.build(wanted, must)
            self.channels.use(wanted)
            self.dispatcher.use(snapshot)
            await self.channels.apply(wanted, built)
        self.outbox.retry()

    async def _apply_logs(self, config: Config) -> None:
        """New secrets are kept out of the log before anything uses them."""
        wanted = (config.log, config.secrets)
        if wanted == self._logs:
            return
        try:
            await asyncio.to_thread(configure_logs, config)
        except OSError as error:
            metrics.count("log_failures_total")
            log.error("the log stays as it was: %s", error)  # noqa: TRY400 -- told, not a defect
        else:
            self._logs = wanted

    async def _watch(self) -> None:
        loader, inputs = self._loader, lambda: self.reloader.inputs
        async for calm in changes(inputs, known=self._inputs, own=self._own, stirs=loader.begin):
            await self.reloader.reload("file", loader.begun if calm else None)

    async def _discover(self) -> None:
        while True:
            await asyncio.sleep(DISCOVERY_INTERVAL)
            async with self._one_at_a_time:
                config = self.reloader.snapshot.config
                changed = await self._discovery.look(config)
                if changed:
                    await self.channels.apply(self._discovery.channels(config))
            if changed:
                self.outbox.retry()

    async def _prune(self) -> None:
        while True:
            ttl = self._config.state.journal_ttl
            removed = await self.journal.prune(now=time.time(), journal_ttl=ttl)
            metrics.count("journal_pruned_total", removed)
            await asyncio.sleep(PRUNE_INTERVAL)

    async def _reap(self) -> None:
        while True:
            reap_strays()
            await asyncio.sleep(REAP_INTERVAL)


async def _cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
