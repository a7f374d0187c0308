"""What was said before, for the prompts of later turns. Runs on a connection for reading."""

import logging
from sqlite3 import Connection

from sidecar.model import Message, Sender
from sidecar.store.encoding import decode_message, decode_reply, encode
from sidecar.store.turns import message_key

log = logging.getLogger(__name__)

_MESSAGE = "select body from message where key = ? or alias = ? order by seq desc limit 1"
_REPLY = "select body from reply where key = ? or provider_id = ? order by id desc limit 10"


def replied_to(connection: Connection, message: Message) -> Message | None:
    """The message, or our own reply as one, that a message replies to.

    Only what was said in the same conversation: what others said elsewhere must not be fetched by
    naming it.
    """
    if not message.reply_to:
        return None
    key = message_key(message.channel, message.account, message.reply_to)
    row = connection.execute(_MESSAGE, (key, key)).fetchone()
    found = decode_message(row[0]) if row is not None else _reply(connection, message)
    if found is None or found.conversation.id != message.conversation.id:
        return None
    return found


def _reply(connection: Connection, message: Message) -> Message | None:
    name = encode(message.reply_to)
    for (body,) in connection.execute(_REPLY, (name, name)):
        reply = decode_reply(body)
        if (reply.channel, reply.account) == (message.channel, message.account):
            sender = Sender(reply.account, "agent")
            place, at = reply.conversation, reply.created_at
            return Message(
                reply.channel, reply.account, reply.key, place, sender, reply.text, received_at=at
            )
    return None
