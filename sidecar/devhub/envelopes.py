"""Envelopes that agents send: their form, their signature, and those that the Hub writes itself."""

import time
import uuid
from collections.abc import Mapping
from typing import cast

from sidecar.codecs.hub import signing
from sidecar.devhub.answers import Invalid, Refused, take
from sidecar.devhub.state import Agent, State

VERSION = "a2a/0.1"
SENDABLE = ("message", "contact_request", "result", "error")
KNOWN = (*SENDABLE, "ack", "contact_request_response", "contact_removed", "system")
TTL = 3600

Envelope = Mapping[str, object]


def check_form(body: Mapping[str, object]) -> None:
    """Check the types of an envelope's fields. Raises Invalid."""
    for name in ("v", "msg_id", "from", "to", "type", "payload_hash"):
        take(body, name, str)
    take(body, "ts", int)
    take(body, "payload", dict)
    signature = cast("Mapping[str, object]", take(body, "sig", dict))
    for name in ("alg", "key_id", "value"):
        take(signature, name, str)
    for name in ("reply_to", "topic", "goal", "trace_id"):
        if body.get(name) is not None:
            take(body, name, str)
    if body.get("mentions") is not None:
        take(body, "mentions", list)
    if body["type"] not in KNOWN:
        raise Invalid(("body", "type"), "Input should be a known type", body["type"])
    if "ttl_sec" in body and cast("int", take(body, "ttl_sec", int)) < 1:
        raise Invalid(("body", "ttl_sec"), "Input should be at least 1", body["ttl_sec"])


def check_proof(state: State, agent: Agent, envelope: Envelope) -> None:
    """Check time, hash, key, signature, type and sender, in this order. Raises Refused."""
    if abs(time.time() - cast("int", envelope["ts"])) > state.limits.clock_skew:
        raise Refused(400, "timestamp_out_of_range")
    if not _hashed(envelope):
        raise Refused(400, "payload_hash_mismatch")
    signature = cast("Mapping[str, str]", envelope["sig"])
    key = state.keys.get(signature["key_id"])
    if key is None or not key.active:
        raise Refused(400, "signing_key_not_found_or_inactive")
    if key.agent != envelope["from"]:
        raise Refused(400, "key_does_not_belong_to_sender")
    if not _signed(key.public, envelope, signature["value"]):
        raise Refused(400, "signature_verification_failed")
    if envelope["type"] not in SENDABLE:
        raise Refused(400, "send_invalid_type")
    if envelope["from"] != agent.id:
        raise Refused(403, "sender_does_not_match_token")


def _hashed(envelope: Envelope) -> bool:
    try:
        return signing.payload_hash(envelope["payload"]) == envelope["payload_hash"]
    except (ValueError, RecursionError):  # it has no canonical form
        return False


def _signed(public: str, envelope: Envelope, signature: str) -> bool:
    try:
        signed = signing.envelope_input({"ttl_sec": TTL, **envelope})
    except UnicodeEncodeError:  # a lone surrogate has no bytes to sign
        return False
    return signing.verify(public, signed, signature)


def stored(state: State, envelope: Envelope, reply_to: str | None) -> dict[str, object]:
    """The envelope as its recipients get it. `reply_to` is the `msg_id` that it answers."""
    names = ["v", "msg_id", "ts", "from", "to", "type", "ttl_sec", "topic", "goal", "payload"]
    names += ["payload_hash", "sig", "mentions"]
    if state.today:
        names.append("trace_id")
    return {name: envelope.get(name) for name in names} | {
        "reply_to": reply_to,
        "ttl_sec": envelope.get("ttl_sec", TTL),
    }


def written(
    state: State,
    sender: str,
    to: str,
    payload: Mapping[str, object],
    *,
    key_id: str,
    topic: str | None = None,
    reply_to: str | None = None,
    mentions: list[str] | None = None,
) -> dict[str, object]:
    """An envelope that the Hub writes for a person, or for an agent that a person plays.

    It is signed when the Hub knows the agent's private key; what people say never is.
    """
    envelope: dict[str, object] = {
        "v": VERSION,
        "msg_id": str(uuid.uuid4()),
        "ts": int(time.time()),
        "from": sender,
        "to": to,
        "type": "message",
        "reply_to": reply_to,
        "ttl_sec": TTL,
        "topic": topic,
        "goal": None,
        "payload": payload,
        "payload_hash": "",
        "mentions": mentions,
    }
    value = ""
    agent = state.agents.get(sender)
    if agent is not None and agent.signer is not None and key_id == agent.key_id:
        envelope["payload_hash"] = signing.payload_hash(payload)
        value = signing.sign(agent.signer, signing.envelope_input(envelope))
    envelope["sig"] = {"alg": "ed25519", "key_id": key_id, "value": value}
    if state.today:
        envelope["trace_id"] = None
    return envelope
