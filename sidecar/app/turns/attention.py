"""Which messages wake an agent: asked of its channel, remembered, and told anew by the Hub."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from sidecar import metrics
from sidecar.api import Channel, KnowsAttention
from sidecar.model import Attention, Message

log = logging.getLogger(__name__)

TTL = 300.0
"""Seconds for which an answer holds, unless the Hub tells another."""
RETRY = 30.0
"""Seconds after which a channel that did not answer is asked again."""
PATIENCE = 2.0
"""Seconds that messages wait for the answer; without one they wake the agent."""
AT_ONCE = 16
"""Questions that are under way at the same time: to begin 50 in one go, as after a pause in so many
rooms, held up the event loop for 50 ms."""
MOST = 10_000
"""Conversations that are remembered; the longest known is forgotten first."""

_ALWAYS = Attention()
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    attention: Attention
    until: float


class AttentionPolicies:
    """Remembers what the owners of agents want. `channel` finds a running channel."""

    def __init__(
        self,
        channel: Callable[[str], Channel | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._patience = patience
        self._rooms: dict[_Key, _Known] = {}
        self._agents: dict[str, Attention] = {}
        self._told: dict[str, object] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def of(self, messages: Sequence[Message]) -> list[Attention]:
        """What holds for each of some messages. In direct conversations every message wakes."""
        wanted = {
            _key(one): one for one in messages if one.conversation.kind == "group" and one.text
        }
        # What the Hub tells meanwhile counts: of what it takes back, it is asked again.
        while unknown := [one for key, one in wanted.items() if not self._is_known(key)]:
            await asyncio.gather(*map(self._ask, unknown))
        return [self._rooms[key].attention if (key := _key(one)) in wanted else _ALWAYS
                for one in messages]  # fmt: skip

    def tell(self, account: str, conversation: str | None, attention: Attention | None) -> None:
        """The Hub tells what holds in a conversation, or in all that nothing else is said of; None:
        it has to be asked."""
        self._told[account] = object()
        if conversation is not None:
            self._rooms.pop((account, conversation), None)
            if attention is not None:
                self._remember((account, conversation), attention, TTL)
            return
        for key in [key for key in self._rooms if key[0] == account]:
            del self._rooms[key]
        self._agents.pop(account, None)
        if attention is not None:
            self._agents[account] = attention

    def _is_known(self, key: _Key) -> bool:
        known = self._rooms.get(key)
        return known is not None and self._clock() < known.until

    async def _ask(self, message: Message) -> None:
        key, told = _key(message), self._told.get(message.account)
        channel = self._channel(message.channel)
        found, lasts = self._agents.get(message.account), TTL
        if channel is not None and hasattr(channel, "attention"):
            asked = cast(KnowsAttention, channel)
            try:
                async with asyncio.timeout(self._patience), self._places:
                    found = await asked.attention(message.conversation.id) or found
            except Exception as error:  # noqa: BLE001 -- whatever a channel does wrong, it is heard
                metrics.count("attention_failures_total", channel=message.channel)
                log.info("channel %s: attention policy unknown: %s", message.channel, error)
                found, lasts = self._rooms[key].attention if key in self._rooms else found, RETRY
        if self._told.get(message.account) is told:  # otherwise the answer may be older than that
            self._remember(key, found or _ALWAYS, lasts)

    def _remember(self, key: _Key, attention: Attention, lasts: float) -> None:
        self._rooms.pop(key, None)
        self._rooms[key] = _Known(attention, self._clock() + lasts)
        while len(self._rooms) > MOST:
            del self._rooms[next(iter(self._rooms))]


def _key(message: Message) -> _Key:
    return message.account, message.conversation.id
