"""Whether a message may start a turn, before its route is looked up.

The rules of a channel: who and where is listened to, how often one sender may ask, and how many
turns in a row agents may cause among themselves.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from sidecar.config.model import Channel, LoopGuard, Rate
from sidecar.core.attention import wakes
from sidecar.model import Attention, ConversationKey, Message

Key = TypeVar("Key")
Value = TypeVar("Value")

NOT_WOKEN = "not_woken"
"""The reason of a message that is not to wake the agent: it reads of it later, if at all."""
MOST_TRACKED = 10_000
"""Senders, and conversations, whose history is kept; the longest unseen is forgotten first."""
Identity = tuple[str, str, str]
"""What no two messages have in common: channel, account and id."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no turn is started. `tell` is what the sender is told, None for silence."""

    reason: str
    tell: str | None = None


Verdicts = dict[Identity, Refusal | None]
"""What was said of messages that were counted."""


class Admission:
    """Applies the rules; keeps the recent history that they need."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], deque[float]] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._loops: dict[ConversationKey, deque[float]] = {}

    def check(
        self,
        message: Message,
        channel: Channel,
        attention: Attention,
        verdicts: Verdicts,
        *,
        now: float,
        elapsed: float,
    ) -> Refusal | None:
        """The refusal of a message, None when it is admitted. `attention` is what the owner wants
        in that conversation.

        `verdicts` are those of earlier calls, and get this one: a message that is asked about again
        is answered as before, for it must not count twice. `now` is in seconds since the epoch, for
        what holds until a date; `elapsed` is in seconds of a clock that is never set, for what is
        counted: nobody has to wait longer because the other one was set back.
        """
        if (refusal := unfit(message, channel)) is not None:
            return refusal
        if not wakes(attention, message, now):
            return Refusal(NOT_WOKEN)
        known = identity(message)
        if known not in verdicts:
            verdicts[known] = self._count(message, channel, elapsed)
        return verdicts[known]

    def _count(self, message: Message, channel: Channel, elapsed: float) -> Refusal | None:
        """The refusal of a message for what came before it; from now on it came before others.
        What was planned is none of these: whoever planned it has set how often it comes."""
        if message.planned:
            return None
        if channel.loop_guard is not None and self._is_loop(message, channel.loop_guard, elapsed):
            return Refusal("loop_guard")
        if channel.rate_limit is not None:
            return self._rate(message, channel.rate_limit, elapsed)
        return None

    def _is_loop(self, message: Message, guard: LoopGuard, elapsed: float) -> bool:
        if message.sender.kind != "agent":
            self._loops.pop(message.key, None)
            return False
        turns = _recent(self._loops, message.key, elapsed - guard.window)
        if len(turns) >= guard.turns:
            return True
        turns.append(elapsed)
        return False

    def _rate(self, message: Message, rate: Rate, elapsed: float) -> Refusal | None:
        key = (message.channel, message.sender.id)
        asked = _recent(self._asked, key, elapsed - rate.window)
        if len(asked) < rate.count:
            asked.append(elapsed)
            return None
        # Once in a window is enough: a flood of notices would help nobody.
        if self._told.get(key, float("-inf")) > elapsed - rate.window:
            return Refusal("rate_limited")
        self._told.pop(key, None)
        self._told[key] = elapsed
        _bound(self._told)
        wait = max(1, round(asked[0] + rate.window - elapsed))
        return Refusal("rate_limited", f"That is too many messages for now. Try again in {wait} s.")


def identity(message: Message) -> Identity:
    """What tells a message from all others."""
    return message.channel, message.account, message.id


def unfit(message: Message, channel: Channel) -> Refusal | None:
    """The refusal of a message that can never start a turn, whatever came before it."""
    if message.unusable is not None:
        return Refusal(message.unusable)
    if not message.text.strip("\ufeff \t\r\n\v\f\x00"):
        return Refusal("no_text")
    return None if _allowed(message, channel) else Refusal("not_allowed")


def _allowed(message: Message, channel: Channel) -> bool:
    allow = channel.allow
    return (not allow.senders or message.sender.id in allow.senders) and (
        not allow.conversations or message.conversation.id in allow.conversations
    )


def _recent(table: dict[Key, deque[float]], key: Key, since: float) -> deque[float]:
    """The times after `since` that are kept for the key, which becomes the latest seen."""
    times = table.pop(key, None)
    table[key] = times = deque() if times is None else times
    while times and times[0] <= since:
        times.popleft()
    _bound(table)
    return times


def _bound(table: dict[Key, Value]) -> None:
    while len(table) > MOST_TRACKED:
        del table[next(iter(table))]
