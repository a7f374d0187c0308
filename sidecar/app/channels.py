"""The channels that run: started, restarted with back-off, changed and removed one by one."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast

from sidecar import metrics
from sidecar.api import Accept, Channel, ChannelStatus, ChannelType, Host, KnowsRooms, Spawn
from sidecar.config.model import Channel as ChannelConfig
from sidecar.core.backoff import delay
from sidecar.core.redact import Redactor
from sidecar.errors import ChannelStopped, PartsFailed
from sidecar.model import Message, Room
from sidecar.plugins import channel_type

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0
"""Seconds before the first restart of a channel that failed; doubles up to LONGEST_WAIT."""
LONGEST_WAIT = 60.0
HEALTHY_AFTER = 30.0
"""A run of this many seconds was a good one: the next failure waits FIRST_WAIT again."""
START_WITHIN = 3.0
"""Seconds in which a channel that cannot start tells so; one that takes longer is on its way."""
_COMING = ("starting", "connecting")
_PAUSE = 0.01


@dataclass(slots=True, eq=False)
class _Running:
    """A channel with its task. `status` is set while the channel itself cannot tell."""

    config: ChannelConfig
    channel: Channel
    task: "asyncio.Task[None] | None" = None
    status: ChannelStatus | None = None

    def serves(self, wanted: ChannelConfig) -> bool:
        """Whether it runs and needs no new connection to be what is wanted."""
        runs = self.task is not None and not self.task.done()
        same = (self.config.type, self.config.options) == (wanted.type, wanted.options)
        return runs and same


Built = Mapping[str, Channel | Exception]
"""Channels that wait to be started, or why one cannot be built."""


class Channels:
    """Keeps the wanted channels running. `types` finds a channel type by its name."""

    def __init__(
        self,
        accept: Accept,
        host: Callable[[str], Host],
        spawn: Spawn,
        *,
        types: Callable[[str], ChannelType] = channel_type,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._types = types
        self._first_wait = first_wait
        self._accept = accept
        self._host = host
        self._spawn = spawn
        self._running: dict[str, _Running] = {}
        self._broken: dict[str, tuple[ChannelConfig, ChannelStatus]] = {}
        self._wanted: Mapping[str, ChannelConfig] = {}
        self._redactor = Redactor(())

    def get(self, name: str) -> Channel | None:
        """The channel of an id, None when there is none."""
        entry = self._running.get(name)
        return entry.channel if entry is not None else None

    def config(self, name: str) -> ChannelConfig | None:
        """The configuration of a channel, also of a discovered one; None when it is not wanted."""
        return self._wanted.get(name)

    async def room_of(self, message: Message) -> Room | None:
        """What the channel of a message knows of its conversation. Raises what a channel does."""
        channel = self.get(message.channel)
        if channel is None or not hasattr(channel, "room"):
            return None
        return await cast(KnowsRooms, channel).room(message.conversation.id)

    def use(self, wanted: Mapping[str, ChannelConfig]) -> None:
        """Let the rules of the wanted channels hold at once; connections follow with `apply`."""
        self._wanted = wanted

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
        self.use(wanted)
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
        stops for good, or does not connect though the old one was connected.

        Raises:
            PartsFailed: that is so.
        """
        old = self._running[name]
        failures = ["stopped", *(["waiting"] if old.channel.status.state == "connected" else [])]
        channel = self._build(name, old.config)
        if isinstance(channel, Exception):
            raise PartsFailed({("channels", name): f"cannot be built: {channel}"})
        if self._types(old.config.type).exclusive:
            await _end(old)
        self._start(name, old.config, channel)
        try:
            await self.check([name], failures)
        except PartsFailed:
            await self._stop(self._running[name])
            self._running[name] = old
            if old.task is None:
                old.task = self._spawn(self._keep(name, old), f"channel:{name}")
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
        entries = list(self._running.values())
        await asyncio.gather(*map(_end, entries))
        for entry in entries:
            entry.status = ChannelStatus("stopped", time.time(), "the sidecar stops")

    async def close(self) -> None:
        """End the channels."""
        await asyncio.gather(*map(self._stop, self._running.values()))
        self._running.clear()

    async def _replace(
        self, name: str, new: ChannelConfig, old: _Running, channel: Channel | Exception
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
            return self._types(wanted.type).build(wanted.options, self._host(name))
        except Exception as error:  # whatever a channel type does wrong, the others go on
            metrics.count("channel_failures_total", channel=name)
            log.exception("channel %s: cannot be built", name)
            return error

    def _start(self, name: str, wanted: ChannelConfig, channel: Channel | Exception) -> None:
        if isinstance(channel, Exception):
            status = ChannelStatus("stopped", time.time(), f"cannot be built: {channel}")
            self._broken[name] = (wanted, status)
            return
        entry = _Running(wanted, channel)
        self._running[name] = entry
        entry.task = self._spawn(self._keep(name, entry), f"channel:{name}")

    async def _keep(self, name: str, entry: _Running) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            entry.status = None
            reason, stopped = await self._run(name, entry)
            healthy = time.monotonic() - began >= HEALTHY_AFTER
            # One that worked until now may work again: its credentials may have been replaced.
            if stopped and not healthy:
                metrics.count("channel_stops_total", channel=name)
                log.error("channel %s: stopped: %s", name, reason)
                entry.status = ChannelStatus("stopped", time.time(), reason)
                return
            failures = 0 if healthy else failures
            metrics.count("channel_restarts_total", channel=name)
            wait = delay(failures, first=self._first_wait, most=LONGEST_WAIT, random=random.random)
            failures += 1
            log.warning("channel %s: starting again in %.1f s: %s", name, wait, reason)
            entry.status = ChannelStatus("waiting", time.time(), reason)
            await asyncio.sleep(wait)

    async def _run(self, name: str, entry: _Running) -> tuple[str, bool]:
        """Run a channel once; why that ended, and whether the channel means it for good."""
        try:
            await entry.channel.run(self._accept)
        except ChannelStopped as error:
            return str(error), True
        except Exception as error:  # whatever a channel does wrong, it is started again
            log.exception("channel %s: failed", name)
            return f"{type(error).__name__}: {error}", False
        return "it returned", False

    async def _stop(self, entry: _Running) -> None:
        await _end(entry)
        try:
            await entry.channel.close()
        except Exception:  # whatever a channel does wrong, the others go on
            metrics.count("channel_failures_total", channel=entry.config.id)
            log.exception("channel %s: cannot be closed", entry.config.id)


async def _end(entry: _Running) -> None:
    if entry.task is not None:
        entry.task.cancel()
        await asyncio.wait([entry.task])
        entry.task = None
