"""The HTTP side of the BotCord Hub, as one agent sees it."""

import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from nacl.signing import SigningKey

from sidecar.api import Host
from sidecar.channels.credentials import Credentials
from sidecar.channels.token import Token
from sidecar.codecs.hub.botcord import is_final, is_missing_route, socket_url
from sidecar.codecs.hub.botcord_inbox import page_of
from sidecar.codecs.hub.signing import signing_key
from sidecar.errors import ChannelError, ChannelStopped, ChannelUnavailable
from sidecar.hubclient.http import Answer, AnswerTooLarge, HubClock, request

PAGE = 50
"""Items of one inbox page, the most that the Hub gives."""
FEWER = 7
"""By so much smaller is the page after one that was too large to be read, and larger again after
one that was read."""
LONGEST_NOTICE = 8000
"""Characters of a notice to the owner; the Hub refuses longer ones."""
UNCLAIMED = ("agent_not_claimed", "agent_not_claimed_generic")
PATIENCE = 60.0
"""Seconds, from when its file was written, for which an unknown agent may become known: a new one
is written down here first."""


class Hub:
    """Requests of one agent to its Hub.

    Every method raises ChannelUnavailable when the Hub does not do its part now, and
    ChannelStopped when the agent cannot be used until a person acts.
    """

    def __init__(
        self,
        credentials: Credentials,
        base: str,
        host: Host,
        *,
        timeout: float = 30.0,
        short_timeout: float = 10.0,
        patience: float = PATIENCE,
    ) -> None:
        self.agent = credentials.agent
        self.key_id = credentials.key_id
        self.key: SigningKey = signing_key(credentials.seed)
        self.base = base
        self.socket_url = socket_url(base, "/hub/ws")
        self.clock = HubClock()
        self.token = Token(credentials, self.clock, host, self._ask_token, self.error)
        self._host = host
        self._timeout = timeout
        self._short_timeout = short_timeout
        self._is_new = credentials.is_new
        self._path = credentials.path
        self._patient_until = min(credentials.written_at, time.time()) + patience
        self._page = PAGE
        self._missing: set[str] = set()

    def uses(self, credentials: Credentials, base: str) -> bool:
        """Whether it works with these, whatever the token, at this address."""
        mine = (self.key_id, bytes(self.key), self.base)
        return (credentials.key_id, credentials.seed, base) == mine

    async def inbox(self) -> tuple[list[object], bool]:
        """The next page of items, and whether more are waiting.

        The Hub leases the items for two minutes and gives them again unless they are acknowledged.
        """
        # Without `ack=false` the Hub forgets what it gives.
        path = f"/hub/inbox?limit={self._page}&ack=false"
        try:
            answer = self._good(await self._call("GET", path))
        except AnswerTooLarge:
            self._page = max(1, self._page // FEWER)
            raise
        page = page_of(answer.body)
        if page is None:
            raise ChannelUnavailable(f"{answer}: the answer is not an inbox page")
        self._page = min(PAGE, self._page * FEWER)
        return page

    async def acknowledge(self, ids: Sequence[str]) -> Answer:
        """Tell which items are safe here. The answer is to be looked at."""
        return await self._call("POST", "/hub/inbox/ack", {"message_ids": list(ids)})

    async def send(self, envelope: Mapping[str, object]) -> Answer:
        """Send an envelope. The answer is to be looked at."""
        return await self._call("POST", "/hub/send", envelope)

    async def has_message(self, msg_id: str) -> bool:
        """Whether an envelope that was sent has arrived."""
        answer = await self._call("GET", f"/hub/status/{msg_id}")
        if answer.status == 404 and answer.code:
            return False
        return self._good(answer).ok

    async def room(self, room: str) -> object:
        """What the Hub tells about a room, JSON. None when the agent may not see it."""
        answer = await self._call("GET", f"/hub/rooms/{room}")
        if answer.status in (403, 404) and not is_final(answer.status, answer.code):
            return None
        return self._good(answer).body

    async def attention(self, room: str) -> object:
        """Which messages of a room are to wake the agent, JSON. None of a Hub that has no such
        thing; it is not asked again."""
        path = "/hub/attention-policy"
        if path in self._missing:
            return None
        answer = await self._call(
            "GET", f"{path}?room_id={quote(room, safe='')}", None, self._short_timeout
        )
        if is_missing_route(answer.status, answer.code):
            self._missing.add(path)
            self._host.log.info("the Hub has no %s", path)
            return None
        return self._good(answer).body

    async def stream_block(self, trace: str, block: Mapping[str, object]) -> None:
        """Show a block of a turn to the owner."""
        body = {"trace_id": trace, "seq": block["seq"], "block": block}
        self._good(await self._call("POST", "/hub/stream-block", body, self._short_timeout))

    async def stream_end(self, trace: str) -> None:
        """Tell that a turn is over. A Hub that does not want to know is not asked again."""
        await self._optional("/hub/stream-end", {"trace_id": trace})

    async def typing(self, room: str) -> None:
        """Show that the agent is at work."""
        await self._optional("/hub/typing", {"room_id": room})

    async def notify_owner(self, text: str) -> None:
        """Show a text in the owner's chat."""
        shown = text if len(text) <= LONGEST_NOTICE else f"{text[: LONGEST_NOTICE - 1]}…"
        await self._optional("/hub/notify-owner", {"text": shown})

    def error(self, answer: Answer) -> ChannelError:
        """What an answer means that is not the one that was hoped for."""
        status, code = answer.status, answer.code
        if not is_final(status, code):
            return ChannelUnavailable(f"{answer}", answer.wait)
        remedy = f"put its present credentials into {self._path}"
        if status == 404 and time.time() < self._patient_until:
            told = f"the Hub does not know agent {self.agent} or its key yet ({answer})"
            return ChannelUnavailable(f"{told}; unless it is new, {remedy}")
        if self._is_new and code in UNCLAIMED:
            return ChannelUnavailable(f"{answer}: nobody has claimed the agent yet", answer.wait)
        remedy = "claim it at the Hub" if code in UNCLAIMED else remedy
        return ChannelStopped(f"the Hub refuses agent {self.agent} ({answer}); {remedy}")

    async def _optional(self, path: str, body: Mapping[str, object]) -> None:
        if path in self._missing:
            return
        answer = await self._call("POST", path, body, self._short_timeout)
        if is_missing_route(answer.status, answer.code):
            self._missing.add(path)
            self._host.log.info("the Hub has no %s", path)
            return
        self._good(answer)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        token = await self.token.get()
        answer = await self._request(method, path, body, token, timeout)
        if answer.status != 401:
            return answer
        token = await self.token.replace(token)
        return await self._request(method, path, body, token, timeout)

    async def _ask_token(self, body: Mapping[str, object]) -> Answer:
        path = f"/registry/agents/{self.agent}/token/refresh"
        return await self._request("POST", path, body, None, self._short_timeout)

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        token: str | None,
        timeout: float | None,
    ) -> Answer:
        return await request(
            self._host.http(),
            method,
            f"{self.base}{path}",
            body=body,
            token=token,
            timeout=timeout or self._timeout,
        )

    def _good(self, answer: Answer) -> Answer:
        if not answer.ok:
            raise self.error(answer)
        return answer
