"""Sessions to resume, by the parts that must agree. Runs inside a transaction."""

import json
from sqlite3 import Connection

from sidecar.store.encoding import encode
from sidecar.store.records import SessionKey

_FIND = "select session, turns, tokens, used_at from session where key = ? and used_at >= ?"
_KEEP = """
    insert into session(key, session, turns, tokens, used_at) values(?, ?, 1, ?, ?)
    on conflict(key) do update set session = excluded.session, used_at = excluded.used_at,
        turns = case session when excluded.session then turns + 1 else 1 end,
        tokens = case session when excluded.session then tokens else 0 end + excluded.tokens"""
_FORGET = "delete from session where key = ?"
_ALL = "select key, session from session"


def find(
    connection: Connection, key: SessionKey, used_since: float
) -> tuple[str | None, int, int, float]:
    """The session, the number of turns finished in it, their tokens, and when it was last used;
    None and zeros when there is none."""
    row = connection.execute(_FIND, (encode(key), used_since)).fetchone()
    return (None, 0, 0, 0.0) if row is None else (json.loads(row[0]), *row[1:])


def keep(connection: Connection, key: SessionKey, session: str, tokens: int, now: float) -> None:
    """A turn was finished in this session, which used so many tokens."""
    connection.execute(_KEEP, (encode(key), encode(session), tokens, now))


def forget(connection: Connection, key: SessionKey) -> None:
    """Let the next turn begin a new session."""
    connection.execute(_FORGET, (encode(key),))


def forget_named(connection: Connection, name: str) -> int:
    """Forget the session with this id, or all of this conversation; how many. Reads them all."""
    named = [
        key
        for key, session in connection.execute(_ALL).fetchall()
        if name in (json.loads(session), SessionKey(*json.loads(key)).conversation)
    ]
    connection.executemany(_FORGET, [(key,) for key in named])
    return len(named)
