"""An agent's inbox: copies that wait, copies under a lease, and what became of the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

CopyState = Literal["queued", "processing", "delivered", "acked"]


@dataclass(slots=True)
class Copy:
    """One recipient's copy of a message. `item` is its JSON form in a page of the inbox.

    Times are in seconds: `created` and the two marks since the epoch, `leased_until` monotonic.
    """

    id: str
    item: object
    room: str | None
    created: int
    order: int = 0
    state: CopyState = "queued"
    leased_until: float = 0.0
    delivered_at: int | None = None
    acked_at: int | None = None


class Inbox:
    """The copies of one agent, oldest first."""

    def __init__(self) -> None:
        self._queued: dict[str, Copy] = {}
        self._leased: dict[str, Copy] = {}
        self._count = 0
        self.latest: Copy | None = None

    @property
    def unacknowledged(self) -> list[str]:
        """The ids of the copies that wait or are leased."""
        return [*self._leased, *self._queued]

    def add(self, copy: Copy) -> None:
        """Queue a new copy. One with the id of a waiting copy takes its place."""
        self.latest = copy
        copy.order = self._count
        self._count += 1
        self._queued[copy.id] = copy

    def has_mail(self, room: str | None) -> bool:
        """Whether something waits, in any room or in the given one."""
        if room is None:
            return bool(self._queued)
        return any(copy.room == room for copy in self._queued.values())

    def take(self, limit: int, room: str | None) -> tuple[list[Copy], bool]:
        """The oldest waiting copies, and whether more of them wait. They stay where they are."""
        page: list[Copy] = []
        for copy in self._queued.values():
            if room is not None and copy.room != room:
                continue
            if len(page) == limit:
                return page, True
            page.append(copy)
        return page, False

    def lease(self, copies: Iterable[Copy], until: float) -> None:
        """Hide copies until they are acknowledged or the lease runs out."""
        for copy in copies:
            copy.state = "processing"
            copy.leased_until = until
            self._leased[copy.id] = self._queued.pop(copy.id)

    def deliver(self, copies: Iterable[Copy], now: int) -> None:
        """Let go of copies for good, without an acknowledgement."""
        for copy in copies:
            copy.state = "delivered"
            copy.delivered_at = now
            del self._queued[copy.id]

    def acknowledge(self, ids: Iterable[str], now: int) -> list[Copy]:
        """Let go of copies for good; returns those that were waiting or leased."""
        found = []
        for copy_id in ids:
            copy = self._leased.pop(copy_id, None) or self._queued.pop(copy_id, None)
            if copy is not None:
                copy.state = "acked"
                copy.delivered_at = copy.acked_at = now
                found.append(copy)
        return found

    def renew(self, ids: Iterable[str], until: float) -> int:
        """Extend leases; returns how many."""
        found = [self._leased[copy_id] for copy_id in set(ids) if copy_id in self._leased]
        for copy in found:
            copy.leased_until = until
        return len(found)

    def expire(self, now: float) -> int:
        """Queue the copies whose lease has run out again, in their old order; returns how many."""
        expired = [copy for copy in self._leased.values() if copy.leased_until <= now]
        for copy in expired:
            copy.state = "queued"
            self._queued[copy.id] = self._leased.pop(copy.id)
        if expired:
            self._queued = dict(sorted(self._queued.items(), key=lambda pair: pair[1].order))
        return len(expired)
