"""What was said in a conversation and answered. Only reads."""

from sqlite3 import Connection

from sidecar.model import ConversationKey, Exchange
from sidecar.store.encoding import decode_message, decode_reply, encode
from sidecar.store.messages import bodies_of
from sidecar.store.names import Names

_TURNS = """
    select seq from turn
    where conversation = ? and seq < (select seq from turn where id = ?)
        and state in ('answered', 'silent', 'failed', 'cancelled')
    order by seq desc limit ?"""
_REPLIES = "select body from reply where turn = ? order by id"


def recent(
    connection: Connection, key: ConversationKey, before: str, most: int, names: Names
) -> list[Exchange]:
    """The last exchanges, at most so many, of turns that came before one; oldest first.

    Raises:
        JournalError: a message or a reply cannot be read.
    """
    keys = [key._replace(channel=channel) for channel in names.of(key.channel, key.account)]
    turns = sorted(
        seq for one in keys for (seq,) in connection.execute(_TURNS, (encode(one), before, most))
    )
    found = [_exchange(connection, seq) for seq in turns[-most:]]
    return [exchange for exchange in found if exchange.messages]


def _exchange(connection: Connection, turn: int) -> Exchange:
    messages = tuple(map(decode_message, bodies_of(connection, turn)))
    replies = [decode_reply(body) for (body,) in connection.execute(_REPLIES, (turn,))]
    answer = "\n".join(reply.text for reply in replies if reply.kind == "answer")
    return Exchange(messages, answer)
