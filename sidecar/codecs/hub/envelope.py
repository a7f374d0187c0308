"""Message envelopes of the BotCord Hub, version `a2a/0.1`: built and signed."""

from collections.abc import Mapping

from nacl.signing import SigningKey

from sidecar.codecs.hub.signing import envelope_input, payload_hash, sign
from sidecar.codecs.loose import clean

TTL = 3600
"""Seconds for which the Hub keeps a message that nobody fetches."""
LONGEST_TOPIC = 256
"""Characters of a topic's title that the Hub stores; it fails on more."""


def signed_message(
    *,
    key: SigningKey,
    key_id: str,
    sender: str,
    to: str,
    msg_id: str,
    ts: int,
    payload: Mapping[str, object],
    reply_to: str | None = None,
    topic: str | None = None,
    trace_id: str | None = None,
) -> dict[str, object]:
    """An envelope of type `message`, ready to be sent.

    `ts` is in seconds since the epoch, `reply_to` the `msg_id` of the answered envelope, `topic` a
    title. `trace_id` is not part of the signed envelope: it names the stream that the message ends.
    """
    envelope: dict[str, object] = {
        "v": "a2a/0.1",
        "msg_id": msg_id,
        "ts": ts,
        "from": sender,
        "to": to,
        "type": "message",
        "reply_to": reply_to,
        "ttl_sec": TTL,
        "topic": topic if topic is not None and len(topic) <= LONGEST_TOPIC else None,
        "goal": None,
        "payload": payload,
        "payload_hash": payload_hash(payload),
    }
    value = sign(key, envelope_input(envelope))
    envelope["sig"] = {"alg": "ed25519", "key_id": key_id, "value": value}
    if trace_id is not None:
        envelope["trace_id"] = trace_id
    return envelope


def text_payload(text: str, attempt: int) -> dict[str, object]:
    """The payload of a text. The Hub refuses one that it has seen just now, so that another
    attempt has to differ."""
    payload: dict[str, object] = {"text": clean(text)}
    return payload if attempt == 1 else {**payload, "attempt": attempt}
