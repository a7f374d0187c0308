"""What people do in the Hub: talk to an agent as its owner, as a person, or as another agent."""

import time
from collections.abc import Mapping, Sequence

from sidecar.devhub import rooms
from sidecar.devhub.envelopes import written
from sidecar.devhub.ids import random_id
from sidecar.devhub.inbox import Copy
from sidecar.devhub.posting import Source, human_source, owner_source, post
from sidecar.devhub.records import Posted
from sidecar.devhub.state import Agent, Room, State, Trace


def owner_says(state: State, agent: Agent, text: str) -> Posted:
    """The owner writes into their chat with the agent; the message has a stream."""
    room = rooms.owner_room(state, agent)
    envelope = written(state, agent.id, agent.id, {"text": text}, key_id="dashboard")
    hub_msg_id = random_id("h_", 32)
    state.traces[hub_msg_id] = Trace(agent.id, room.id)
    room.streams.add(hub_msg_id)
    return post(state, room, envelope, owner_source(state.owner), [agent], first_id=hub_msg_id)


def say(
    state: State,
    sender: str,
    to: str,
    payload: Mapping[str, object],
    *,
    topic: str | None = None,
    mentions: Sequence[str] = (),
    reply_to: str | None = None,
) -> Posted:
    """A person or an agent writes into a room, or to an agent.

    Raises:
        ValueError: the sender or the target is not known, or the sender is no member of the room.
    """
    person = state.people.get(sender)
    key_id = "dashboard-human" if person else state.agent(sender).key_id
    room, recipients = _target(state, sender, to)
    answered = state.posts.get(reply_to) if reply_to else None
    envelope = written(
        state,
        sender,
        to,
        payload,
        key_id=key_id,
        topic=topic,
        reply_to=answered.msg_id if answered else reply_to,
        mentions=list(mentions) or None,
    )
    source = human_source(person) if person else Source("agent", state.name_of(sender))
    found = rooms.topic_in(room, topic, None)
    return post(state, room, envelope, source, recipients, found)


def put_raw(agent: Agent, item: object) -> None:
    """Put an inbox item as it is, however wrong."""
    record = item if isinstance(item, dict) else {}
    copy_id, room = record.get("hub_msg_id"), record.get("room_id")
    agent.inbox.add(
        Copy(
            copy_id if isinstance(copy_id, str) else random_id("h_", 32),
            item,
            room if isinstance(room, str) else None,
            int(time.time()),
        )
    )


def _target(state: State, sender: str, to: str) -> tuple[Room, list[Agent]]:
    if not to.startswith("rm_"):
        receiver = state.agent(to)
        return rooms.direct_room(state, sender, to), [receiver]
    room = state.rooms.get(to)
    if room is None:
        raise ValueError(f"no such room: {to}")
    if sender not in room.members:
        raise ValueError(f"{sender} is not a member of {room.name}")
    others = [who for who in room.members if who in state.agents and who != sender]
    return room, [state.agents[who] for who in others]
