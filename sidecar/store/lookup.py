"""What was said before, for the prompts of later turns. Runs on a connection for reading."""

import logging
from sqlite3 import Connection

from sidecar.model import Message, Sender
from sidecar.store.encoding import decode_message, decode_reply, encode
from sidecar.store.names import Names
from sidecar.store.turns import message_keys

log = logging.getLogger(__name__)

_MESSAGE = "select body from message where key = ? or alias = ? order by seq desc limit 1"
_REPLY = "select body from reply where key = ? or provider_id = ? order by id desc limit 10"


def replied_to(connection: Connection, message: Message, names: Names) -> Message | None:
    """The message, or our own reply as one, that a message replies to.

    Only what was said in the same conversation: what others said elsewhere must not be fetched by
    naming it.
    """
    if not message.reply_to:
        return None
    keys = message_keys(message, message.reply_to, names)
    rows = (connection.execute(_MESSAGE, (key, key)).fetchone() for key in keys)
    row = next((row for row in rows if row is not None), None)
    found = decode_message(row[0]) if row is not None else _reply(connection, message, names)
    if found is None or found.conversation.id != message.conversation.id:
        return None
    return found


def _reply(connection: Connection, message: Message, names: Names) -> Message | None:
    name, account = encode(message.reply_to), message.account
    channels = names.of(message.channel, account)
    for (body,) in connection.execute(_REPLY, (name, name)):
        reply = decode_reply(body)
        if reply.account == account and reply.channel in channels:
            sender = Sender(reply.account, "agent")
            place, at = reply.conversation, reply.created_at
            return Message(
                reply.channel, reply.account, reply.key, place, sender, reply.text, received_at=at
            )
    return None
