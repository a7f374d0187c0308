"""The BotCord Hub as a client sees it: addresses, socket frames, and what its answers mean."""

import json
import re
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from sidecar.codecs.loose import record_of, text_of

OWNER_ROOM = "rm_oc_"
"""Rooms in which the owner talks to the agent begin with this."""
PAIR_ROOM = "rm_dm_"
"""Rooms of two begin with this."""

PING = '{"type":"ping"}'
"""Keeps the socket alive; the Hub does not count pings of the WebSocket protocol."""

CloseAction = Literal["reconnect", "refresh", "stop"]
Verdict = Literal[
    "accepted",
    "duplicate",  # the room had this text from us a moment ago
    "clock",  # our time and the Hub's differ too much
    "target",  # the message that we answer is not known in that room
    "limited",  # too many messages of the agent
    "room_limited",  # too many messages into that room
    "refused",
    "failed",  # the Hub, or the way to it, is at fault
]

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)
_CODE = re.compile(r"[a-z][a-z0-9_]{2,63}", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_STOPPING = frozenset(
    {
        (400, "signing_key_not_found_or_inactive"),
        (400, "key_does_not_belong_to_sender"),
        (401, "signature_verification_failed"),
        (403, "agent_not_claimed"),
        (403, "agent_not_claimed_generic"),
        (403, "key_not_active"),
        (403, "sender_does_not_match_token"),
        (404, "agent_not_found"),
        (404, "key_not_found"),
    }
)

_VERDICTS: dict[tuple[int, str], Verdict] = {
    (400, "timestamp_out_of_range"): "clock",
    (400, "reply_target_not_found"): "target",
    (400, "reply_target_cross_room"): "target",
    (429, "conversation_rate_limit_exceeded"): "room_limited",
    (429, "duplicate_content"): "duplicate",
    (429, "slow_mode_wait"): "room_limited",
}


def is_safe_id(agent: str) -> bool:
    """Whether an agent's id can be part of a path or an address."""
    return _SAFE_ID.fullmatch(agent) is not None


def hub_url(text: str) -> str:
    """The base address of a Hub: absolute, plain http on this machine only, no slash at its end.

    Raises:
        ValueError: it is not such an address.
    """
    text = text.strip()
    parts = urlsplit(text)
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("the address of the Hub has to begin with https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address of the Hub has only a host, a port and a path")
    if parts.scheme == "http" and host not in _LOOPBACK and not host.endswith(".localhost"):
        raise ValueError(f"http:// is for this machine only: use https:// for {host}")
    parts.port  # noqa: B018 -- raises ValueError when it is no port
    return text.removesuffix("/")


def socket_url(base: str, path: str) -> str:
    """The WebSocket address of a path below the Hub's base address."""
    parts = urlsplit(base)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path + path, "", ""))


def login_frame(token: str) -> str:
    """The first frame on the socket."""
    return json.dumps({"type": "auth", "token": token})


def frame_type(data: str) -> str | None:
    """The type of a frame from the Hub, None for what is not a frame."""
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict):
        return None
    kind = frame.get("type")
    return kind if isinstance(kind, str) else None


def close_action(code: int | None) -> CloseAction:
    """What to do after the socket was closed with a code."""
    match code:
        case 4001:  # the token is missing, late or not valid (any more)
            return "refresh"
        case 4010:  # the Hub does not speak with clients of our kind
            return "stop"
        case _:
            return "reconnect"


def error_code(body: object) -> str:
    """The stable key of an error; empty where the body has none.

    Some routes have it in `code`, others as `detail` or `error`. Sentences are not keys: they are
    translated and change.
    """
    if not isinstance(body, dict):
        return ""
    found = (
        text_of(body, "code")
        or text_of(record_of(body, "detail"), "code")
        or text_of(body, "detail")
        or text_of(body, "error")
        or ""
    )
    return found if _CODE.fullmatch(found) else ""


def is_final(status: int, code: str) -> bool:
    """Whether an error means that the account cannot be used until a person acts."""
    return (status, code) in _STOPPING


def is_missing_route(status: int, code: str) -> bool:
    """Whether the Hub is too old to have a route. An unknown room or message has a code."""
    return status == 405 or (status == 404 and not code)


def verdict(status: int, code: str) -> Verdict:
    """What became of a message that was sent."""
    if (status, code) in _VERDICTS:
        return _VERDICTS[status, code]
    match status:
        case 200 | 201 | 202:
            return "accepted"
        case 429:
            return "limited"
        case 413 | 422:
            return "refused"
        case 400 | 403 | 404 | 409 if code:  # without one it is not the Hub that speaks
            return "refused"
        case _:
            return "failed"
