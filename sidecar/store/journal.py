"""The journal as the rest of the sidecar sees it: each method is one durable step.

A method returns after the commit. Cancelling the wait does not undo the step.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

from sidecar.errors import JournalError
from sidecar.model import Message, Reply
from sidecar.store import outbox, retention, sessions
from sidecar.store import turns as turn_rows
from sidecar.store.database import connect_reader, open_database
from sidecar.store.records import (
    Accepted,
    JournalCounts,
    Outcome,
    PendingReply,
    SessionKey,
    StartedTurn,
    UnfinishedTurn,
)
from sidecar.store.writer import Writer


class Journal:
    """The durable record of messages, turns, replies and sessions.

    Times are seconds since the epoch. Every method may raise JournalError: the disk is full or
    failing, the journal is closed, or a turn has ended already. Nothing is recorded then.
    """

    set_aside: Path | None
    """Where a damaged journal was moved when this one was opened; None when it was sound."""

    def __init__(self, path: Path, writer: Writer, set_aside: Path | None, ttl: float) -> None:
        self._path = path
        self._writer = writer
        self._session_ttl = ttl
        self.set_aside = set_aside

    @classmethod
    async def open(cls, folder: Path, *, session_ttl: float, now: float) -> Self:
        """Open `folder/journal.db`, or begin one. A session older than `session_ttl` seconds is
        not resumed.

        Raises:
            JournalError: it cannot be opened, or a newer version wrote it.
        """
        path = folder / "journal.db"
        connection, set_aside = await asyncio.to_thread(open_database, path, now=now)
        return cls(path, Writer(connection), set_aside, session_ttl)

    async def close(self) -> None:
        """Return when all steps under way are durable and the file is closed."""
        await self._writer.close()

    async def accept(self, messages: Sequence[Message], *, now: float) -> list[Accepted]:
        """Take messages over, in one commit; the new ones, in order.

        Each gets a queued turn, and is the activity of its conversation unless it is unusable.
        Repeats, known by (channel, account, id), are left out.
        """
        return await self._writer.submit(lambda db: turn_rows.accept(db, messages, now))

    async def drop(
        self, turns: Sequence[str], reason: str, *, now: float, replies: Sequence[Reply] = ()
    ) -> list[PendingReply]:
        """End turns that will not be run (refused, superseded, full, no_route, …).

        A reply belongs to the turn of the message that it answers, else to the first turn.
        """

        def work(db: sqlite3.Connection) -> list[PendingReply]:
            turn_rows.drop(db, turns, reason, now)
            owned = [(turn_rows.turn_of(db, reply) or turns[0], reply) for reply in replies]
            return outbox.add(db, owned, now)

        return await self._writer.submit(work)

    async def start(
        self,
        turn: str,
        key: SessionKey,
        *,
        route: str,
        generation: int,
        now: float,
        merged: Sequence[str] = (),
    ) -> StartedTurn:
        """Mark a turn as running, with its session where one is stored and not too old.

        The turns in `merged` end; their messages belong to this one from now on.
        """

        def work(db: sqlite3.Connection) -> StartedTurn:
            attempt = turn_rows.start(
                db, turn, key, route=route, generation=generation, now=now, merged=merged
            )
            session, done = sessions.find(db, key, now - self._session_ttl)
            return StartedTurn(attempt, session, done)

        return await self._writer.submit(work)

    async def finish(
        self,
        turn: str,
        outcome: Outcome,
        *,
        key: SessionKey,
        session: str | None,
        now: float,
        replies: Sequence[Reply] = (),
    ) -> list[PendingReply]:
        """Record in one commit how a turn ended, its session and its replies.

        Without a `session` the stored one stays as it is.
        """

        def work(db: sqlite3.Connection) -> list[PendingReply]:
            turn_rows.finish(db, turn, outcome, now)
            if session is not None:
                sessions.keep(db, key, session, now)
            return outbox.add(db, [(turn, reply) for reply in replies], now)

        return await self._writer.submit(work)

    async def forget_session(self, key: SessionKey) -> None:
        """Let the next turn of this key begin a new session."""
        await self._writer.submit(lambda db: sessions.forget(db, key))

    async def delivered(self, reply: int, provider_id: str | None, *, now: float) -> None:
        """The channel has the reply, and gave it this id."""
        await self._writer.submit(lambda db: outbox.delivered(db, reply, provider_id, now))

    async def postponed(self, reply: int, *, attempts: int, next_at: float, error: str) -> None:
        """The reply was tried this often; it is tried again at `next_at`."""
        await self._writer.submit(lambda db: outbox.postponed(db, reply, attempts, next_at, error))

    async def refused(self, reply: int, error: str, *, now: float) -> None:
        """The channel will never take the reply."""
        await self._writer.submit(lambda db: outbox.refused(db, reply, error, now))

    async def unfinished(self) -> list[UnfinishedTurn]:
        """The queued and the running turns, in the order of arrival."""
        return await self._writer.submit(turn_rows.unfinished)

    async def pending_replies(self) -> list[PendingReply]:
        """The replies that wait, in the order in which they were queued."""
        return await self._writer.submit(outbox.pending)

    async def counts(self) -> JournalCounts:
        """How much the journal holds. Counting takes a while, but no turn waits for it."""
        return await asyncio.to_thread(_count, self._path)

    async def prune(self, *, now: float, journal_ttl: float) -> int:
        """Remove what is old: ended turns without a pending reply, sessions, activity.

        Returns the number of turns, sessions and activities removed. Works in small commits, so
        that turns go on in between.
        """
        return (
            await self._remove(retention.remove_turns, now - journal_ttl)
            + await self._remove(retention.remove_sessions, now - self._session_ttl)
            + await self._remove(retention.remove_activity, now - journal_ttl)
        )

    async def _remove(
        self, batch: Callable[[sqlite3.Connection, float], int], before: float
    ) -> int:
        total = 0
        while removed := await self._writer.submit(lambda db: batch(db, before)):
            total += removed
        return total


def _count(path: Path) -> JournalCounts:
    try:
        with closing(connect_reader(path)) as connection:
            return retention.count(connection)
    except sqlite3.Error as error:
        raise JournalError(f"the journal cannot be read: {error}") from error
