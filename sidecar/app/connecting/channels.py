"""The channels that run: started, restarted with back-off, changed and removed one by one."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import cast

from sidecar import metrics
from sidecar.api import Accept, Channel, ChannelStatus, ChannelType, Host, KnowsRooms, Spawn
from sidecar.app.connecting.channel_run import FIRST_WAIT, ChannelRun
from sidecar.app.connecting.speakers import Speakers
from sidecar.config.model import Channel as ChannelConfig
from sidecar.core.redact import Redactor
from sidecar.errors import ChannelUnavailable, PartsFailed
from sidecar.model import Message, Room
from sidecar.plugins import channel_type
from sidecar.store.names import Names

log = logging.getLogger(__name__)

START_WITHIN = 3.0
"""Seconds in which a channel that cannot start tells so; one that takes longer is on its way."""
_COMING = ("starting", "connecting")
_PAUSE = 0.01


Built = Mapping[str, Channel | Exception]
"""Channels that wait to be started, or why one cannot be built."""


class Channels:
    """Keeps the wanted channels running. `names` are those that the journal knows, `types` finds a
    channel type by its name. When they are not `receiving` any more, none is started."""

    def __init__(
        self,
        accept: Accept,
        host: Callable[[str], Host],
        spawn: Spawn,
        names: Names,
        *,
        types: Callable[[str], ChannelType] = channel_type,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._types = types
        self._first_wait = first_wait
        self._accept = accept
        self._host = host
        self._spawn = spawn
        self._running: dict[str, ChannelRun] = {}
        self._broken: dict[str, tuple[ChannelConfig, ChannelStatus]] = {}
        self._wanted: Mapping[str, ChannelConfig] = {}
        self._speakers = Speakers(names, types)
        self._redactor = Redactor(())
        self.receiving = True

    def get(self, name: str) -> Channel | None:
        """The channel of an id, None when there is none."""
        entry = self._running.get(name)
        return entry.channel if entry is not None else None

    def config(self, name: str) -> ChannelConfig | None:
        """The configuration of a channel, also of a discovered one; None when it is not wanted."""
        return self._wanted.get(name)

    def speaker(self, name: str, account: str) -> ChannelConfig | None:
        """The configuration of the channel that speaks now as the account that the channel of an
        id had; None when none does."""
        return self._speakers.find(name, account)

    def sender(self, name: str, account: str) -> Channel | None:
        """The channel of that configuration."""
        found = self._speakers.find(name, account)
        return None if found is None else self.get(found.id)

    async def room_of(self, message: Message) -> Room | None:
        """What the channel of a message knows of its conversation. Raises what a channel does."""
        channel = self.get(message.channel)
        if channel is None or not hasattr(channel, "room"):
            return None
        return await cast(KnowsRooms, channel).room(message.conversation.id)

    def use(self, wanted: Mapping[str, ChannelConfig]) -> None:
        """Let the rules of the wanted channels hold from now on; `apply` sees to connections."""
        self._wanted = wanted
        self._speakers.use(wanted)

    def new_rules(self, wanted: Mapping[str, ChannelConfig]) -> list[str]:
        """The wanted channels that have no rules yet, or other ones than `use` would give them."""
        return [name for name, new in wanted.items() if self._wanted.get(name) != new]

    def hide(self, secrets: Collection[str]) -> None:
        """Let no reason tell these secrets: it may quote what a part or the other side said."""
        self._redactor = Redactor(secrets)

    def statuses(self) -> dict[str, tuple[str, ChannelStatus]]:
        """Account and status of each channel, by its id."""
        found = {
            name: (entry.channel.account, entry.status or entry.channel.status)
            for name, entry in self._running.items()
        }
        found |= {name: ("", status) for name, (_, status) in self._broken.items()}
        redact = self._redactor.redact
        return {
            name: (account, replace(status, reason=redact(status.reason)))
            for name, (account, status) in found.items()
        }

    def build(self, wanted: Mapping[str, ChannelConfig], must: Collection[str] = ()) -> Built:
        """Build what `apply` will start, beside what runs; nothing is touched.

        Raises:
            PartsFailed: some of the channels `must` cannot be built.
        """
        built = {
            name: self._build(name, new)
            for name, new in wanted.items()
            if name not in self._running or not self._running[name].serves(new)
        }
        failures = [name for name in must if isinstance(built.get(name), Exception)]
        if not failures:
            return built
        for name, channel in built.items():
            if not isinstance(channel, Exception):
                _ = self._spawn(channel.close(), f"discard:{name}")
        raise PartsFailed(
            {("channels", name): f"cannot be built: {built[name]}" for name in failures}
        )

    async def apply(self, wanted: Mapping[str, ChannelConfig], built: Built | None = None) -> None:
        """Make what runs match what is wanted. An unchanged channel is not touched.

        A channel that stopped for good is started again: somebody may have mended it. `built` is
        what `build` made of the same.
        """
        built = self.build(wanted) if built is None else built
        self._broken.clear()
        for name in [name for name in self._running if name not in wanted]:
            log.info("channel %s: removed", name)
            await self._stop(self._running.pop(name))
        for name, new in wanted.items():
            old = self._running.get(name)
            if old is not None and old.serves(new):
                old.config = new
                continue
            channel = built[name] if name in built else self._build(name, new)
            if old is None:
                self._start(name, new, channel)
            else:
                await self._replace(name, new, old, channel)

    async def restart(self, name: str) -> None:
        """Start a running channel anew, as it is configured; the old one goes on where the new one
        does not start.

        Raises:
            PartsFailed: it cannot be built, or stops for good.
            ChannelUnavailable: it does not connect now.
        """
        old = self._running[name]
        channel = self._build(name, old.config)
        if isinstance(channel, Exception):
            raise PartsFailed({("channels", name): f"cannot be built: {channel}"})
        if self._types(old.config.type).exclusive:
            await old.end()
        self._start(name, old.config, channel)
        try:
            await self.check([name], ("stopped", "waiting"))
        except PartsFailed as error:
            state = self.statuses()[name][1].state
            await self._stop(self._running[name])
            self._running[name] = old
            if not self.receiving:
                await old.end()
            if old.task is None:
                self._run(name, old)
            if state == "waiting":
                raise ChannelUnavailable(error.failed["channels", name]) from error
            raise
        await self._stop(old)

    def at_risk(self, wanted: Mapping[str, ChannelConfig]) -> list[str]:
        """The channels that `apply` would start, but for those that do not work as they are."""
        known = self.statuses()
        return [
            name
            for name, new in wanted.items()
            if name not in known
            or (known[name][1].state != "stopped" and not self._running[name].serves(new))
        ]

    async def check(self, must: Collection[str], failures: Collection[str] = ("stopped",)) -> None:
        """Wait until each of the channels `must` is connected or on its way to be, or has stopped.

        Raises:
            PartsFailed: some are in a state that is among the `failures`.
        """
        end = time.monotonic() + START_WITHIN
        while True:
            found = self.statuses()
            states = {name: found[name][1] for name in must if name in found}
            coming = any(status.state in _COMING for status in states.values())
            if not coming or time.monotonic() >= end:
                break
            await asyncio.sleep(_PAUSE)
        failed = {
            ("channels", name): f"does not start: {status.reason}"
            for name, status in states.items()
            if status.state in failures
        }
        if failed:
            raise PartsFailed(failed)

    async def stop_receiving(self) -> None:
        """End every `run`; what the channels can send, they still can."""
        self.receiving = False
        entries = list(self._running.values())
        await asyncio.gather(*(entry.end() for entry in entries))
        for entry in entries:
            entry.status = _stopping()

    async def close(self) -> None:
        """End the channels."""
        await asyncio.gather(*map(self._stop, self._running.values()))
        self._running.clear()

    async def _replace(
        self, name: str, new: ChannelConfig, old: ChannelRun, channel: Channel | Exception
    ) -> None:
        log.info("channel %s: changed, starting it anew", name)
        if self._types(old.config.type).exclusive or isinstance(channel, Exception):
            await self._stop(self._running.pop(name))
            self._start(name, new, channel)
        else:
            self._start(name, new, channel)
            await self._stop(old)

    def _build(self, name: str, wanted: ChannelConfig) -> Channel | Exception:
        try:
            host = self._host(name)
            host = replace(host, reached=partial(self._reached, name, host.reached))
            return self._types(wanted.type).build(wanted.options, host)
        except Exception as error:  # whatever a channel type does wrong, the others go on
            metrics.count("channel_failures_total", channel=name)
            log.exception("channel %s: cannot be built", name)
            return error

    def _reached(self, name: str, tell: Callable[[], None]) -> None:
        if (entry := self._running.get(name)) is not None:
            entry.reached = True
        tell()

    def _start(self, name: str, wanted: ChannelConfig, channel: Channel | Exception) -> None:
        if isinstance(channel, Exception):
            status = ChannelStatus("stopped", time.time(), f"cannot be built: {channel}")
            self._broken[name] = (wanted, status)
            return
        entry = ChannelRun(wanted, channel)
        self._running[name] = entry
        self._run(name, entry)

    def _run(self, name: str, entry: ChannelRun) -> None:
        if not self.receiving:
            entry.status = _stopping()
            return
        keeps = entry.keep(name, self._accept, self._first_wait)
        entry.task = self._spawn(keeps, f"channel:{name}")

    async def _stop(self, entry: ChannelRun) -> None:
        await entry.end()
        try:
            await entry.channel.close()
        except Exception:  # whatever a channel does wrong, the others go on
            metrics.count("channel_failures_total", channel=entry.config.id)
            log.exception("channel %s: cannot be closed", entry.config.id)


def _stopping() -> ChannelStatus:
    return ChannelStatus("stopped", time.time(), "the sidecar stops")
