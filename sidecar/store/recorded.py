"""One turn of the journal, read beside a sidecar that may be running."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from sidecar.errors import JournalError
from sidecar.model import Message
from sidecar.store.encoding import decode_message
from sidecar.store.listing import reader
from sidecar.store.messages import bodies_of

_TURN = """
    select seq, attempt, merged_into, retried_as, started_at, accepted_at from turn where id = ?"""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A turn that came in once. `messages` are oldest first, `at` is when it was last started, or
    accepted, in seconds since the epoch."""

    messages: Sequence[Message]
    attempt: int
    at: float


def recorded_turn(folder: Path, turn: str) -> RecordedTurn:
    """The turn of an id from the journal in a state folder. Blocks.

    Raises:
        JournalError: there is none of that id, or the journal cannot be read.
    """
    with reader(folder) as connection:
        return _read(connection, turn)


def _read(connection: Connection, turn: str) -> RecordedTurn:
    row = connection.execute(_TURN, (turn,)).fetchone()
    if row is None:
        raise JournalError(f"the journal has no turn {turn}; it keeps them for state.journal_ttl")
    seq, attempt, merged_into, retried_as, started, accepted = row
    if merged_into is not None:
        raise JournalError(f"the turn {turn} was merged into {merged_into}")
    if retried_as is not None:
        raise JournalError(f"the messages of the turn {turn} are those of turn {retried_as} now")
    messages = list(map(decode_message, bodies_of(connection, seq)))
    if not messages:
        raise JournalError(f"the journal has no message of the turn {turn}")
    return RecordedTurn(messages, max(1, attempt), started or accepted)
