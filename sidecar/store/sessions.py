"""Sessions to resume, by the parts that must agree. Runs inside a transaction."""

import json
from sqlite3 import Connection

from sidecar.store.encoding import encode
from sidecar.store.records import SessionKey

_FIND = "select session, turns from session where key = ? and used_at >= ?"
_KEEP = """
    insert into session(key, session, turns, used_at) values(?, ?, 1, ?)
    on conflict(key) do update set session = excluded.session, used_at = excluded.used_at,
        turns = case session when excluded.session then turns + 1 else 1 end"""
_FORGET = "delete from session where key = ?"


def find(connection: Connection, key: SessionKey, used_since: float) -> tuple[str | None, int]:
    """The session and the number of turns finished in it; (None, 0) when there is none."""
    row = connection.execute(_FIND, (encode(key), used_since)).fetchone()
    return (None, 0) if row is None else (json.loads(row[0]), row[1])


def keep(connection: Connection, key: SessionKey, session: str, now: float) -> None:
    """A turn was finished in this session."""
    connection.execute(_KEEP, (encode(key), encode(session), now))


def forget(connection: Connection, key: SessionKey) -> None:
    """Let the next turn begin a new session."""
    connection.execute(_FORGET, (encode(key),))
