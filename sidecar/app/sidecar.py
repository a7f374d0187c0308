"""The whole sidecar: what is started in which order, and how it stops."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Self

from sidecar import __version__
from sidecar.api import Host
from sidecar.app.checking.candidate import NO_MEMORY, Memory
from sidecar.app.checking.load import Adapt, Loader
from sidecar.app.connecting.channels import Channels
from sidecar.app.connecting.discovery import Discovery, interval
from sidecar.app.connecting.http_client import http_client
from sidecar.app.connecting.renewal import Renewal
from sidecar.app.drain import drain
from sidecar.app.lifecycle.chores import prune, reap, tick
from sidecar.app.lifecycle.lag import watch_loop
from sidecar.app.lifecycle.log_setup import LogSetup
from sidecar.app.lifecycle.presence import Presence
from sidecar.app.lifecycle.server_token import ServerToken
from sidecar.app.lifecycle.supervisor import Supervisor, cancel
from sidecar.app.reloading.last_good import LastGood
from sidecar.app.reloading.notices import Notices
from sidecar.app.reloading.reload import Reloader
from sidecar.app.status import Status
from sidecar.app.steering.control_parts import ControlParts, Inside
from sidecar.app.steering.control_plane import ControlPlane
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.app.turns.budgets import Budgets
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.intake import Intake
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.recover import recover
from sidecar.app.turns.snapshot import Snapshot, build, close
from sidecar.app.turns.turn import TurnRunner
from sidecar.app.turns.under_way import under_way
from sidecar.app.watching.digests import Digests
from sidecar.app.watching.own_writes import OwnWrites
from sidecar.app.watching.watch import changes
from sidecar.app.watching.watcher import Watcher
from sidecar.config.model import Config
from sidecar.config.problems import Problem
from sidecar.config.reading.managed import FOLDER
from sidecar.core.budgets import KEPT
from sidecar.errors import SidecarError
from sidecar.runtimes.processes.orphans import sweep
from sidecar.server.http import HttpServer
from sidecar.store.journal import Journal

log = logging.getLogger(__name__)


class Sidecar:
    """A sidecar in this process, for one `async with`: it runs inside and has stopped after.

    `config` is what the file `path` held, as checked, `inputs` are the files to watch, and with
    `memory` the next check is quick. `problems` are those of the file: with an error among them,
    `config` is the last good one instead.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        inputs: Digests,
        adapt: Adapt | None = None,
        memory: Memory = NO_MEMORY,
        problems: Sequence[Problem] = (),
    ) -> None:
        self._path = path
        self._config = config
        self._inputs = inputs
        self._runs = False
        self._logs = LogSetup(config)
        self._supervisor = Supervisor()
        self.spawn = self._supervisor.spawn
        self.state = self._config.state.dir
        # In it is what the control plane set: another `state.dir` counts with the next start.
        self._loader = Loader(path, memory, adapt, str(self.state), lambda: self.reloader.inputs)
        self._stack = AsyncExitStack()
        self._one_at_a_time = asyncio.Lock()
        self.watcher = Watcher()
        self._own = OwnWrites()
        self._problems = problems
        self._last_good = LastGood(self.state, path, config, inputs)

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
            self.reloader.began(self._problems)
            await self.control.recover()
            await self._serve(stack)
            stack.push_async_callback(self.channels.close)
            stack.push_async_callback(lambda: close(self.reloader.snapshot))
            stack.push_async_callback(self._supervisor.close)
            # What is left of an earlier run; once channels run, the journal has more than that.
            replies = await self.journal.pending_replies()
            unfinished = await self.journal.unfinished()
            await self._apply(snapshot)
            self.outbox.add(replies)
            recover(unfinished, self.dispatcher, self.channels.speaker)
            self.status.started.set()
            self._last_good.behind = not self.reloader.shortfall
            stack.push_async_callback(self._drain)
            keep = self._supervisor.keep
            background = [
                keep(self._watch, "watch"),
                keep(self._discover, "discovery"),
                keep(lambda: prune(self.journal, self._config.state.journal_ttl), "prune"),
                keep(self.plane.run, "control plane"),
                keep(reap, "reap"),
                keep(self._notices.run, "notices"),
                keep(self._last_good.run, "config keeper"),
                keep(watch_loop, "loop"),
            ]
            stack.push_async_callback(cancel, background)
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
        """Ask for a reload, as a save of the config file does; not while it starts or stops."""

        async def reload() -> None:
            await self.reloader.reload(trigger)

        if self._runs:
            _ = self.spawn(reload(), "reload")

    async def _open_state(self, stack: AsyncExitStack) -> None:
        state = self._config.state
        self._presence = Presence(state.dir)
        self._token = ServerToken(self._config.server, self._presence)
        await asyncio.to_thread(self._presence.begin)
        stack.push_async_callback(asyncio.to_thread, self._presence.end)
        await asyncio.to_thread((state.dir / FOLDER).mkdir, mode=0o700, exist_ok=True)
        self._http = http_client()
        stack.push_async_callback(self._http.close)
        self.journal = await Journal.open(state.dir, session_ttl=state.session_ttl, now=time.time())
        stack.push_async_callback(self.journal.close)
        self.budgets = Budgets(await self.journal.spent(time.time() - KEPT))
        killed = await asyncio.to_thread(sweep, state.dir)
        if killed:
            log.warning("%d process(es) that an earlier run left are ended", killed)

    def _build_parts(self, snapshot: Snapshot) -> None:
        self.channels = Channels(
            lambda new: self._intake.accept(new), self._host, self.spawn, self.journal.names
        )
        self._renewal = Renewal(self.channels, self._one_at_a_time, self.spawn, self.reload_soon)
        self.outbox = Outbox(self.journal, self.channels.sender, self.spawn)
        runner = TurnRunner(self.journal, self.outbox, self.channels.get, self.spawn, self.budgets)
        self.dispatcher = Dispatcher(
            self.journal, self.outbox, runner, snapshot, self.channels.speaker, self.spawn
        )
        bring_back = partial(self._presence.renew, self._last_good.renew)
        self.journal.protect(partial(under_way, self.dispatcher, self.outbox), bring_back)
        attention = AttentionPolicies(self.channels.get)
        self._intake = Intake(
            self.journal, self.dispatcher, self.channels.config, self.spawn, attention
        )
        self._discovery = Discovery()
        self.reloader = Reloader(
            self._path,
            self._loader.load,
            snapshot,
            self._inputs,
            self._host,
            self.spawn,
            self._apply,
            self._last_good.keep,
        )
        self._notices = Notices(lambda: self.reloader.snapshot.config, self.channels.get)
        self.reloader.tell, runner.outages.tell = self._notices.note, self._notices.warn
        parts = (self.channels, self.dispatcher, self.outbox, self.journal)
        self.plane = ControlPlane(self._host("control"), self.journal)
        own = (self._own, self.plane, self.watcher, runner.outages)
        self.status = Status(self.reloader, *parts, self.budgets, *own)
        inside = Inside(
            self.reloader,
            *parts,
            attention,
            self._own,
            self._intake.accept,
            self._intake.settled,
            self.status.picture,
            self._host("control"),
        )
        self.control = ControlParts(inside, self.plane.send)
        self.status.forget_agents(self.control.forget)
        self.plane.obey(self.control.act, self.control.connected)

    async def _serve(self, stack: AsyncExitStack) -> None:
        if (wanted := self._config.server) is None:
            return
        server = HttpServer(wanted.listen, self._token.present, self.status)
        await server.start()
        stack.push_async_callback(server.close)
        stack.push_async_callback(asyncio.to_thread, self._presence.take_back)
        await asyncio.to_thread(self._presence.tell, server.address, wanted.token)
        log.info("health and status at %s", server.address)

    async def _drain(self) -> None:
        self._runs = False
        self._loader.close()
        limits = self.reloader.snapshot.config.limits
        await drain(limits, self.channels, self.dispatcher, self.outbox)

    def _host(self, name: str) -> Host:
        return Host(
            name,
            logging.getLogger(f"sidecar.{name}"),
            self._config.state.dir,
            self.spawn,
            lambda: self._http,
            wrote=self._own.note,
            reached=lambda: self.outbox.retry(name),
            said_since=lambda one, since: self.journal.said_since(one.channel, one.account, since),
            replied_to=lambda message: self.journal.replied_to(message),
            room_of=lambda message: self.channels.room_of(message),
        )

    async def _apply(self, snapshot: Snapshot, must: Collection[str] = ()) -> Mapping[str, str]:
        """Make what runs follow a snapshot, as `reload.Apply`. Raises PartsFailed when one of the
        channels `must` does not start; or, with nothing changed, cannot be built, or the log; and
        SidecarError when the sidecar stops."""
        async with self._one_at_a_time:
            if not self.channels.receiving:
                raise SidecarError("the sidecar stops")
            # New secrets are kept out of the log before anything uses them.
            await self._logs.follow(snapshot.config, must=snapshot is not self.reloader.snapshot)
            self.channels.hide(snapshot.config.secrets)
            await self._discovery.look(snapshot.config)
            wanted = self._discovery.channels(snapshot.config)
            built = self.channels.build(wanted, must)
            must = {*must}.intersection(self.channels.at_risk(wanted))
            with self._intake.holding(self.channels.new_rules(wanted)):
                await self.channels.apply(wanted, built)
                await self.channels.check(must)
                await self._token.follow(snapshot.config.server)
                # From here on it stays: no message meets rules or routes that are taken back.
                self.plane.use(snapshot.config.control_plane)
                self.control.use(snapshot.config)
                self.channels.use(wanted)
                self.dispatcher.use(snapshot)
            renewed = await self._renewal.run()
        self.outbox.retry()
        return renewed

    async def _watch(self) -> None:
        async for calm in changes(
            lambda: self.reloader.inputs,
            timing=lambda: self.reloader.snapshot.config.reload,
            own=self._own,
            stirs=self._loader.begin,
            watcher=self.watcher,
            retries=lambda: bool(self.reloader.shortfall),
            unchecked=lambda: self.reloader.unchecked,
        ):
            await self.reloader.reload("file", self._loader.begun if calm else None)

    async def _discover(self) -> None:
        while True:
            await tick(interval(self.reloader.snapshot.config))
            async with self._one_at_a_time:
                config = self.reloader.snapshot.config
                if await self._discovery.look(config):
                    wanted = self._discovery.channels(config)
                    self.channels.use(wanted)
                    self.dispatcher.use(self.reloader.snapshot)
                    await self.channels.apply(wanted)
