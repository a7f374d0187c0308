"""Items of the BotCord inbox as messages.

Everything in an item but the Hub's own fields is written by a peer, and any field can be missing
or have a wrong type.
"""

import json
from math import inf
from urllib.parse import urljoin

from sidecar.codecs.hub.botcord import OWNER_ROOM, PAIR_ROOM
from sidecar.codecs.loose import Record, clean, flag_of, number_of, record_of, text_of, texts_of
from sidecar.model import Conversation, Message, Sender, SenderKind

MOST_NAMES = 100
"""Member names of a room that are kept with a message."""
LONGEST_ID = 256

_TYPES = frozenset(
    {
        "ack",
        "result",
        "error",
        "contact_request",
        "contact_request_response",
        "contact_removed",
        "system",
    }
)
_TEXT_FIELDS = ("text", "body", "message")


def page_of(body: object) -> tuple[list[object], bool] | None:
    """The items of an inbox page, and whether more are waiting; None for what is not a page."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return None
    return body["messages"], body.get("has_more") is True


def message_of(item: object, *, channel: str, account: str, hub: str, now: float) -> Message | None:
    """The message in an item; None without an id by which it could be acknowledged.

    `account` is the agent that received it, `hub` the Hub's address, `now` in seconds.
    """
    if not isinstance(item, dict) or (id_ := _item_id(item)) is None:
        return None
    envelope = record_of(item, "envelope")
    room = text_of(item, "room_id")
    sender = _sender(item, envelope, account)
    text = _text(envelope, hub)
    thread = text_of(item, "topic_id") or text_of(item, "topic")
    return Message(
        channel=channel,
        account=account,
        id=id_,
        conversation=Conversation(
            id=room or "",
            kind="direct" if room and room.startswith((OWNER_ROOM, PAIR_ROOM)) else "group",
            title=text_of(item, "room_name"),
            thread=thread,
        ),
        sender=sender,
        text=text,
        received_at=now,
        sent_at=_sent_at(envelope),
        mentioned=item.get("mentioned") is True,
        reply_to=text_of(envelope, "reply_to"),
        alias=text_of(envelope, "msg_id"),
        unusable=_unusable(envelope, room, sender, text, account),
        extra=_extra(item, envelope, id_, room, sender),
    )


def _sent_at(envelope: Record) -> float:
    """When it was sent, by the clock of its sender, which `Message` bounds."""
    seconds = number_of(envelope, "ts")
    return inf if seconds is None or seconds <= 0 else float(seconds)


def _item_id(item: Record) -> str | None:
    found = text_of(item, "hub_msg_id")
    raw = item.get("hub_msg_id")
    if found is None or len(found) > LONGEST_ID or (isinstance(raw, str) and raw != found):
        return None  # what was cut or mended would not be recognised by the Hub
    return found


def _sender(item: Record, envelope: Record, account: str) -> Sender:
    return Sender(
        id=text_of(envelope, "from") or "",
        kind=_sender_kind(item, envelope, account),
        name=text_of(item, "source_user_name"),
    )


def _sender_kind(item: Record, envelope: Record, account: str) -> SenderKind:
    """Who spoke, as the Hub vouches for it.

    A room is no proof: an agent can be a member of an owner's room. What agents say is always
    signed by them; what the Hub takes from people is not, and only the Hub sets `source_type`.
    """
    if text_of(record_of(envelope, "sig"), "value") is not None:
        return "agent"
    author = text_of(envelope, "from") or ""
    match item.get("source_type"):
        case "dashboard_user_chat" if author == account or author.startswith("hu_"):
            return "owner"
        case "dashboard_human_room":
            return "human"
        case _:
            return "agent"


def _text(envelope: Record, hub: str) -> str:
    """What was said: never the Hub's own rendering of it, which peers can imitate."""
    value = envelope.get("payload")
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, dict):
        return _json(value) if value else ""
    said = next((text for name in _TEXT_FIELDS if (text := _said(value, name))), "")
    lines = _attachments(value, hub)
    rest = {name: part for name, part in value.items() if name not in _TEXT_FIELDS and part}
    if not said and not lines and rest:
        said = _json(rest)
    return "\n".join([said, *lines]) if said and lines else said or "\n".join(lines)


def _said(payload: Record, name: str) -> str:
    value = payload.get(name)
    return clean(value) if isinstance(value, str) and value.strip() else ""


def _json(value: object) -> str:
    try:
        return clean(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return ""


def _attachments(payload: Record, hub: str) -> list[str]:
    """One line for each attachment, in the words of the Hub."""
    found = payload.get("attachments")
    lines = []
    for item in found if isinstance(found, list) else []:
        if not isinstance(item, dict) or (url := text_of(item, "url")) is None:
            continue
        name = text_of(item, "filename") or "file"
        size = number_of(item, "size_bytes")
        about = name if size is None else f"{name}, {size:.0f} bytes"
        lines.append(f"  📎 {about}: {_absolute(hub, url)}")
    return ["【Attachments】", *lines] if lines else []


def _absolute(hub: str, url: str) -> str:
    try:
        return urljoin(f"{hub}/", url.lstrip("/")) if "://" not in url else url
    except ValueError:
        return url


def _unusable(
    envelope: Record, room: str | None, sender: Sender, text: str, account: str
) -> str | None:
    """Why a message can never start a turn. The reasons are few: they become metrics."""
    kind = text_of(envelope, "type")
    if sender.id == "hub":
        return "hub_notice"
    if not envelope:
        return "no_envelope"
    if kind != "message":
        return f"type:{kind}" if kind in _TYPES else "type:unknown"
    if room is None:
        return "no_room"
    if not sender.id:
        return "no_sender"
    if sender.kind == "agent" and sender.id == account:
        return "own_echo"
    return None if text.strip() else "no_text"


def _extra(
    item: Record, envelope: Record, id_: str, room: str | None, sender: Sender
) -> dict[str, object]:
    """What an answer needs, and what templates may read. JSON, and cleaned throughout."""
    streams = sender.kind == "owner" and room is not None and room.startswith(OWNER_ROOM)
    return {
        "room_id": room,
        "msg_id": text_of(envelope, "msg_id"),
        "topic": text_of(item, "topic"),
        "topic_id": text_of(item, "topic_id"),
        "goal": text_of(item, "goal"),
        "trace_id": id_ if streams else None,
        "room": {
            "name": text_of(item, "room_name"),
            "rule": text_of(item, "room_rule"),
            "member_count": number_of(item, "room_member_count"),
            "member_names": texts_of(item, "room_member_names", most=MOST_NAMES),
            "role": text_of(item, "my_role"),
            "can_send": flag_of(item, "my_can_send"),
        },
        "source_type": text_of(item, "source_type"),
        "source_user_id": text_of(item, "source_user_id"),
        "reply_preview": _preview(record_of(item, "reply_preview")),
    }


def _preview(preview: Record) -> dict[str, str | None] | None:
    names = ("msg_id", "sender_id", "sender_display_name", "text_preview", "topic_id")
    return {name: text_of(preview, name) for name in names} if preview else None
