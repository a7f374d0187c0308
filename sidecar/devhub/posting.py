"""Putting a message into a room: one inbox item for each agent that is to receive it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidecar.devhub.flatten import body_of, flat_text
from sidecar.devhub.ids import random_id
from sidecar.devhub.inbox import Copy
from sidecar.devhub.records import Author, Posted
from sidecar.devhub.rooms import may_post
from sidecar.devhub.state import Agent, Person, Room, State, Topic


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote a message, as its inbox items tell it."""

    author: Author
    name: str
    type: str = "agent"
    user_id: str | None = None
    user_name: str | None = None
    session_kind: str | None = None


def owner_source(person: Person) -> Source:
    """The owner, who talks to an agent of their own."""
    return Source(
        "owner", person.name, "dashboard_user_chat", person.user_id, person.name, "owner_chat"
    )


def human_source(person: Person) -> Source:
    """A person in a room."""
    return Source(
        "human", person.name, "dashboard_human_room", person.user_id, person.name, "room_human"
    )


def post(
    state: State,
    room: Room | None,
    envelope: Mapping[str, object],
    source: Source,
    recipients: Iterable[Agent],
    topic: Topic | None = None,
    *,
    first_id: str | None = None,
) -> Posted:
    """Store a message, put a copy into the inbox of each recipient and wake them.

    `room` is None for what belongs to no room, such as a request for contact. `first_id` is the
    id of the first copy, when it has to be known before.
    """
    at = int(time.time())
    copies: list[str] = []
    receivers = list(recipients)
    for agent in receivers:
        copy_id = first_id if first_id and not copies else random_id("h_", 32)
        copy = Copy(copy_id, None, room.id if room else None, at)
        copy.item = _item(state, copy.id, agent, room, envelope, source, topic)
        state.copies[copy.id] = copy
        agent.inbox.add(copy)
        copies.append(copy.id)
    posted = Posted(
        at,
        copies[0] if copies else random_id("h_", 32),
        str(envelope["msg_id"]),
        room.id if room else None,
        str(envelope["from"]),
        source.name,
        source.author,
        str(envelope["type"]),
        body_of(envelope),
        topic.id if topic else None,
        topic.title if topic else None,
        tuple(copies),
    )
    for name in (posted.msg_id, posted.id, *copies):
        state.posts[name] = posted
    if room is not None:
        room.posts.append(posted)
    state.emit(posted)
    for agent in receivers:
        state.wake(agent)
    return posted


def _item(
    state: State,
    hub_msg_id: str,
    agent: Agent,
    room: Room | None,
    envelope: Mapping[str, object],
    source: Source,
    topic: Topic | None,
) -> dict[str, object]:
    mentions = envelope.get("mentions")
    named = isinstance(mentions, list) and (agent.id in mentions or "@all" in mentions)
    item: dict[str, object] = {
        "hub_msg_id": hub_msg_id,
        "envelope": envelope,
        "text": flat_text(state, agent, room, envelope, source.type, topic),
        "room_id": room.id if room else None,
        "room_name": room.name if room else None,
        "room_rule": room.rule if room else None,
        "room_member_count": len(room.members) if room else None,
        "room_member_names": member_names(state, room) if room else None,
        "my_role": room.members.get(agent.id) if room else None,
        "my_can_send": may_post(room, agent.id) if room else None,
        "topic": topic.title if topic else None,
        "topic_id": topic.id if topic else None,
        "goal": envelope.get("goal"),
        "delivery_note": None,
        "mentioned": named or envelope["to"] == agent.id,
        "source_type": source.type,
        "source_user_id": source.user_id,
        "source_user_name": source.user_name,
        "source_session_kind": source.session_kind,
    }
    if state.today:
        item["reply_preview"] = _preview(state, envelope.get("reply_to"))
    return item


def member_names(state: State, room: Room) -> list[str]:
    """The display names of a room's agents, and the ids of its people."""
    return [
        state.agents[member].name if member in state.agents else member for member in room.members
    ]


def _preview(state: State, reply_to: object) -> dict[str, object] | None:
    target = state.posts.get(str(reply_to)) if reply_to else None
    if target is None:
        return None
    return {
        "msg_id": target.msg_id,
        "sender_id": target.sender,
        "sender_display_name": target.name,
        "text_preview": target.text[:120],
        "topic_id": target.topic_id,
        "deleted": False,
    }
