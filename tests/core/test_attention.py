"""Which messages wake an agent."""

import pytest

from sidecar.config.model import Channel
from sidecar.core.admission import NOT_WOKEN, Admission
from sidecar.core.attention import wakes
from sidecar.model import Attention, Conversation, Message, Sender

ROOM = Conversation("rm_1", "group")
MESSAGE = Message("c", "ag", "m1", ROOM, Sender("hu_1", "human"), "Build!", 0.0)
MENTION = Message("c", "ag", "m2", ROOM, Sender("hu_2", "human"), "you", 0.0, mentioned=True)


@pytest.mark.parametrize(
    ("attention", "plain", "mention"),
    [
        (Attention(), True, True),
        (Attention("muted"), False, False),
        (Attention("mention_only"), False, True),
        (Attention("keyword", keywords=("bUILD",)), True, False),
        (Attention("keyword"), False, False),
        (Attention("allowed_senders", senders=("hu_2",)), False, True),
        (Attention(muted_until=101.0), False, False),
        (Attention(muted_until=100.0), True, True),
    ],
)
def test_each_mode_wakes_by_its_rule(attention: Attention, plain: bool, mention: bool) -> None:
    assert wakes(attention, MESSAGE, 100.0) is plain
    assert wakes(attention, MENTION, 100.0) is mention


def test_a_message_that_does_not_wake_uses_up_no_rate() -> None:
    admission, channel = Admission(), Channel("c", "botcord")
    for _ in range(100):
        muted = Attention(muted_until=10.0)
        refusal = admission.check(MESSAGE, channel, muted, {}, now=9.0, elapsed=99.0)
        assert refusal is not None
        assert (refusal.reason, refusal.tell) == (NOT_WOKEN, None)
    assert admission.check(MESSAGE, channel, muted, {}, now=10.0, elapsed=0.0) is None
