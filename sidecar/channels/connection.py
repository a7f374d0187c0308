"""Keeps a socket to the Hub open, and tells how that goes."""

import asyncio
import random
import time
from collections.abc import Callable

from sidecar import metrics
from sidecar.api import ChannelState, ChannelStatus, Host
from sidecar.channels.hub import Hub
from sidecar.channels.websocket import Ended, Limits, listen
from sidecar.codecs.hub.botcord import close_action
from sidecar.core.backoff import delay
from sidecar.errors import ChannelStopped, ChannelUnavailable
from sidecar.hubclient.status import changed

MOST_REFUSED = 5
"""Logins in a row that the Hub refuses before we give up."""
STABLE = 30.0
"""A socket that lived for so many seconds was a good one: the next wait is short again."""


class Connection:
    """The socket of one agent. `update` is called when something may be in the inbox, `reached`
    when the Hub lets us in."""

    def __init__(
        self,
        hub: Hub,
        host: Host,
        update: Callable[[], None],
        reached: Callable[[], None],
        *,
        limits: Limits,
        first_wait: float = 1.0,
        longest_wait: float = 30.0,
        stable: float = STABLE,
    ) -> None:
        self.status = ChannelStatus("starting", time.time())
        self._hub = hub
        self._host = host
        self._update = update
        self._reached = reached
        self._limits = limits
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._stable = stable
        self._welcomes = 0

    async def run(self) -> None:
        """Connect, again and again. Cancelled, no socket is left open.

        Raises:
            ChannelStopped: the Hub does not want us until a person acts.
        """
        try:
            await self._keep()
        finally:
            self._set("stopped")

    async def _keep(self) -> None:
        refused = failures = 0
        while True:
            started = asyncio.get_running_loop().time()
            ended, wait = await self._once()
            action = close_action(ended.code)
            if action == "stop":
                raise ChannelStopped(f"the Hub does not take this client: {ended.reason}")
            if ended.welcomed:
                refused = 0
                if asyncio.get_running_loop().time() - started >= self._stable:
                    failures = 0
            elif action == "refresh":
                refused += 1
                if refused >= MOST_REFUSED:
                    raise ChannelStopped(f"the Hub refused {refused} logins in a row")
                if refused == 1:  # the token ran out while we were away, and is replaced by now
                    continue
            await self._pause(ended.reason, max(wait, self._delay(failures)))
            failures += 1

    async def _once(self) -> tuple[Ended, float]:
        """One socket, from its token to its end; how it ended, and seconds to wait at least."""
        self._set("connecting")
        try:
            token = await self._hub.token.get()
            ended = await listen(
                self._host.http(),
                self._hub.socket_url,
                token,
                welcome=self._welcome,
                update=self._update,
                limits=self._limits,
            )
            if close_action(ended.code) == "refresh":
                self._set("connecting", ended.reason)
                await self._hub.token.replace(token)
        except ChannelUnavailable as error:
            return Ended(f"{error}"), error.wait or 0.0
        return ended, 0.0

    def _welcome(self) -> None:
        self._welcomes += 1
        self._set("connected")
        self._host.log.info("connected as %s", self._hub.agent)
        self._reached()

    async def _pause(self, reason: str, wait: float) -> None:
        metrics.count("channel_disconnects_total", channel=self._host.name)
        self._host.log.warning("not connected, again in %.1f s: %s", wait, reason)
        self._set("waiting", reason)
        await asyncio.sleep(wait)

    def _delay(self, failures: int) -> float:
        return delay(
            failures, first=self._first_wait, most=self._longest_wait, random=random.random
        )

    def _set(self, state: ChannelState, reason: str = "") -> None:
        self.status = changed(self.status, state, reason, self._welcomes)
