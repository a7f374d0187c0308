"""Rooms: group rooms, direct rooms, the owner's chat with an agent, their topics, who may post."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web

from sidecar.devhub.answers import Invalid, Refused, answer, take_number
from sidecar.devhub.ids import random_id, stable_id
from sidecar.devhub.records import Changed, Posted
from sidecar.devhub.state import Agent, Room, State, Topic
from sidecar.devhub.tokens import authenticate

Kind = Literal["direct", "owner", "group"]


def kind_of(room: str) -> Kind:
    """What kind of room an id names; only its prefix tells."""
    if room.startswith("rm_dm_"):
        return "direct"
    return "owner" if room.startswith("rm_oc_") else "group"


def direct_room(state: State, first: str, second: str) -> Room:
    """The room of two participants, made when they first need it."""
    low, high = sorted((first, second))
    room_id = f"rm_dm_{low}_{high}"
    if room_id not in state.rooms:
        members = {low: "member", high: "member"}
        state.rooms[room_id] = Room(room_id, f"DM {low} & {high}", members, time.time())
    return state.rooms[room_id]


def owner_room(state: State, agent: Agent) -> Room:
    """The owner's chat with an agent. On today's Hub the owner is a member of it too."""
    room_id = stable_id("rm_oc_", 16, f"owner_chat:{state.owner.user_id}:{agent.id}")
    if room_id not in state.rooms:
        members = {agent.id: "owner"}
        if state.today:
            members[state.owner.id] = "member"
        name = agent.name if state.today else f"Chat with {agent.name}"
        state.rooms[room_id] = Room(room_id, name, members, time.time())
    return state.rooms[room_id]


def add_room(state: State, name: str, members: Sequence[str]) -> Room:
    """A new group room, which the first member owns. Raises ValueError for an unknown member."""
    for member in members:
        if member not in state.agents and member not in state.people:
            raise ValueError(f"no such member: {member}")
    room_id = stable_id("rm_", 12, name)
    if room_id in state.rooms:
        room_id = random_id("rm_", 12)
    roles = {member: "member" if index else "owner" for index, member in enumerate(members)}
    room = state.rooms[room_id] = Room(room_id, name, roles, time.time())
    tell_members(state, room)
    return room


def tell_members(state: State, room: Room) -> None:
    """Wake the agents of a room: they have a new room, or it has new members."""
    for member in room.members:
        if member in state.agents:
            state.wake(state.agents[member])
    state.emit(Changed())


def may_post(room: Room, member: str) -> bool:
    """Whether a member may post: owners and admins always, others where the room lets them."""
    return room.default_send or room.members.get(member) in ("owner", "admin")


def topic_in(room: Room, title: str | None, goal: str | None) -> Topic | None:
    """The topic with a title, made when it is new. A goal opens a closed topic again."""
    if not title:
        return None
    topic = room.topics.get(title)
    if topic is None:
        topic = room.topics[title] = Topic(random_id("tp_", 12), title, goal)
    elif goal and topic.status != "open":
        topic.status, topic.goal = "open", goal
    return topic


async def show(request: web.Request) -> web.Response:
    """GET /hub/rooms/{room}: a room and its members."""
    state, room = _own_room(request)
    return answer(
        {
            "room_id": room.id,
            "name": room.name,
            "description": room.description,
            "rule": room.rule,
            "owner_id": next((who for who, role in room.members.items() if role == "owner"), None),
            "visibility": "private",
            "join_policy": "invite_only",
            "required_subscription_product_id": None,
            "max_members": 2 if kind_of(room.id) == "direct" else None,
            "default_send": room.default_send,
            "default_invite": False,
            "allow_human_send": True,
            "slow_mode_seconds": room.slow_mode,
            "member_count": len(room.members),
            "members": [_member(state, room, member) for member in room.members],
            "created_at": _date(room.created),
            "url": f"{state.url}/chats/messages/{room.id}",
        }
    )


async def history(request: web.Request) -> web.Response:
    """GET /hub/rooms/{room}/messages: what was said in a room, newest first."""
    _, room = _own_room(request)
    query = request.query
    limit = int(take_number(request, "limit", 20, 1, 50))
    posts = room.posts
    if "before" in query:
        posts = posts[: _cursor(posts, query["before"])]
    elif "after" in query:
        posts = posts[_cursor(posts, query["after"]) + 1 :]
    if "topic_id" in query:
        posts = [post for post in posts if post.topic_id == query["topic_id"]]
    if "sender_id" in query:
        posts = [post for post in posts if post.sender == query["sender_id"]]
    page = [
        {
            "hub_msg_id": post.id,
            "from": post.sender,
            "from_name": post.name,
            "text": post.text,
            "type": post.type,
            "ts": post.at,
            "topic_id": post.topic_id,
            "topic_title": post.topic,
        }
        for post in reversed(posts[-limit:])
    ]
    return answer({"messages": page, "has_more": len(posts) > limit})


async def attention(request: web.Request) -> web.Response:
    """GET /hub/attention-policy: this Hub's agents are always to be woken, unless it was told
    otherwise."""
    _, agent = authenticate(request)
    return answer({"mode": "always", "keywords": [], "allowedSenderIds": [], **agent.attention})


def _own_room(request: web.Request) -> tuple[State, Room]:
    state, agent = authenticate(request)
    return state, member_room(state, request.match_info["room"], agent)


def member_room(state: State, room_id: str, agent: Agent) -> Room:
    """A room that the agent is a member of. Raises Refused."""
    room = state.rooms.get(room_id)
    if room is None:
        raise Refused(404, "room_not_found")
    if agent.id not in room.members:
        raise Refused(403, "not_a_member")
    return room


def _member(state: State, room: Room, member: str) -> dict[str, object]:
    agent = state.agents.get(member)
    found: dict[str, object] = {
        "agent_id": member,
        "display_name": agent.name if agent else None,
        "role": room.members[member],
        "muted": False,
        "can_send": None,
        "can_invite": None,
        "joined_at": _date(room.created),
        "online": bool(agent and agent.sockets),
    }
    if state.today:
        found |= {"participant_type": "agent" if agent else "human", "avatar_url": None}
    return found


def _cursor(posts: list[Posted], message: str) -> int:
    for index, post in enumerate(posts):
        if message in (post.id, *post.copies):
            return index
    raise Invalid(("query", "cursor"), "Unknown message", message)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
