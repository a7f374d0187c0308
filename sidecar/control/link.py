"""The link to the control plane: kept open, and every frame on it checked before it acts."""

import asyncio
import platform
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import ClientError, ClientWebSocketResponse

from sidecar import metrics
from sidecar.api import Host
from sidecar.atomic_file import Stamp
from sidecar.codecs.hub.botcord import socket_url
from sidecar.codecs.hub.control import Ack, Frame, event
from sidecar.control import login as logins
from sidecar.control.frames import Frames, Keys, Ledger
from sidecar.control.login import Login
from sidecar.control.socket import Ended, Limits, listen
from sidecar.control.token import LoginRefused, LoginToken
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.hubclient.status import changed

State = Literal["starting", "connecting", "connected", "waiting", "displaced", "login", "stopped"]
"""`displaced`: another process uses this login. `login`: a person has to log in (again)."""

DISPLACED = 4001
REFUSED = (4401, 4403, 1008)
"""Close codes with which the Hub says that it does not take the login any more."""
OTHER_LOGIN = "somebody has logged out, or in as another machine"
MOST_REFUSED = 3
"""Handshakes in a row that a Hub may refuse to a token that it has just given."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between tries.

    After a failure `first`, doubling up to `longest`; after a displacement `displaced`, doubling
    up to sixteen times that. A socket that lived for `stable` was a good one. `look` is how often
    the file of the login is looked at.
    """

    first: float = 1.0
    longest: float = 30.0
    displaced: float = 900.0
    stable: float = 60.0
    look: float = 5.0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """How the link is. `refused` tells why the last frame that was refused was."""

    state: State
    since: float
    reason: str = ""
    connection: str | None = None
    reconnects: int = 0
    hub: str = ""
    instance: str = ""
    refused: str = ""


