"""What was said last in each conversation, in memory: every prompt may ask for all of it."""

import json
import logging
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from sqlite3 import Connection

from sidecar.errors import JournalError
from sidecar.model import Said
from sidecar.store.encoding import decode_said

log = logging.getLogger(__name__)

MOST = 1000
"""Conversations of one account that are kept; the one that is silent for longest goes first."""
MOST_LOADED = 2000
"""Rows that are read at the start."""

_LATEST = "select conversation, at, entry from activity order by at desc limit ?"


class RecentActivity:
    """The last thing said in each conversation of each account."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], dict[tuple[str, str | None], Said]] = {}

    def load(self, connection: Connection) -> None:
        """Take over what the journal has. Blocks."""
        for key, at, entry in reversed(connection.execute(_LATEST, (MOST_LOADED,)).fetchall()):
            try:
                channel, account, *_ = json.loads(key)
                self.note(channel, account, decode_said(entry, at), now=at)
            except (JournalError, ValueError, TypeError) as error:
                # One that cannot be read must not hide all others.
                log.warning("what was said last somewhere cannot be told: %s", error)

    def note(self, channel: str, account: str, said: Said, now: float) -> None:
        """Something was said; what is older than what is known is left out. What is known from
        after `now`, by a clock that was set back or a channel's own, is older than anything new."""
        known = self._accounts.setdefault((channel, account), {})
        place = (said.conversation.id, said.conversation.thread)
        before = known.get(place)
        if before is not None and said.at < before.at <= now:
            return
        known.pop(place, None)
        known[place] = said
        if len(known) > MOST:
            del known[next(iter(known))]

    def forget(self, channels: Sequence[str], account: str) -> None:
        """Nothing was said to an account of channels."""
        for channel in channels:
            self._accounts.pop((channel, account), None)

    def since(self, channels: Sequence[str], account: str, since: float) -> list[Said]:
        """What was said since a time in each conversation of an account, newest first. It is known
        by the ids of all these channels."""
        known = [self._accounts.get((channel, account), {}) for channel in channels]
        newest = known[0]
        if any(known[1:]):
            newest = {}
            for place, said in chain.from_iterable(one.items() for one in known):
                if place not in newest or newest[place].at < said.at:
                    newest[place] = said
        found = [said for said in newest.values() if said.at >= since]
        return sorted(found, key=attrgetter("at"), reverse=True)
