"""An agent's token: one state for all who use it, refreshed by one of them at a time.

The Hub may accept the newest token only, so that two refreshes side by side would harm each other.
"""

import asyncio
import base64
import errno
import secrets
from collections.abc import Awaitable, Callable, Mapping

from sidecar import metrics
from sidecar.api import Host
from sidecar.channels.credentials import Credentials, seconds, store_token, token_of
from sidecar.codecs.hub.signing import sign_challenge, signing_key
from sidecar.codecs.loose import number_of
from sidecar.errors import ChannelError, ChannelUnavailable
from sidecar.hubclient.http import Answer, HubClock

MARGIN = 60.0
"""Seconds before its end from which on a token is replaced."""
LIFETIME = 86400.0
"""Seconds that a token is good for when the Hub does not tell."""


class Token:
    """The token of one agent.

    `ask` sends the request for a new one; `failed` makes an error of an answer without one.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: HubClock,
        host: Host,
        ask: Callable[[Mapping[str, object]], Awaitable[Answer]],
        failed: Callable[[Answer], ChannelError],
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._host = host
        self._ask = ask
        self._failed = failed
        self._value = credentials.token
        self._kept = frozenset({credentials.token})
        self._expires_at = credentials.expires_at
        self._lock = asyncio.Lock()
        self._refreshes = 0
        self._is_read_only = False
        self._failure: ChannelError | None = None

    async def get(self) -> str:
        """A token that is good for another while.

        Raises:
            ChannelUnavailable, ChannelStopped: there is none.
        """
        if self._value is not None and self._is_fresh():
            return self._value
        return await self.replace(self._value)

    async def replace(self, used: str | None) -> str:
        """A token other than the one that was refused or is too old.

        Those who ask at the same time get the outcome of one refresh.

        Raises:
            ChannelUnavailable, ChannelStopped: there is none.
        """
        refreshes = self._refreshes
        async with self._lock:
            if self._value is not None and self._value != used:
                return self._value
            if self._failure is not None and self._refreshes != refreshes:
                raise self._failure
            self._failure = None
            try:
                return await self._refresh()
            except ChannelError as error:
                self._failure = error
                raise
            finally:
                self._refreshes += 1

    @property
    def kept(self) -> frozenset[str | None]:
        """The tokens of which the credentials file can hold one now: what was read from it or was
        written into it here. None stands for a file without one."""
        return self._kept

    def _is_fresh(self) -> bool:
        return self._clock.now() < self._expires_at - MARGIN

    async def _refresh(self) -> str:
        nonce = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        signature = sign_challenge(signing_key(self._credentials.seed), nonce)
        body = {"key_id": self._credentials.key_id, "nonce": nonce, "sig": signature}
        answer = await self._ask(body)
        if not answer.ok:
            raise self._failed(answer)
        record = answer.body if isinstance(answer.body, dict) else {}
        token = token_of(record, "agent_token") or token_of(record, "token")
        if token is None:
            raise ChannelUnavailable(f"{answer}: there is no token in the answer")
        self._clock.learn(answer)
        expires_at = number_of(record, "expires_at")
        self._value = token
        self._expires_at = seconds(expires_at or self._clock.now() + LIFETIME)
        await self._store(token)
        return token

    async def _store(self, token: str) -> None:
        path, agent, wrote = self._credentials.path, self._credentials.agent, self._host.wrote
        before, self._kept = self._kept, self._kept | {token}
        try:
            await asyncio.to_thread(store_token, path, agent, token, self._expires_at, wrote)
        except OSError as error:
            self._kept = before
            if error.errno == errno.EROFS:
                self._note_read_only()
                return
            metrics.count("token_store_failures_total", channel=self._host.name)
            self._host.log.warning("the new token is not kept for the next start: %s", error)
        else:
            self._kept = frozenset({token})

    def _note_read_only(self) -> None:
        """Tell once that tokens are not kept; it is meant so, such as where a Secret is mounted."""
        if not self._is_read_only:
            self._is_read_only = True
            told = "%s is mounted read-only: new tokens are not kept, the next start asks for one"
            self._host.log.info(told, self._credentials.path)
