"""Sessions to resume, by the parts that must agree. Runs inside a transaction."""

import json
from sqlite3 import Connection

from sidecar.store.encoding import encode
from sidecar.store.records import SessionKey

_FIND = "select session, turns, tokens, used_at from session where key = ? and used_at >= ?"
_KEEP = """
    insert into session(key, session, turns, tokens, used_at) values(?, ?, 1, ?, ?)
    on conflict(key) do update set session = excluded.session, used_at = excluded.used_at,
        turns = case when session = excluded.session and ? then turns else 0 end + 1,
        tokens = case when session = excluded.session and ? then tokens else 0 end
            + excluded.tokens"""
_OF_ACCOUNT = "delete from session where key >= ? and key < ?"
_LAST = "\x7f"
"""Sorts after all that can follow in a key, which is plain ASCII."""
_FORGET = "delete from session where key = ?"
_ALL = "select key, session from session"


def find(
    connection: Connection, key: SessionKey, used_since: float
) -> tuple[str | None, int, int, float]:
    """The session, the number of turns finished in it, their tokens, and when it was last used;
    None and zeros when there is none."""
    row = connection.execute(_FIND, (encode(key), used_since)).fetchone()
    return (None, 0, 0, 0.0) if row is None else (json.loads(row[0]), *row[1:])


def keep(
    connection: Connection,
    key: SessionKey,
    session: str,
    tokens: int,
    now: float,
    *,
    resumed: bool = True,
) -> None:
    """A turn was finished in this session, which used so many tokens. One that was not `resumed`
    is new: some agents call each of their sessions the same."""
    connection.execute(_KEEP, (encode(key), encode(session), tokens, now, resumed, resumed))


def forget(connection: Connection, key: SessionKey) -> None:
    """Let the next turn begin a new session."""
    connection.execute(_FORGET, (encode(key),))


def forget_named(connection: Connection, name: str) -> list[SessionKey]:
    """Forget the session with this id, or all of this conversation; which there were. Reads them
    all."""
    known = [
        (SessionKey(*json.loads(key)), json.loads(session))
        for key, session in connection.execute(_ALL).fetchall()
    ]
    named = [key for key, session in known if name in (session, key.conversation)]
    connection.executemany(_FORGET, [(encode(key),) for key in named])
    return named


def forget_account(connection: Connection, channel: str, account: str) -> int:
    """Forget all sessions of an account of a channel; how many there were."""
    start = f"{encode((channel, account))[:-1]},"  # how the JSON of each key of it begins
    return connection.execute(_OF_ACCOUNT, (start, start + _LAST)).rowcount
