"""What is old enough to be removed, and how much there is. Runs inside a transaction."""

from sqlite3 import Connection

from sidecar.store.records import JournalCounts

BATCH = 25
"""Rows that one transaction removes at most. A turn behind it waits a few milliseconds."""

# Messages and replies go with their turn. What is still to be delivered keeps it.
_OLD_TURNS = """
    delete from turn where seq in (
        select seq from turn where ended_at < ? and not exists (
            select 1 from reply where reply.turn = turn.seq and reply.state = 'pending')
        order by ended_at limit ?)"""
_OLD_SESSIONS = """
    delete from session where key in (
        select key from session where used_at < ? order by used_at limit ?)"""
_OLD_ACTIVITY = """
    delete from activity where conversation in (
        select conversation from activity where at < ? order by at limit ?)"""
_OLD_SPENDING = """
    delete from spending where (route, hour) in (
        select route, hour from spending where hour < ? order by hour limit ?)"""

_TURNS = """
    select state, count(*) from turn where ended_at is not null group by state
    union all select state, count(*) from turn where ended_at is null group by state"""
_PENDING = "select count(*) from reply where state = 'pending'"
_REFUSED = "select count(*) from reply where state = 'refused'"
_SESSIONS = "select count(*) from session"


def remove_turns(connection: Connection, before: float) -> int:
    """Remove a batch of turns that ended before a time; how many."""
    return connection.execute(_OLD_TURNS, (before, BATCH)).rowcount


def remove_sessions(connection: Connection, before: float) -> int:
    """Remove a batch of sessions last used before a time; how many."""
    return connection.execute(_OLD_SESSIONS, (before, BATCH)).rowcount


def remove_activity(connection: Connection, before: float) -> int:
    """Remove a batch of conversations last active before a time; how many."""
    return connection.execute(_OLD_ACTIVITY, (before, BATCH)).rowcount


def remove_spending(connection: Connection, before: float) -> int:
    """Remove a batch of hours of spending that began before a time; how many."""
    return connection.execute(_OLD_SPENDING, (before, BATCH)).rowcount


def count(connection: Connection) -> JournalCounts:
    """Count what there is. Reads whole indexes."""
    pending, refused, sessions = (
        connection.execute(sql).fetchone()[0] for sql in (_PENDING, _REFUSED, _SESSIONS)
    )
    return JournalCounts(dict(connection.execute(_TURNS)), pending, refused, sessions)
