"""The `text` of an inbox item: the message as one plain text, made by the Hub.

Today's Hub gives the body alone. The generation 0.1.1 put the room, the topic and the sender in
front of it.
"""

import json
from collections.abc import Iterator, Mapping

from sidecar.devhub.rooms import may_post
from sidecar.devhub.state import Agent, Room, State, Topic

Record = Mapping[str, object]


def body_of(envelope: Record) -> str:
    """What a message says: the first text in its payload, else the payload as JSON."""
    payload = envelope.get("payload")
    if not isinstance(payload, dict):
        return ""
    error = payload.get("error")
    if envelope.get("type") == "error" and isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "")
    for name in ("text", "body", "message"):
        value = payload.get(name)
        if isinstance(value, str) and value:
            return value
    return json.dumps(payload, ensure_ascii=False)


def flat_text(
    state: State,
    agent: Agent,
    room: Room | None,
    envelope: Record,
    source_type: str,
    topic: Topic | None,
) -> str:
    """The `text` of the item that `agent` receives."""
    lines = [] if state.today else list(_headers(state, agent, room, envelope, topic))
    lines.append(body_of(envelope) if state.today else _main_line(state, envelope, source_type))
    lines += _attachments(state, envelope)
    return "\n".join(lines)


def _headers(
    state: State, agent: Agent, room: Room | None, envelope: Record, topic: Topic | None
) -> Iterator[str]:
    if room is not None and len(room.members) > 2:
        names = [state.name_of(member) for member in room.members]
        more = f" 等{len(names)}人" if len(names) > 10 else ""
        right = "可发言" if may_post(room, agent.id) else "禁言中"
        yield (
            f"[群聊「{room.name}」({room.id}) | {len(names)}人: {', '.join(names[:10])}{more}"
            f" | 权限: {room.members[agent.id]}, {right}]"
        )
    if room is not None and room.rule:
        yield f"[房间规则] {room.rule}"
        yield "[系统提示] 请遵守以上房间规则。"
    if topic is not None and envelope.get("topic"):
        yield f"【Topic: {topic.title} | ID: {topic.id}】"
    if envelope.get("goal"):
        yield f"【Goal: {envelope['goal']}】"
    mentions = envelope.get("mentions")
    if isinstance(mentions, list) and mentions:
        yield f"【Mentions: {', '.join(map(str, mentions))}】"
        if agent.id in mentions or "@all" in mentions:
            yield "【⚠️ You were mentioned】"


def _main_line(state: State, envelope: Record, source_type: str) -> str:
    sender = str(envelope["from"])
    known = state.agents.get(sender)
    label = f"{known.name} ({sender})" if known else sender
    match envelope["type"]:
        case "contact_request":
            return f"{label} sent you a contact request."
        case "result":
            return f"Result from {label}: {body_of(envelope)}"
        case "error":
            return f"Error from {label}: {body_of(envelope)}"
    if source_type == "dashboard_user_chat":
        return body_of(envelope)
    return f"{label} says: {body_of(envelope)}"


def _attachments(state: State, envelope: Record) -> Iterator[str]:
    payload = envelope.get("payload")
    found = payload.get("attachments") if isinstance(payload, dict) else None
    if not isinstance(found, list) or not found:
        return
    yield "【Attachments】"
    for item in found:
        if not isinstance(item, dict):
            continue
        size = f", {item['size_bytes']} bytes" if "size_bytes" in item else ""
        url = str(item.get("url", ""))
        url = state.url + url if url.startswith("/") else url
        yield f"  📎 {item.get('filename')}{size}: {url}"
