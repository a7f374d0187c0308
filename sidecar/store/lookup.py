"""What was said before, for the prompts of later turns. Runs on a connection for reading."""

import logging
from sqlite3 import Connection

from sidecar.errors import JournalError
from sidecar.model import Message, Said, Sender
from sidecar.store.encoding import decode_message, decode_reply, decode_said, encode
from sidecar.store.turns import message_key

log = logging.getLogger(__name__)

MOST = 1000
"""Conversations of one account that are told at most."""

_SAID = """
    select at, entry from activity
    where at >= ? and conversation >= ? and conversation < ? order by at desc limit ?"""
_MESSAGE = "select body from message where key = ? or alias = ? order by seq desc limit 1"
_REPLY = "select body from reply where key = ? or provider_id = ? order by id desc limit 10"
_LAST = "\x7f"
"""Sorts after all that can follow in a column, which is plain ASCII."""


def said_since(connection: Connection, channel: str, account: str, since: float) -> list[Said]:
    """What was said last in each conversation of an account since a time, newest first."""
    start = f"{encode((channel, account))[:-1]},"  # how the JSON of each key of it begins
    found = []
    for at, entry in connection.execute(_SAID, (since, start, start + _LAST, MOST)):
        try:
            found.append(decode_said(entry, at))
        except JournalError as error:  # one that cannot be read must not hide all others
            log.warning("%s", error)
    return found


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
