"""Replies until their channel has them, or refused them for good. Runs inside a transaction."""

import logging
from collections.abc import Iterable
from sqlite3 import Connection

from sidecar.errors import JournalError, OutcomeFinal
from sidecar.model import Reply
from sidecar.store.encoding import decode_reply, encode
from sidecar.store.records import PendingReply

log = logging.getLogger(__name__)

_ADD = "insert into reply(turn, key, body, next_at) select seq, ?, ?, ? from turn where id = ?"
_RESTORE = """
    insert or ignore into reply(id, turn, key, body, attempts, next_at)
    select ?, seq, ?, ?, ?, ? from turn where id = ?"""
_ENDED = """
    insert or ignore into turn(id, conversation, state, accepted_at, ended_at)
    values(?, ?, 'answered', ?, ?)"""
_DELIVERED = "update reply set state = 'delivered', provider_id = ?, ended_at = ? where id = ?"
_POSTPONED = "update reply set attempts = ?, next_at = ?, error = ? where id = ?"
_REFUSED = "update reply set state = 'refused', error = ?, ended_at = ? where id = ?"
_REQUEUED = """
    update reply set state = 'pending', attempts = 0, next_at = ?, error = null, ended_at = null
    where id = ? and state = 'refused'"""
_ONE = """
    select reply.id, turn.id, reply.body, reply.attempts, reply.next_at
    from reply join turn on turn.seq = reply.turn where reply.id = ?"""
_PENDING = """
    select reply.id, turn.id, reply.body, reply.attempts, reply.next_at
    from reply join turn on turn.seq = reply.turn where reply.state = 'pending' order by reply.id"""


def add(
    connection: Connection, replies: Iterable[tuple[str, Reply]], now: float
) -> list[PendingReply]:
    """Queue replies, each with the turn that it belongs to; they are due at once."""
    pending = []
    for turn, reply in replies:
        added = connection.execute(_ADD, (encode(reply.key), encode(reply), now, turn))
        row = added.lastrowid
        if row is None or not added.rowcount:
            raise OutcomeFinal(f"turn {turn} is not in the journal: it can have no reply")
        pending.append(PendingReply(row, turn, reply, attempts=0, next_at=now))
    return pending


def delivered(connection: Connection, reply: int, provider_id: str | None, now: float) -> None:
    """The channel has the reply, under an id of its own."""
    text = None if provider_id is None else encode(provider_id)
    connection.execute(_DELIVERED, (text, now, reply))


def postponed(
    connection: Connection, reply: int, attempts: int, next_at: float, error: str
) -> None:
    """An attempt failed; the next one is due at `next_at`."""
    connection.execute(_POSTPONED, (attempts, next_at, encode(error), reply))


def refused(connection: Connection, reply: int, error: str, now: float) -> None:
    """The channel will never take the reply."""
    connection.execute(_REFUSED, (encode(error), now, reply))


def restore(connection: Connection, replies: Iterable[PendingReply], now: float) -> None:
    """Have replies that wait, each with a turn that has ended, unless they are here."""
    for one in replies:
        key = encode(one.conversation_key)
        connection.execute(_ENDED, (one.turn, key, now, now))
        body = (encode(one.reply.key), encode(one.reply), one.attempts, one.next_at)
        connection.execute(_RESTORE, (one.id, *body, one.turn))


def requeued(connection: Connection, reply: int, now: float) -> PendingReply | None:
    """A reply that was refused waits again, due at once; None: it was not refused."""
    if not connection.execute(_REQUEUED, (now, reply)).rowcount:
        return None
    return _pending(connection.execute(_ONE, (reply,)).fetchone())


def pending(connection: Connection) -> list[PendingReply]:
    """The replies that wait, in the order in which they were queued."""
    found = []
    for row in connection.execute(_PENDING):
        try:
            found.append(_pending(row))
        except JournalError as error:  # one that cannot be read must not hold up all others
            log.error("reply %d cannot be delivered: %s", row[0], error)  # noqa: TRY400 -- told
    return found


def _pending(row: tuple[int, str, str, int, float]) -> PendingReply:
    number, turn, body, attempts, next_at = row
    return PendingReply(number, turn, decode_reply(body), attempts, next_at)
