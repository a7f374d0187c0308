"""The control plane beside the channels: a link to the Hub while the config asks for one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sidecar.api import Host
from sidecar.codecs.hub.control import Ack, Done, Failed, Frame
from sidecar.config.model import ControlPlane as Wanted

if TYPE_CHECKING:
    from sidecar.control.frames import Ledger
    from sidecar.control.link import ControlLink, LinkStatus

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds in which a frame that is acted upon may finish before its link is closed."""

Act = Callable[[Frame], Awaitable[Ack]]
"""Does what a frame asks for."""


async def greet_only(frame: Frame) -> Ack:
    """The act of a sidecar that does nothing for its Hub."""
    if frame.type == "hello":
        return Done()
    return Failed("unknown_type", "this sidecar has no such frame")


class ControlPlane:
    """Keeps a link as long as one is wanted. `ledger` remembers which frames have acted."""

    def __init__(self, host: Host, ledger: "Ledger") -> None:
        self._host = host
        self._ledger = ledger
        self._act: Act = greet_only
        self._welcome: Callable[[], None] = lambda: None
        self._wanted = Wanted()
        self._changed = asyncio.Event()
        self._link: ControlLink | None = None

    @property
    def status(self) -> "LinkStatus | None":
        """How the link is, None where none is wanted."""
        return self._link.status if self._link is not None else None

    def obey(self, act: Act, welcome: Callable[[], None]) -> None:
        """From the next link on, let `act` do what the Hub asks, and call `welcome` whenever the
        Hub has let us in.

        Cancelled half-way, an act has to come to its end: what it does may end the link.
        """
        self._act, self._welcome = act, welcome

    def use(self, wanted: Wanted) -> None:
        """Follow a configuration. Keys count at once, the rest soon: nothing waits for it."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def send(self, type_: str, params: Mapping[str, object] | None = None) -> bool:
        """Tell the Hub something; False when it cannot be told now."""
        return self._link is not None and await self._link.send(type_, params)

    def picture(self) -> Mapping[str, object] | None:
        """The link as status shows it; None where none is wanted."""
        status = self.status
        return None if status is None else {**asdict(status), "keys": len(self._wanted.public_keys)}

    def remarks(self) -> list[str]:
        """What a person has to do, though the channels work."""
        status = self.status
        if status is None:
            return []
        if status.state == "login" and (path := self._wanted.credentials) is not None:
            from sidecar.control.login import command  # who has a link has loaded it

            return [f"control plane: log in again with `{command(path)}`: {status.reason}"]
        if status.state == "displaced":
            return [f"control plane: {status.reason}"]
        if not self._wanted.public_keys:
            return ["control plane: no public key of the Hub is configured: it is not obeyed"]
        return []

    async def run(self) -> None:
        """Keep the wanted link. Cancelled, it is closed."""
        try:
            while True:
                self._changed.clear()
                wanted = self._connection()
                await self._serve(wanted)
        finally:
            self._link = None

    async def _serve(self, wanted: Wanted) -> None:
        """One link, until another one is wanted."""
        async with asyncio.TaskGroup() as group:
            link = self._link = self._link_of(wanted)
            task = None
            if link is not None:
                task = group.create_task(link.run(self._act), name="control-link")
            while self._connection() == wanted:
                await self._changed.wait()
                self._changed.clear()
            if link is not None and task is not None:
                await self._let_finish(link)
                task.cancel()

    def _link_of(self, wanted: Wanted) -> "ControlLink | None":
        if not wanted.enabled or wanted.credentials is None:
            return None
        from sidecar.control.link import ControlLink  # who has no control plane does without

        return ControlLink(
            wanted.credentials,
            self._host,
            keys=lambda: self._wanted.public_keys,
            ledger=self._ledger,
            label=wanted.label,
            welcome=self._welcome,
        )

    def _connection(self) -> Wanted:
        """What a link is made of; the rest of the configuration it asks for when it needs it."""
        return replace(self._wanted, public_keys=(), roots=())

    async def _let_finish(self, link: "ControlLink") -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await link.idle()
        except TimeoutError:
            log.warning("the control plane is closed with a frame under way")
