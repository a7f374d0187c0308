"""Frames of the control socket: what the Hub asks is checked, what it gets is written.

The Hub signs each frame `{id, type, params, ts, sig}`; acks `{id, ok, result | error}` and the
events of this side are not signed. An ack has no `type`: that is how the two are told apart.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sidecar.codecs.hub.signing import verify_control_frame
from sidecar.codecs.loose import Record, number_of

WINDOW = 300.0
"""Seconds by which a frame's time and ours may differ."""
LARGEST_FRAME = 1 << 20
"""Bytes of a frame. A Hub's largest tells of all the agents of a machine."""
_LONGEST_ID = 128
_LONGEST_TYPE = 64

RefusalCode = Literal[
    "malformed", "too_large", "no_control_key", "unsigned", "bad_signature", "stale_ts"
]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that the Hub has signed. `ts` is in seconds since the epoch.

    `params` can hold private keys. What it asks for has to be there at `due`, in seconds of the
    monotonic clock; what is not is undone.
    """

    id: str
    type: str
    params: Record = field(repr=False)
    ts: float
    due: float = math.inf


@dataclass(frozen=True, slots=True)
class Refused:
    """A frame that must not act. `id` is None where it has none, and then it is not answered.

    `reason` quotes nothing of the frame.
    """

    code: RefusalCode
    reason: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The frame was acted upon. `result` is JSON, None where there is nothing to tell."""

    result: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not: a stable `code`, and a sentence for who looks into it."""

    code: str
    message: str


Ack = Done | Failed
"""What became of a frame."""


def verify(
    text: bytes,
    keys: Collection[str],
    now: float,
    *,
    window: float = WINDOW,
    largest: int = LARGEST_FRAME,
) -> Frame | Refused | None:
    """Check a frame; None for the Hub's ack of an event of ours.

    `keys` are the public keys of the Hub, base64; without one every frame is refused. The
    signature is checked before the time, so that strangers learn nothing about our clock.
    """
    record = _record(text)
    if record is None:
        return Refused("malformed", "it is not a JSON object")
    if "ok" in record and "type" not in record:
        return None
    id_ = _name(record, "id", _LONGEST_ID)
    if len(text) > largest:
        return Refused("too_large", f"it has {len(text)} bytes, {largest} are the most", id_)
    type_, params = _name(record, "type", _LONGEST_TYPE), record.get("params")
    if id_ is None or type_ is None or not isinstance(params, dict | None):
        return Refused("malformed", "its id, type or params are not as they should be", id_)
    untrusted = _untrusted(record, keys)
    if untrusted is not None:
        return Refused(*untrusted, id_)
    ts = number_of(record, "ts")
    if ts is None:
        return Refused("stale_ts", "it has no time", id_)
    off = now - ts / 1000
    if abs(off) > window:
        return Refused("stale_ts", f"its time is {off:.0f} s behind ours, {window:g} at most", id_)
    return Frame(id_, type_, params or {}, ts / 1000)


def ack(id_: str, outcome: Ack) -> str:
    """The answer to a frame."""
    answer: dict[str, object] = {"id": id_}
    match outcome:
        case Done(result):
            answer["ok"] = True
            if result is not None:
                answer["result"] = dict(result)
        case Failed(code, message):
            answer |= {"ok": False, "error": {"code": code, "message": message}}
    return json.dumps(answer)


def event(type_: str, params: Mapping[str, object] | None = None, *, id_: str, now: float) -> str:
    """Something that this side tells. `now` is in seconds since the epoch."""
    told: dict[str, object] = {"id": id_, "type": type_, "ts": int(now * 1000)}
    if params is not None:
        told["params"] = dict(params)
    return json.dumps(told)


def _untrusted(record: Record, keys: Collection[str]) -> tuple[RefusalCode, str] | None:
    """Why a frame is not known to be the Hub's, None when it is."""
    if not keys:
        return "no_control_key", "no public key of the Hub is configured"
    if not isinstance(record.get("sig"), str):
        return "unsigned", "it has no signature"
    if not verify_control_frame(record, keys):
        return "bad_signature", "no configured key has signed it"
    return None


def _record(text: bytes) -> Record | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _name(record: Record, name: str, longest: int) -> str | None:
    value = record.get(name)
    fits = isinstance(value, str) and 0 < len(value) <= longest and value.isascii()
    return str(value) if fits and str(value).isprintable() else None
