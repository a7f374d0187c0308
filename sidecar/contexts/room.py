"""The context `room`: what the channel tells about the room of a message."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256

from sidecar.api import Asked, ContextProvider, ContextType, Host
from sidecar.codecs.loose import number_of
from sidecar.core.sanitise import cut, label
from sidecar.model import Message, Room

MOST_MEMBERS = 50
"""Members that are named."""
LONGEST_DESCRIPTION = 500
LONGEST_RULE = 4000
"""Characters."""
MOST_ROOMS = 1000
"""Rooms that are remembered."""

_Key = tuple[str, str, str]


class RoomProvider:
    """Asks once for all turns that want the same room, and remembers the answer `ttl` seconds.

    A failure, or that nothing is told, is not remembered.
    """

    def __init__(self, host: Host, ttl: float) -> None:
        self._host = host
        self._ttl = ttl
        self._known: dict[_Key, tuple[float, object]] = {}
        self._asking: dict[_Key, asyncio.Future[object]] = {}

    def value(self, asked: Asked) -> object:
        """The room; None for a direct conversation, and where the channel does not tell.

        Raises:
            SidecarError: the channel cannot tell now.
        """
        message = asked.message
        if message.conversation.kind != "group":
            return None
        key = (message.channel, message.account, message.conversation.id)
        until, found = self._known.get(key, (0.0, None))
        if asyncio.get_running_loop().time() < until:
            return found
        return self._wait(key, message)

    async def _wait(self, key: _Key, message: Message) -> object:
        # Whoever gives up waiting leaves the question to the others, and to the next turn.
        answer = await asyncio.shield(self._asking.get(key) or self._ask(key, message))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """What is being asked belongs to the host."""

    def _ask(self, key: _Key, message: Message) -> "asyncio.Future[object]":
        answer = self._asking[key] = asyncio.get_running_loop().create_future()
        _ = self._host.spawn(self._fetch(key, message, answer), "context:room")
        return answer

    async def _fetch(self, key: _Key, message: Message, answer: "asyncio.Future[object]") -> None:
        try:
            room = await self._host.room_of(message)
            found = None if room is None else shown(room, message.account)
            if found is not None:
                self._remember(key, found)
            answer.set_result(found)
        except Exception as error:  # noqa: BLE001 -- handed to those who wait
            answer.set_result(error)
        finally:
            del self._asking[key]
            answer.cancel()  # of no effect on one that is answered

    def _remember(self, key: _Key, found: object) -> None:
        self._known.pop(key, None)
        if len(self._known) >= MOST_ROOMS:
            del self._known[next(iter(self._known))]
        self._known[key] = (asyncio.get_running_loop().time() + self._ttl, found)


def shown(room: Room, account: str) -> dict[str, object]:
    """A room as templates see it: all on one line each but the rule, and bounded."""
    rule = cut(room.rule.strip(), LONGEST_RULE)
    return {
        "id": label(room.id),
        "name": label(room.name),
        "description": label(room.description, LONGEST_DESCRIPTION),
        "rule": rule,
        "rule_version": sha256(rule.encode("utf-8", "replace")).hexdigest()[:8] if rule else "",
        "visibility": label(room.visibility),
        "join_policy": label(room.join_policy),
        "role": next((label(one.role) for one in room.members if one.id == account), ""),
        "member_count": room.member_count,
        "members": [
            {
                "id": label(one.id),
                "name": label(one.name or "") or label(one.id),
                "role": label(one.role),
            }
            for one in room.members[:MOST_MEMBERS]
        ],
    }


def build(options: Mapping[str, object], host: Host) -> ContextProvider:
    """A provider of this type."""
    ttl = number_of(options, "ttl")
    return RoomProvider(host, 300.0 if ttl is None else ttl)


ROOM = ContextType(
    "room",
    {
        "type": "object",
        "properties": {"ttl": {"type": "number"}},
        "additionalProperties": False,
    },
    build,
)
