"""Messages and their turns, from the first commit to the outcome. Runs inside a transaction."""

import json
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from sqlite3 import Connection

from sidecar.core.budgets import hour_of
from sidecar.core.sanitise import cut
from sidecar.errors import JournalError, OutcomeFinal
from sidecar.model import Message, Reply, Said
from sidecar.store.encoding import decode_message, encode
from sidecar.store.messages import bodies_of
from sidecar.store.names import Names
from sidecar.store.records import Accepted, Outcome, SessionKey, UnfinishedTurn

log = logging.getLogger(__name__)

_PREVIEW = 120
"""Characters of a message that the activity of its conversation keeps."""

_RETRIABLE = ("failed", "cancelled", "dropped", "silent")
"""States of ended turns whose messages have no answer."""

_IS_KNOWN = "select 1 from message where key = ?"
_ADD_TURN = """
    insert into turn(id, conversation, state, accepted_at) values(?, ?, 'queued', ?)
    on conflict(id) do nothing"""
_RESTORE = "insert into turn(id, conversation, state, attempt, accepted_at) values(?, ?, ?, ?, ?)"
_ADD_MESSAGE = "insert into message(key, alias, turn, body) values(?, ?, ?, ?)"
_KEEP_MESSAGE = f"{_ADD_MESSAGE} on conflict(key) do nothing"
_NOTE_ACTIVITY = """
    insert into activity(conversation, at, entry) values(?, ?, ?)
    on conflict(conversation) do update set at = excluded.at, entry = excluded.entry
    where excluded.at >= at or at > ?"""
_TURN_OF = """
    select turn.id from message join turn on turn.seq = message.turn where message.key = ?"""
_START = """
    update turn set state = 'running', attempt = attempt + 1, route = ?, generation = ?,
        session_key = ?, started_at = ?
    where id = ? and ended_at is null"""
_STARTED = "select attempt from turn where id = ?"
_MERGE = """
    update turn set state = 'merged', merged_into = ?, ended_at = ?
    where id = ? and ended_at is null"""
_GIVE_MESSAGES = """
    update message set turn = (select seq from turn where id = ?)
    where turn = (select seq from turn where id = ?)"""
_END = """
    update turn set state = ?, error = ?, usage = ?, ended_at = ?
    where id = ? and ended_at is null"""
_SPEND = """
    insert into spending(route, hour, turns, input_tokens, output_tokens, cost_usd)
    select route, ?, 1, ?, ?, ? from turn where id = ?
    on conflict(route, hour) do update set turns = turns + 1,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        cost_usd = cost_usd + excluded.cost_usd"""
_SPENT = "select route, hour, cost_usd from spending where hour >= ?"
_ENDED = (
    "select seq, state, retried_as, conversation from turn where id = ? and ended_at is not null"
)
_RETRIED = "update turn set retried_as = ? where id = ?"
_GIVE = "update message set turn = ? where turn = ?"
_UNFINISHED = """
    select turn.id, turn.attempt, turn.state, message.body
    from turn join message on message.turn = turn.seq
    where turn.ended_at is null order by turn.seq, message.seq"""


def new_id() -> str:
    """A fresh id of a turn: short enough to be read out by a person who reports a failure."""
    return secrets.token_hex(5)


def accept(
    connection: Connection,
    messages: Iterable[Message],
    now: float,
    names: Names,
    unheard: Collection[str] = (),
    make_id: Callable[[], str] = new_id,
) -> list[Accepted]:
    """Insert the messages that are new, each with a queued turn; those, in order. Of what is
    `unheard`, by the ids of messages, no other conversation is told."""
    accepted = []
    for message in messages:
        key, *others = message_keys(message, message.id, names)
        if any(connection.execute(_IS_KNOWN, (one,)).fetchone() for one in (key, *others)):
            continue
        conversation = encode(message.key)
        turn = make_id()
        while not (added := connection.execute(_ADD_TURN, (turn, conversation, now))).rowcount:
            turn = make_id()
        alias = message.alias and message_key(message.channel, message.account, message.alias)
        connection.execute(_ADD_MESSAGE, (key, alias, added.lastrowid, encode(message)))
        if message.unusable is None and message.id not in unheard:
            activity = (conversation, message.received_at, _activity(said_of(message)), now)
            connection.execute(_NOTE_ACTIVITY, activity)
        accepted.append(Accepted(turn, message))
    return accepted


def start(
    connection: Connection,
    turn: str,
    key: SessionKey,
    *,
    route: str,
    generation: int,
    now: float,
    merged: Sequence[str],
) -> int:
    """Mark a turn as running and give it the messages of the merged ones; the attempt's number."""
    facts = (encode(route), generation, encode(key), now)
    _change(connection, _START, (*facts, turn), turn)
    (attempt,) = connection.execute(_STARTED, (turn,)).fetchone()
    for other in merged:
        _change(connection, _MERGE, (turn, now, other), other)
        connection.execute(_GIVE_MESSAGES, (turn, other))
    return int(attempt)


