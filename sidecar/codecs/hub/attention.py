"""The attention policy of a BotCord agent: `GET /hub/attention-policy` and `policy_updated`."""

from typing import get_args

from sidecar.codecs.loose import number_of, text_of, texts_of
from sidecar.model import Attention, AttentionMode

MOST = 1000
"""Keywords, and senders, that are kept."""


def attention_of(body: object) -> Attention | None:
    """The policy; None for what is none. An unknown mode is `always`."""
    if not isinstance(body, dict) or text_of(body, "mode") is None:
        return None
    mode: AttentionMode = next(
        (one for one in get_args(AttentionMode) if one == body["mode"]), "always"
    )
    until = number_of(body, "muted_until")
    return Attention(
        mode=mode,
        keywords=tuple(word for word in texts_of(body, "keywords", most=MOST) if word.strip()),
        senders=tuple(texts_of(body, "allowedSenderIds", most=MOST)),
        muted_until=None if until is None else until / 1000,
    )
