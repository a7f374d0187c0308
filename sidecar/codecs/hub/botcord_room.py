"""What the BotCord Hub tells about a room."""

from sidecar.codecs.hub.botcord import OWNER_ROOM, PAIR_ROOM, is_safe_id
from sidecar.codecs.loose import Record, count_of, records_of, text_of
from sidecar.model import Member, Room

MOST_MEMBERS = 500
"""Members that are read."""
UNKNOWN = "unknown"
"""The id of a member that has none."""


def is_shared(room: str) -> bool:
    """Whether a room is one of several people, which the Hub can be asked about by its id."""
    return is_safe_id(room) and not room.startswith((OWNER_ROOM, PAIR_ROOM))


def room_of(body: object, asked: str) -> Room | None:
    """The room in an answer; None for what is no room. `asked` is the id that was asked for."""
    if not isinstance(body, dict):
        return None
    members = tuple(map(_member, records_of(body, "members")[:MOST_MEMBERS]))
    return Room(
        id=text_of(body, "room_id") or asked,
        name=text_of(body, "name") or "",
        description=text_of(body, "description") or "",
        rule=text_of(body, "rule") or "",
        visibility=text_of(body, "visibility") or "",
        join_policy=text_of(body, "join_policy") or "",
        members=members,
        member_count=max(count_of(body, "member_count") or 0, len(members)),
    )


def _member(member: Record) -> Member:
    return Member(
        id=text_of(member, "agent_id") or UNKNOWN,
        name=text_of(member, "display_name"),
        role=text_of(member, "role") or "",
    )
