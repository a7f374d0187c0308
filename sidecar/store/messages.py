"""The messages of a turn, as the journal stores them. Runs inside a transaction, or a reader's."""

from sqlite3 import Connection

_BODIES = "select body from message where turn = ? order by seq"


def bodies_of(connection: Connection, turn: int) -> list[str]:
    """The JSON of each message of a turn, which is named by its number; oldest first."""
    return [body for (body,) in connection.execute(_BODIES, (turn,))]
