from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.config.model import Allow, Channel, LoopGuard, Rate
from sidecar.core import admission
from sidecar.core.admission import Admission, Refusal, Verdicts
from sidecar.model import Attention, Conversation, Message, Sender

Check = Callable[[Message, Channel, float], Refusal | None]


def said(
    text: str = "hello",
    *,
    sender: str = "s1",
    kind: Any = "human",
    room: str = "r1",
    at: float = 0.0,
    **more: Any,
) -> Message:
    place = Conversation(room, "group")
    return Message("demo", "ag", "m", place, Sender(sender, kind), text, at, **more)


def counting(verdicts: Verdicts | None = None) -> Check:
    """Checks messages at seconds of a clock that is never set; the time of day goes back, an hour
    a second. Without `verdicts`, each message is new."""
    keeper = Admission()

    def check(message: Message, channel: Channel, elapsed: float) -> Refusal | None:
        known = {} if verdicts is None else verdicts
        now = 1e9 - 3600 * elapsed
        return keeper.check(message, channel, Attention(), known, now=now, elapsed=elapsed)

    return check


OPEN = Channel("demo", "botcord", rate_limit=None, loop_guard=None)


def test_an_ordinary_message_is_admitted() -> None:
    assert counting()(said(), OPEN, 0.0) is None


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff", "\x00"])
def test_a_message_without_text_is_refused_in_silence(text: str) -> None:
    assert counting()(said(text), OPEN, 0.0) == Refusal("no_text")


def test_what_the_channel_calls_unusable_is_refused_with_its_reason() -> None:
    refused = counting()(said(unusable="own_echo"), OPEN, 0.0)
    assert refused == Refusal("own_echo")


def test_allow_lists_close_a_channel_to_everybody_else() -> None:
    channel = Channel("demo", "botcord", allow=Allow(("s1",), ("r1",)))
    check = counting()
    assert check(said(), channel, 0.0) is None
    assert check(said(sender="s2"), channel, 0.0) == Refusal("not_allowed")
    assert check(said(room="r2"), channel, 0.0) == Refusal("not_allowed")


def test_a_sender_above_its_rate_is_told_once_in_a_window() -> None:
    channel = Channel("demo", "botcord", rate_limit=Rate(2, 60.0))
    check = counting()
    assert check(said(), channel, 0.0) is None
    assert check(said(), channel, 1.0) is None
    first = check(said(), channel, 2.0)
    assert first is not None
    assert first.tell == "That is too many messages for now. Try again in 58 s."
    assert check(said(), channel, 3.0) == Refusal("rate_limited")
    assert check(said(sender="s2"), channel, 3.0) is None
    assert check(said(), channel, 60.5) is None


def test_agents_that_answer_each_other_are_stopped_until_a_person_speaks() -> None:
    channel = Channel("demo", "botcord", rate_limit=None, loop_guard=LoopGuard(2, 300.0))
    check = counting()
    assert check(said(kind="agent"), channel, 0.0) is None
    assert check(said(kind="agent"), channel, 1.0) is None
    assert check(said(kind="agent"), channel, 2.0) == Refusal("loop_guard")
    assert check(said(kind="agent", room="r2"), channel, 2.0) is None
    assert check(said(kind="human"), channel, 3.0) is None
    assert check(said(kind="agent"), channel, 4.0) is None


def test_what_was_planned_is_not_counted() -> None:
    guard = Channel("demo", "botcord", rate_limit=Rate(1, 60.0), loop_guard=LoopGuard(1, 300.0))
    check = counting()
    for seconds in (0.0, 1.0):
        assert check(said(kind="agent", planned=True), guard, seconds) is None
    assert check(said(kind="agent"), guard, 2.0) is None


def test_history_of_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOST_TRACKED", 3)
    keeper = Admission()
    channel = Channel("demo", "botcord", rate_limit=Rate(1, 60.0))
    for number in range(10):
        one = said(sender=f"s{number}")
        keeper.check(one, channel, Attention(), {}, now=0.0, elapsed=0.0)
    assert len(keeper._asked) == 3


def test_who_is_asked_about_again_is_answered_as_before_and_counts_once() -> None:
    guard = Channel("demo", "botcord", rate_limit=Rate(2, 60.0), loop_guard=LoopGuard(1, 300.0))
    messages = [
        replace(said(kind=kind, sender=sender), id=f"m{number}")
        for number, (kind, sender) in enumerate(
            [("agent", "a"), ("agent", "a"), ("human", "s"), ("agent", "a"), ("human", "s")]
        )
    ]
    check = counting(Verdicts())
    first = [check(one, guard, 0.0) for one in messages]
    assert first == [None, Refusal("loop_guard"), None, None, None]
    assert [check(one, guard, 1.0) for one in messages] == first
    assert check(replace(messages[0], id="m5"), guard, 2.0) is not None
    assert check(replace(messages[2], id="m6"), guard, 2.0) is not None


def test_what_a_channel_tells_of_the_time_of_a_message_does_not_matter() -> None:
    guard = Channel("demo", "botcord", rate_limit=Rate(2, 60.0), loop_guard=LoopGuard(2, 60.0))
    for kind in ("human", "agent"):
        check = counting()
        found = [check(said(kind=kind, at=at), guard, 1.0) for at in (1e15, -1e15, 0.0)]
        assert [refusal is None for refusal in found] == [True, True, False]
        assert check(said(kind=kind, at=-1e15), guard, 61.5) is None
