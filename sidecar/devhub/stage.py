"""The conversations that the chat offers: a person plays the owner, a guest or another agent."""

import re
from dataclasses import dataclass

from sidecar.devhub import accounts, acts, rooms
from sidecar.devhub.records import Author, Posted
from sidecar.devhub.state import Agent, Person, Room, State

GUEST = "Guest"
ROOM = "Team room"
PEER = "ag_peer"
LONGEST_TEXT = 8000
"""Characters of a message that a person may write in the Hub's dashboard."""


@dataclass(frozen=True, slots=True)
class Place:
    """A room in which the person plays `role`, and the agents that may answer there."""

    room: str
    role: Author
    title: str
    agents: tuple[str, ...]


def places(state: State) -> list[Place]:
    """All conversations that are offered; the rooms, the guest and the peer are made as needed."""
    live = [agent for agent in tuple(state.agents.values()) if not agent.played]
    if not live:
        return []
    _set_up(state, live)
    found = [
        Place(rooms.owner_room(state, agent).id, "owner", agent.name, (agent.id,)) for agent in live
    ]
    for room in state.rooms.values():
        present = tuple(agent.id for agent in live if agent.id in room.members)
        if rooms.kind_of(room.id) == "group" and present and _people(state, room):
            found.append(Place(room.id, "human", room.name, present))
    for agent in live:
        direct = rooms.direct_room(state, PEER, agent.id)
        found.append(Place(direct.id, "agent", agent.name, (agent.id,)))
    return found


def speak(state: State, room_id: str, text: str) -> Posted:
    """Say something in the role that the person has in a room.

    Raises:
        ValueError: the text is empty or too long, or the room is none of those offered.
    """
    if not text.strip():
        raise ValueError("there is nothing to send")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"a message has at most {LONGEST_TEXT} characters")
    place = next((place for place in places(state) if place.room == room_id), None)
    if place is None:
        raise ValueError("no such conversation")
    room = state.rooms[room_id]
    match place.role:
        case "owner":
            return acts.owner_says(state, state.agents[place.agents[0]], text)
        case "agent":
            return acts.say(state, PEER, place.agents[0], {"text": text})
        case "human":
            guest = _people(state, room)[0]
            named = [agent for agent in place.agents if _mentions(text, state.agents[agent])]
            everybody = ["@all"] if re.search(r"(?<!\w)@all(?!\w)", text) else []
            return acts.say(state, guest.id, room.id, {"text": text}, mentions=named + everybody)


def _set_up(state: State, live: list[Agent]) -> None:
    if PEER not in state.agents:
        accounts.register(state, PEER, "Peer", None).played = True
    groups = [room for room in state.rooms.values() if rooms.kind_of(room.id) == "group"]
    if not any(_people(state, room) for room in groups):
        guest = accounts.add_person(state, GUEST)
        rooms.add_room(state, ROOM, [guest, *(agent.id for agent in live)])
        return
    own = next((room for room in groups if room.name == ROOM), None)
    newcomers = [agent.id for agent in live if own is not None and agent.id not in own.members]
    if own is not None and newcomers:
        own.members.update(dict.fromkeys(newcomers, "member"))
        rooms.tell_members(state, own)


def _people(state: State, room: Room) -> list[Person]:
    return [state.people[member] for member in room.members if member in state.people]


def _mentions(text: str, agent: Agent) -> bool:
    names = "|".join(re.escape(name) for name in (agent.id, agent.name))
    return re.search(rf"(?<!\w)@(?:{names})(?!\w)", text, re.IGNORECASE) is not None