def finish(
    connection: Connection,
    turn: str,
    outcome: Outcome,
    now: float,
    merged: Sequence[str] = (),
    heir: str | None = None,
) -> None:
    """Record how a turn ended, and which one has its messages from now on. The start that was to
    merge others into it may not be recorded."""
    for other in merged:
        if connection.execute(_MERGE, (turn, now, other)).rowcount:
            connection.execute(_GIVE_MESSAGES, (turn, other))
    used = outcome.usage
    usage = None if used is None else encode(used)
    _end(connection, turn, outcome.state, outcome.error, usage, now)
    if used is not None:
        amounts = (used.input_tokens or 0, used.output_tokens or 0, used.cost_usd or 0.0)
        connection.execute(_SPEND, (hour_of(now), *amounts, turn))
    if heir is not None:
        connection.execute(_GIVE_MESSAGES, (heir, turn))
        connection.execute(_RETRIED, (heir, turn))


def drop(connection: Connection, turns: Iterable[str], reason: str, now: float) -> None:
    """Record that turns will not be run, and why."""
    for turn in turns:
        _end(connection, turn, "dropped", reason, None, now)


def spent(connection: Connection, since: float) -> list[tuple[str, int, float]]:
    """What the turns of each route cost, by hour: route, start of the hour, dollars."""
    return [(json.loads(route), hour, usd) for route, hour, usd in connection.execute(
        _SPENT, (since,)
    )]  # fmt: skip


def retry(
    connection: Connection, turn: str, now: float, make_id: Callable[[], str] = new_id
) -> UnfinishedTurn:
    """A new queued turn for the messages of one that led to no answer.

    Raises:
        OutcomeFinal: there is no such turn, it has not ended, its messages were answered or have
            another turn, or they can never start one.
    """
    row = connection.execute(_ENDED, (turn,)).fetchone()
    if row is None:
        raise OutcomeFinal(f"turn {turn} is not in the journal, or has not ended")
    seq, state, retried_as, conversation = row
    bodies = bodies_of(connection, seq)
    if state not in _RETRIABLE or not bodies:
        told = f"turn {retried_as} has its messages now" if retried_as else f"it is {state}"
        raise OutcomeFinal(f"turn {turn} cannot be run again: {told}")
    messages = tuple(map(decode_message, bodies))
    if messages[-1].unusable is not None:
        raise OutcomeFinal(f"turn {turn} cannot be run at all: {messages[-1].unusable}")
    new = make_id()
    while not (added := connection.execute(_ADD_TURN, (new, conversation, now))).rowcount:
        new = make_id()
    connection.execute(_GIVE, (added.lastrowid, seq))
    connection.execute(_RETRIED, (new, turn))
    return UnfinishedTurn(new, 0, False, messages)


def restore(connection: Connection, turn: UnfinishedTurn, now: float) -> None:
    """Have a turn without an outcome, and its messages, unless the turn is here."""
    if connection.execute(_STARTED, (turn.turn,)).fetchone() is not None:
        return
    conversation = encode(turn.messages[-1].key) if turn.messages else "[]"
    state = "running" if turn.running else "queued"
    row = (turn.turn, conversation, state, turn.attempt, now)
    seq = connection.execute(_RESTORE, row).lastrowid
    for message in turn.messages:
        key, alias = (
            name and message_key(message.channel, message.account, name)
            for name in (message.id, message.alias)
        )
        connection.execute(_KEEP_MESSAGE, (key, alias, seq, encode(message)))


def turn_of(connection: Connection, reply: Reply) -> str | None:
    """The turn of the message that a reply answers; None when there is no such message."""
    key = message_key(reply.channel, reply.account, reply.answers)
    row = connection.execute(_TURN_OF, (key,)).fetchone()
    return None if row is None else row[0]


def unfinished(connection: Connection) -> list[UnfinishedTurn]:
    """The turns without an outcome, in the order of arrival."""
    found = []
    rows = connection.execute(_UNFINISHED)
    for (turn, attempt, state), group in groupby(rows, itemgetter(0, 1, 2)):
        bodies = [row[3] for row in group]
        try:
            messages = tuple(map(decode_message, bodies))
        except JournalError as error:  # one that cannot be read must not hold up all others
            log.error("turn %s cannot be taken up again: %s", turn, error)  # noqa: TRY400 -- told
            continue
        found.append(UnfinishedTurn(turn, attempt, state == "running", messages))
    return found


def _end(
    connection: Connection, turn: str, state: str, error: str, usage: str | None, now: float
) -> None:
    text = encode(error) if error else None
    _change(connection, _END, (state, text, usage, now, turn), turn)


def _change(connection: Connection, sql: str, values: tuple[object, ...], turn: str) -> None:
    """Change a turn that has no outcome yet: an outcome is final."""
    if not connection.execute(sql, values).rowcount:
        raise OutcomeFinal(f"turn {turn} is not in the journal, or it has ended")


def message_key(channel: str, account: str, message: str | None) -> str:
    """The column that names a message, by its id or by its alias."""
    return encode((channel, account, message))


def message_keys(message: Message, name: str, names: Names) -> list[str]:
    """The columns that may name another message to the account of this one, by its id or alias;
    first the one with the id that the channel has now."""
    account = message.account
    return [message_key(one, account, name) for one in names.of(message.channel, account)]


def said_of(message: Message) -> Said:
    """What later prompts of other conversations are told of a message."""
    preview = cut(message.text, _PREVIEW)
    return Said(message.conversation, message.sender, preview, message.received_at)


def _activity(said: Said) -> str:
    return encode(
        {
            "conversation": said.conversation,
            "sender": said.sender,
            "preview": said.preview,
        }
    )