class ControlLink:
    """The control socket of the login in the file `login`.

    `keys` gives the Hub's public keys of the moment, `ledger` remembers which frames have acted,
    `label` names this machine; its default is that of the login, or the host name. `welcome` is
    called whenever the Hub has let us in.
    """

    def __init__(
        self,
        login: Path,
        host: Host,
        *,
        keys: Keys,
        ledger: Ledger,
        label: str | None = None,
        welcome: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
        waits: Waits | None = None,
    ) -> None:
        self.status = LinkStatus("starting", time.time())
        self._path = login
        self._host = host
        self._label = label
        self._welcome = welcome
        self._limits = limits or Limits()
        self._waits = waits or Waits()
        self._token = LoginToken(login, host)
        self._socket: ClientWebSocketResponse | None = None
        self._welcomes = 0
        self._tried: Stamp | None = None
        self._frames = Frames(host, keys, ledger, self._send_text, self._note_refused, self._revoke)

    async def run(self, act: Callable[[Frame], Awaitable[Ack]]) -> None:
        """Connect, again and again, and let `act` do what the Hub asks, one frame at a time.

        Cancelled, no socket is left open. It waits for the file where nobody is logged in.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._frames.run(act), name="control-frames")
                await self._keep()
        finally:
            self._set("stopped")

    async def send(self, type_: str, params: Mapping[str, object] | None = None) -> bool:
        """Tell the Hub something; False when it cannot be told now."""
        return await self._send_text(event(type_, params, id_=uuid4().hex, now=time.time()))

    async def idle(self) -> None:
        """Return when no frame is acted upon, nor waits for that."""
        while not self._frames.idle.is_set():  # another one may come before we are told
            await self._frames.idle.wait()

    async def _keep(self) -> None:
        failures = displaced = refused = 0
        while True:
            ended, wait = await self._once()
            if (ended.lived or 0.0) >= self._waits.stable:
                failures = 0
                displaced = displaced if ended.code == DISPLACED else 0
            if ended.lived is not None:
                refused = 0
            if ended.code == DISPLACED:
                await self._yield_to_the_other(displaced)
                displaced += 1
                continue
            refused_now = ended.status in (401, 403)
            refused += refused_now
            if ended.code in REFUSED or refused >= MOST_REFUSED:
                taken = ended.code in REFUSED and ended.lived is not None
                reason = f"the Hub has taken it away (code {ended.code})" if taken else ended.reason
                await self._wait_for_login(reason, expired=True)
                failures = refused = 0
                continue
            if (
                refused_now and refused == 1
            ):  # its token ran out while we were away, and is replaced by now
                continue
            await self._pause(ended.reason, max(wait, self._delay(failures)))
            failures += 1

    async def _once(self) -> tuple[Ended, float]:
        """One socket, from its token to its end; how it ended, and seconds to wait at least."""
        self._set("connecting")
        self._tried = await self._stamp()
        if await asyncio.to_thread(logins.is_expired, self._path):
            return Ended("the Hub has refused this login before", REFUSED[0]), 0.0
        try:
            login = await self._token.get()
            self._tried = login.stamp
            ended = await self._listen(login)
            self._socket = None
            if ended.status in (401, 403):
                self._tried = (await self._token.replace(login.access)).stamp
        except LoginRefused as error:
            return Ended(f"{error}", REFUSED[0]), 0.0
        except ChannelStopped as error:
            await self._wait_for_login(f"{error}", expired=False)
            return Ended("there is a new login"), 0.0
        except ChannelUnavailable as error:
            return Ended(f"{error}"), error.wait or 0.0
        finally:
            self._socket = None
        return ended, 0.0

    async def _listen(self, login: Login) -> Ended:
        """One socket, which ends also when a person logs out, or in as another machine."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(
                listen(
                    self._host.http(),
                    self._address(login),
                    login.access,
                    opened=lambda socket: self._opened(socket, login),
                    receive=self._frames.take,
                    limits=self._limits,
                ),
                name="control-socket",
            )
            watching = group.create_task(self._other_login(login.instance), name="control-login")
            await asyncio.wait((listening, watching), return_when=asyncio.FIRST_COMPLETED)
            listening.cancel()
            watching.cancel()
        return Ended(OTHER_LOGIN, lived=0.0) if listening.cancelled() else listening.result()

    async def _other_login(self, instance: str) -> None:
        """Return when the file has no login of this machine any more."""
        while True:
            await asyncio.sleep(self._waits.look)
            found = await self._stamp()
            if found == self._tried:
                continue
            if not await asyncio.to_thread(logins.is_of, self._path, instance):
                return
            self._tried = found  # another process has refreshed it

    async def _stamp(self) -> Stamp | None:
        """The state of the login's file; taken before it is read, no change of it is missed."""
        return await asyncio.to_thread(logins.stamp, self._path)

    def _address(self, login: Login) -> str:
        label = self._label or login.label or platform.node()
        return f"{socket_url(login.hub, '/daemon/ws')}?{urlencode({'label': label})}"

    def _opened(self, socket: ClientWebSocketResponse, login: Login) -> None:
        self._socket = socket
        self._welcomes += 1
        self.status = replace(self.status, hub=login.hub, instance=login.instance)
        self._set("connected")
        self._host.log.info("the control plane is connected as %s", login.instance)
        self._welcome()

    async def _send_text(self, text: str) -> bool:
        socket = self._socket
        if socket is None or socket.closed:
            return False
        try:
            await socket.send_str(text)
        except (ClientError, OSError):
            return False
        return True

    def _note_refused(self, reason: str) -> None:
        self.status = replace(self.status, refused=reason)

    async def _revoke(self) -> None:
        """The Hub has revoked this machine; it closes the socket itself, or we do."""
        await self._mark_expired()
        if self._socket is not None:
            await self._socket.close(code=1000)

    async def _yield_to_the_other(self, displaced: int) -> None:
        most = 16 * self._waits.displaced
        wait = delay(displaced, first=self._waits.displaced, most=most, random=random.random)
        reason = "another process uses this login"
        self._host.log.warning("the control plane is given up for %.0f s: %s", wait, reason)
        metrics.count("control_disconnects_total")
        self._set("displaced", reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._other_login(self.status.instance)

    async def _wait_for_login(self, reason: str, *, expired: bool) -> None:
        """Return when somebody has logged in: the file is another one then."""
        if expired and not await self._is_another():
            await self._mark_expired()
        metrics.count("control_logins_needed_total")
        self._host.log.error("log in again with `%s`: %s", logins.command(self._path), reason)
        self._set("login", reason)
        while not await self._is_another():  # noqa: ASYNC110 -- a file has no event
            await asyncio.sleep(self._waits.look)

    async def _is_another(self) -> bool:
        """Whether the file is another one than the one that was tried."""
        return await self._stamp() != self._tried

    async def _mark_expired(self) -> None:
        try:
            if not await asyncio.to_thread(logins.is_expired, self._path):
                await asyncio.to_thread(logins.mark_expired, self._path)
            if await self._is_another():  # one that has come meanwhile is not the one that ended
                await asyncio.to_thread(logins.clear_expired, self._path)
        except OSError as error:  # a read-only folder: this process knows it all the same
            metrics.count("token_store_failures_total", channel=self._host.name)
            self._host.log.warning("that this login has ended is not noted: %s", error)

    async def _pause(self, reason: str, wait: float) -> None:
        metrics.count("control_disconnects_total")
        self._host.log.warning("no control plane, again in %.1f s: %s", wait, reason)
        self._set("waiting", reason)
        await asyncio.sleep(wait)

    def _delay(self, failures: int) -> float:
        first, most = self._waits.first, self._waits.longest
        return delay(failures, first=first, most=most, random=random.random)

    def _set(self, state: State, reason: str = "") -> None:
        self.status = changed(self.status, state, reason, self._welcomes)
