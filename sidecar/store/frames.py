"""Frames of the control plane that were acted upon. Runs inside a transaction."""

from sqlite3 import Connection

from sidecar.store.encoding import encode

KEPT = 86400.0
"""Seconds for which a frame is known. The Hub's signature on it is good for a few minutes."""

_OLD = "delete from control_frame where at < ?"
_KNOWN = "select answer from control_frame where id = ?"
_BEGIN = "insert into control_frame(id, at) values(?, ?)"
_END = "update control_frame set answer = ? where id = ?"


def begin(connection: Connection, id_: str, now: float) -> str | None:
    """Know a frame from now on: None for a new one, else its answer, empty without one yet."""
    connection.execute(_OLD, (now - KEPT,))
    row = connection.execute(_KNOWN, (encode(id_),)).fetchone()
    if row is not None:
        return str(row[0])
    connection.execute(_BEGIN, (encode(id_), now))
    return None


def end(connection: Connection, id_: str, answer: str) -> None:
    """Keep the answer to a frame."""
    connection.execute(_END, (answer, encode(id_)))
