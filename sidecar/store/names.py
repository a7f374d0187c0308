"""The ids of channels under which accounts were known: what is stored under one is found by all."""

import json
import logging
from collections.abc import Iterable
from sqlite3 import Connection

from sidecar.model import Message
from sidecar.store.encoding import encode

log = logging.getLogger(__name__)

_ALL = "select key, type from name"
_SAVE = """
    insert into name(key, type) values(?, ?)
    on conflict do update set type = excluded.type where type != excluded.type"""


class Names:
    """Knows accounts that no two channels of a type share, by the ids of those that had them.

    Equal texts of two types are two accounts. What was never noted has no other name.
    """

    def __init__(self) -> None:
        self._types: dict[tuple[str, str], str] = {}
        self._channels: dict[tuple[str, str], tuple[str, ...]] = {}

    def load(self, connection: Connection) -> None:
        """Take over what the journal has. Blocks."""
        for key, type_ in connection.execute(_ALL):
            try:
                channel, account = json.loads(key)
                self.note(channel, account, json.loads(type_))
            except (ValueError, TypeError) as error:  # it must not hide all others
                log.warning("which channel an account had cannot be told: %s", error)

    def note(self, channel: str, account: str, type_: str) -> None:
        """The channel of an id has a type, and speaks as an account."""
        before = self._types.get((channel, account))
        if before == type_:
            return
        if before is not None:
            known = self._channels[before, account]
            self._channels[before, account] = tuple(one for one in known if one != channel)
        known = self._channels.get((type_, account), ())
        self._channels[type_, account] = (*known, channel)
        self._types[channel, account] = type_  # last: another thread may look this very moment

    def type_of(self, channel: str, account: str) -> str | None:
        """The type of the channel of an id when it spoke as an account; None: it never did."""
        return self._types.get((channel, account))

    def of(self, channel: str, account: str) -> tuple[str, ...]:
        """The id, and behind it the others under which its account was known. Any thread may
        ask."""
        type_ = self._types.get((channel, account))
        known = self._channels[type_, account] if type_ is not None else ()
        if len(known) < 2:  # as nearly always
            return (channel,)
        return (channel, *(one for one in known if one != channel))

    def save(self, connection: Connection, messages: Iterable[Message]) -> None:
        """Keep the names by which messages are known. Runs inside a transaction."""
        for key in {(message.channel, message.account) for message in messages}:
            if (type_ := self._types.get(key)) is not None:
                connection.execute(_SAVE, (encode(key), encode(type_)))
