"""What acts for the control plane; it is loaded when there is something to do for one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.api import Host
from sidecar.app.connecting.channels import Channels
from sidecar.app.reloading.reload import Reloader
from sidecar.app.turns.attention import AttentionPolicies
from sidecar.app.turns.dispatch import Dispatcher
from sidecar.app.turns.outbox import Outbox
from sidecar.app.turns.roots import has_places, warn_of_misplaced
from sidecar.app.watching.own_writes import OwnWrites
from sidecar.codecs.hub.control import Ack, Frame
from sidecar.config.model import Config
from sidecar.config.reading.managed import UNFINISHED
from sidecar.errors import ChannelError, ChannelStopped, ControlRefused
from sidecar.model import Message
from sidecar.store.journal import Journal

if TYPE_CHECKING:
    from sidecar.app.steering.control import Control
    from sidecar.app.steering.provisioning import Provisioner
    from sidecar.control.login import Login

Tell = Callable[[str, Mapping[str, object] | None], Awaitable[bool]]
"""Tells the Hub of an event: its type and parameters. False when it cannot be told now."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The parts of a sidecar that acting takes."""

    reloader: Reloader
    channels: Channels
    dispatcher: Dispatcher
    outbox: Outbox
    journal: Journal
    attention: AttentionPolicies
    own: OwnWrites
    accept: Callable[[Sequence[Message]], Awaitable[None]]
    settled: Callable[[str], Awaitable[None]]
    picture: Callable[[], Awaitable[Mapping[str, object]]]
    host: Host


class ControlParts:
    """Acts on frames, and adds and removes agents for them. `tell` is what the Hub is told by."""

    def __init__(self, inside: Inside, tell: Tell) -> None:
        self.tell = tell
        self._inside = inside
        self._built: tuple[Control, Provisioner] | None = None

    async def act(self, frame: Frame) -> Ack:
        """Do what a frame asks for; cancelled half-way, it is done all the same."""
        control, _ = self._parts()
        return await control.act(frame)

    def connected(self) -> None:
        """The Hub has let us in."""
        control, _ = self._parts()
        control.connected()

    def use(self, config: Config) -> None:
        """Follow a configuration."""
        if self._built is not None:
            self._built[0].use(config)
        if has_places(config):
            check = warn_of_misplaced(config, self._inside.host.state)
            _ = self._inside.host.spawn(check, "control:roots")

    async def forget(self, agent: str) -> Mapping[str, object]:
        """Remove an agent that the control plane added, as its owner asks. Raises ActionRefused."""
        _, provisioner = self._parts()
        return await provisioner.forget(agent)

    async def recover(self) -> None:
        """Undo or complete what a killed sidecar had begun. To be called before anything runs."""
        if await asyncio.to_thread((self._inside.host.state / UNFINISHED).exists):
            _, provisioner = self._parts()
            await provisioner.recover()

    def _parts(self) -> "tuple[Control, Provisioner]":
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> "tuple[Control, Provisioner]":
        from sidecar.app.steering.agents import Agents
        from sidecar.app.steering.control import Control
        from sidecar.app.steering.inventory import Inventory
        from sidecar.app.steering.provisioning import Provisioner
        from sidecar.store.managed import ManagedFiles

        of = self._inside
        files = ManagedFiles(of.host.state, of.own.note)
        agents = Agents(of.reloader, of.channels, of.dispatcher, of.outbox, of.settled)
        provisioner = Provisioner(files, of.reloader, agents, of.journal, self._register)
        control = Control(
            files,
            of.reloader,
            provisioner,
            agents,
            Inventory(of.channels, of.journal),
            of.attention,
            accept=of.accept,
            picture=of.picture,
            user=self._user,
            spawn=of.host.spawn,
        )
        control.tell = lambda type_, params: self.tell(type_, params)
        return control, provisioner

    async def _user(self) -> str | None:
        """The user of the login; None without one."""
        login = await self._login()
        return None if login is None else login.user

    async def _register(self, name: str | None, bio: str | None) -> Mapping[str, object]:
        """Register an agent at the Hub of the login. Raises ControlRefused."""
        from sidecar.hubclient.registration import register

        login = await self._login()
        if login is None:
            raise ControlRefused("not_registered", "nobody is logged in at a Hub here")
        try:
            return await register(self._inside.host.http(), login.hub, name=name, bio=bio)
        except ChannelError as error:
            raise ControlRefused("not_registered", str(error)) from error

    async def _login(self) -> "Login | None":
        """The login of this machine; None without one that can be used."""
        from sidecar.control import login

        path = self._inside.reloader.snapshot.config.control_plane.credentials
        try:
            return None if path is None else await asyncio.to_thread(login.read, path)
        except ChannelStopped:
            return None
