"""Sessions to resume, by the parts that must agree. Runs inside a transaction."""

import json
from collections.abc import Sequence
from sqlite3 import Connection

from sidecar.model import Usage
from sidecar.store.encoding import encode
from sidecar.store.names import Names
from sidecar.store.records import Outcome, SessionKey

_FIND = "select session, turns, tokens, used_at, total from session where key = ? and used_at >= ?"
_KEEP = """
    insert into session(key, session, turns, tokens, used_at, total)
        values(:key, :session, 1, :tokens, :now, :total)
    on conflict(key) do update set session = excluded.session, used_at = excluded.used_at,
        turns = case when session = excluded.session and :resumed then turns else 0 end + 1,
        tokens = case when session = excluded.session and :resumed then tokens else 0 end
            + excluded.tokens,
        total = coalesce(excluded.total,
            case when session = excluded.session and :resumed then total end)"""
_OF_ACCOUNT = (
    "delete from session where key >= ? and key < ?",
    "delete from activity where conversation >= ? and conversation < ?",
)
_RENAME = "update or ignore session set key = ? where key = ?"
_LAST = "\x7f"
"""Sorts after all that can follow in a key, which is plain ASCII."""
_FORGET = "delete from session where key = ?"
_ALL = "select key, session from session"


def rename(connection: Connection, key: SessionKey, names: Names) -> None:
    """Where none has this key, the session that was stored under another id of its channel has it
    from now on."""
    for channel in names.of(key.channel, key.account)[1:]:
        old = encode(key._replace(channel=channel))
        connection.execute(_RENAME, (encode(key), old))
        connection.execute(_FORGET, (old,))


def find(
    connection: Connection, key: SessionKey, used_since: float
) -> tuple[str | None, int, int, float, Usage | None]:
    """The session, the number of turns finished in it, their tokens, when it was last used, and
    what its agent told last of the whole of it; None and zeros when there is none."""
    row = connection.execute(_FIND, (encode(key), used_since)).fetchone()
    if row is None:
        return (None, 0, 0, 0.0, None)
    session, turns, tokens, used_at, total = row
    told = None if total is None else Usage(**json.loads(total))
    return (json.loads(session), turns, tokens, used_at, told)


def keep(
    connection: Connection,
    key: SessionKey,
    session: str,
    outcome: Outcome,
    now: float,
    *,
    resumed: bool = True,
) -> None:
    """A turn was finished in this session. One that was not `resumed` is new: some agents call
    each of their sessions the same."""
    usage, total = outcome.usage or Usage(), outcome.total
    told = {
        "key": encode(key),
        "session": encode(session),
        "tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
        "now": now,
        "total": None if total is None else encode(total),
        "resumed": resumed,
    }
    connection.execute(_KEEP, told)


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


def forget_account(connection: Connection, channels: Sequence[str], account: str) -> int:
    """Forget all sessions of an account of channels, and what was said last in its conversations;
    how many of both there were."""
    # How the JSON of each key of it begins.
    starts = [f"{encode((channel, account))[:-1]}," for channel in channels]
    return sum(
        connection.execute(sql, (start, start + _LAST)).rowcount
        for start in starts
        for sql in _OF_ACCOUNT
    )
