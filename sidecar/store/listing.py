"""What the journal holds, as JSON values for people and programs. Only reads, also while a sidecar
writes."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from sidecar.errors import JournalError
from sidecar.store.database import connect_reader
from sidecar.store.messages import bodies_of
from sidecar.store.migrations import STEPS
from sidecar.store.records import SessionKey

Row = dict[str, Any]

PREVIEW = 200
"""Characters of a text in a list."""
STATES = (
    "queued", "running", "answered", "silent", "failed", "cancelled", "dropped", "merged",
)  # fmt: skip
"""The states of turns."""
REPLY_STATES = ("pending", "refused", "delivered")

_COLUMNS = (
    "seq", "id", "conversation", "state", "attempt", "route", "session_key", "merged_into",
    "retried_as", "error", "usage", "accepted_at", "started_at", "ended_at",
)  # fmt: skip
_TURNS = f"select {', '.join(_COLUMNS)} from turn"  # noqa: S608 -- our own words only
_GENERATION = """
    select generation from turn where generation is not null order by seq desc limit 1"""
_TEXT = "select body from message where turn = ? order by seq desc limit 1"
_REPLIES = """
    select reply.id, turn.id, reply.state, reply.attempts, reply.next_at, reply.error,
        reply.ended_at, reply.body
    from reply join turn on turn.seq = reply.turn"""
_SESSIONS = "select key, session, turns, tokens, used_at from session order by used_at desc limit ?"


def has_journal(folder: Path) -> bool:
    """Whether there is a journal in a state folder.

    Raises:
        JournalError: the folder cannot be looked at.
    """
    try:
        return (folder / "journal.db").exists()
    except OSError as error:
        told = f"the state folder {folder} cannot be looked at: {error.strerror or error}"
        raise JournalError(told) from error


@contextmanager
def reader(folder: Path) -> Iterator[Connection]:
    """The journal in a state folder.

    Raises:
        JournalError: there is none, it cannot be read, or another version wrote it.
    """
    path = folder / "journal.db"
    if not has_journal(folder):
        raise JournalError(f"there is no journal in {folder}")
    try:
        with closing(connect_reader(path)) as connection:
            _check_version(connection, path)
            yield connection
    except sqlite3.Error as error:
        raise JournalError(f"the journal {path} cannot be read: {error}") from error


def _check_version(connection: Connection, path: Path) -> None:
    (version,) = connection.execute("pragma user_version").fetchone()
    if version < len(STEPS):
        raise JournalError(
            f"the journal {path} is of an older sidecar: `sidecar run` brings it up to date when "
            "it starts"
        )
    if version > len(STEPS):
        raise JournalError(f"the journal {path} is of a newer sidecar: use that one's command")


def turns(
    connection: Connection, *, state: str | None, conversation: str | None, most: int
) -> list[Row]:
    """The newest turns, newest first, with the text of the message that each answers."""
    found = []
    for row in connection.execute(f"{_TURNS} order by seq desc"):
        seq, one = _turn(row)
        if state not in (None, one["state"]) or conversation not in (None, one["conversation"]):
            continue
        message = connection.execute(_TEXT, (seq,)).fetchone()
        one["text"] = "" if message is None else json.loads(message[0])["text"][:PREVIEW]
        found.append(one)
        if len(found) == most:
            break
    return found


def turn(connection: Connection, name: str) -> Row | None:
    """One turn with its messages and replies; None: there is none."""
    row = connection.execute(f"{_TURNS} where id = ?", (name,)).fetchone()
    if row is None:
        return None
    seq, found = _turn(row)
    found["messages"] = list(map(json.loads, bodies_of(connection, seq)))
    replies = connection.execute(f"{_REPLIES} where reply.turn = ? order by reply.id", (seq,))
    found["replies"] = list(map(_reply, replies))
    return found


def sessions(connection: Connection, *, most: int) -> list[Row]:
    """The sessions to resume, the last used first."""
    names = ("session", "turns", "tokens", "used_at")
    return [
        {**_key(key), **dict(zip(names, (json.loads(session), *rest), strict=True))}
        for key, session, *rest in connection.execute(_SESSIONS, (most,))
    ]


def replies(connection: Connection, *, state: str, most: int) -> list[Row]:
    """The replies in a state, the newest first."""
    sql = f"{_REPLIES} where reply.state = ? order by reply.id desc limit ?"
    return list(map(_reply, connection.execute(sql, (state, most))))


def last_generation(connection: Connection) -> int | None:
    """The generation of the config with which the last turn ran; None where none has run."""
    row = connection.execute(_GENERATION).fetchone()
    return None if row is None else int(row[0])


def _turn(row: tuple[Any, ...]) -> tuple[int, Row]:
    """The number of a turn's row, and its facts. `cost_usd` and tokens are None if not known."""
    told = dict(zip(_COLUMNS, row, strict=True))
    channel, account, conversation, thread = json.loads(told["conversation"])
    usage = json.loads(told["usage"] or "{}")
    key = told["session_key"]
    runtime = json.loads(key)[4].partition(":")[2] if key else None
    return told["seq"], {
        "turn": told["id"],
        "state": told["state"],
        "channel": channel,
        "account": account,
        "conversation": conversation,
        "thread": thread,
        "route": _plain(told["route"]),
        "runtime": runtime,
        "trust": json.loads(key)[6] if key else None,
        "attempt": told["attempt"],
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cost_usd": usage.get("cost_usd"),
        "error": _plain(told["error"]),
        "went_on_as": told["retried_as"] or told["merged_into"],
        "accepted_at": told["accepted_at"],
        "started_at": told["started_at"],
        "ended_at": told["ended_at"],
    }


def _reply(row: tuple[Any, ...]) -> Row:
    number, of_turn, state, attempts, next_at, error, ended_at, body = row
    reply = json.loads(body)
    return {
        "reply": number,
        "turn": of_turn,
        "state": state,
        "channel": reply["channel"],
        "conversation": reply["conversation"]["id"],
        "kind": reply["kind"],
        "attempts": attempts,
        "next_at": next_at,
        "created_at": reply["created_at"],
        "ended_at": ended_at,
        "error": _plain(error),
        "text": reply["text"],
    }


def _key(text: str) -> Row:
    found = SessionKey(*json.loads(text))._asdict()
    found["runtime"] = found["runtime"].partition(":")[2]
    return found


def _plain(text: str | None) -> Any:
    return None if text is None else json.loads(text)
