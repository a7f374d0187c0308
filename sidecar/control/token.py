"""The access token of a login: one state for all who use it, refreshed by one at a time.

A refresh makes the older refresh token useless at once, so the file is the truth: another process
may have refreshed it, or a person may have logged in anew.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sidecar import metrics
from sidecar.api import Host
from sidecar.codecs.hub.botcord import error_code
from sidecar.control import login as logins
from sidecar.control.login import Login
from sidecar.errors import ChannelError, ChannelStopped, ChannelUnavailable
from sidecar.hubclient.http import request

MARGIN = 60.0
"""Seconds before its end from which on a token is replaced."""
GRACE = 2.0
"""Seconds that who is cancelled waits for a refresh that has begun."""


class LoginRefused(ChannelStopped):
    """The Hub does not take this login any more: a person has to log in again."""


class LoginToken:
    """The login in the file `path`, with an access token that is good for another while.

    `timeout` and `grace` are in seconds: of a refresh, and of waiting for one when cancelled.
    """

    def __init__(
        self, path: Path, host: Host, *, timeout: float = 10.0, grace: float = GRACE
    ) -> None:
        self.path = path
        self._host = host
        self._timeout = timeout
        self._grace = grace
        self._lock = asyncio.Lock()
        self._now: Callable[[], float] = time.time
        self._unsaved: Login | None = None

    async def get(self) -> Login:
        """The login, refreshed where its token is about to end.

        Raises:
            ChannelUnavailable: the Hub does not answer.
            LoginRefused: it refuses the login.
            ChannelStopped: there is no login that can be used.
        """
        return await self.replace(None)

    async def replace(self, used: str | None) -> Login:
        """A login with another access token than the one that was refused.

        Those who ask at the same time get the outcome of one refresh. Raises as `get`.

        The Hub takes the former token no more once it has answered, so that half of a refresh
        loses the login. Cancelled, it waits for `grace` until one that has begun is in the file.
        One that is not goes on as a task of the host's: it is cut when the sidecar has drained.
        """
        async with self._lock:
            login = await self._read()
            if login.access != used and self._now() < login.expires_at - MARGIN:
                return login
            return await self._whole(login)

    async def _whole(self, login: Login) -> Login:
        """Refresh a login, whoever gives up waiting for it."""
        found: Login | ChannelError = ChannelUnavailable("the sidecar stops")

        async def work() -> None:
            nonlocal found
            try:
                found = await self._refresh(login)
            except ChannelError as error:  # told to who waits
                found = error

        task = self._host.spawn(work(), "control-refresh")
        try:
            await asyncio.shield(task)
        finally:
            await asyncio.wait([task], timeout=self._grace)
        if isinstance(found, Login):
            return found
        raise found

    async def _read(self) -> Login:
        found = await asyncio.to_thread(logins.read, self.path)
        mine = self._unsaved
        # They could not be written: the tokens that the Hub gave us last are only here.
        if mine is not None and mine.filed == found.filed:
            access, refresh, expires_at = mine.access, mine.refresh, mine.expires_at
            return replace(found, access=access, refresh=refresh, expires_at=expires_at)
        self._unsaved = None
        return found

    async def _refresh(self, login: Login) -> Login:
        try:
            answer = await request(
                self._host.http(),
                "POST",
                f"{login.hub}/daemon/auth/refresh",
                body={"refresh_token": login.refresh},
                timeout=self._timeout,
            )
        except asyncio.CancelledError:
            metrics.count("control_failures_total", what="refresh")
            self._host.log.warning(
                "a refresh of the login is cut, as the Hub does not answer: if it takes the login"
                " no more at the next start, log in again with `%s`",
                logins.command(self.path),
            )
            raise
        if answer.status in (401, 403):
            other = await self._read()
            if other.refresh != login.refresh and self._now() < other.expires_at - MARGIN:
                return other  # another process was quicker
            raise LoginRefused(f"the Hub refuses the login: {error_code(answer.body)}".rstrip(": "))
        if not answer.ok:
            raise ChannelUnavailable(f"{answer}", answer.wait)
        fresh = logins.granted(answer.body, login.hub, self._now(), login)
        return await self._keep(fresh)

    async def _keep(self, login: Login) -> Login:
        """In the file before it is used: the older refresh token is worth nothing by now. What a
        person did meanwhile, who logged out or in anew, stays."""
        self._unsaved = login
        try:
            kept = await asyncio.to_thread(logins.renew, self.path, login, self._host)
        except OSError as error:
            metrics.count("token_store_failures_total", channel=self._host.name)
            self._host.log.error(  # noqa: TRY400 -- told, not a defect
                "the refreshed login is lost with this process, as %s cannot be written: %s",
                self.path,
                error.strerror or error,
            )
            return login
        if kept is None:
            return await self._read()
        self._unsaved = None
        return kept
