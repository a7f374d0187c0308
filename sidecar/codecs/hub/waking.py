"""`wake_agent`: the Hub gives an agent something to do at a time that was set."""

import hashlib

from sidecar.codecs.hub.botcord import OWNER_ROOM
from sidecar.codecs.hub.provisioning import BadRequest
from sidecar.codecs.loose import Record, text_of
from sidecar.model import Conversation, Message, Sender

SENDER = "hub:schedule"
"""Who says it: a channel can grant this sender more than it grants agents."""
LONGEST_ID = 256


def owner_room(user: str, agent: str) -> str:
    """The room in which an owner, by the Hub's id of the user, talks to an agent."""
    digest = hashlib.sha256(f"owner_chat:{user}:{agent}".encode()).hexdigest()
    return f"{OWNER_ROOM}{digest[:16]}"


def wake_message(params: Record, channel: str, agent: str, user: str, now: float) -> Message:
    """The message that the agent is woken with; it answers its owner, `user`. Raises
    BadRequest."""
    text = text_of(params, "message")
    id_ = text_of(params, "dedupe_key") or text_of(params, "run_id")
    if text is None or id_ is None or len(id_) > LONGEST_ID:
        raise BadRequest("message, or a key that names this run, is missing")
    room = owner_room(user, agent)
    return Message(
        channel=channel,
        account=agent,
        id=f"wake:{id_}",
        conversation=Conversation(room, "direct"),
        sender=Sender(SENDER, "agent", text_of(params, "reason")),
        text=text,
        received_at=now,
        mentioned=True,
        planned=True,
        extra={"room_id": room, "source_type": "wake_agent"},
    )
