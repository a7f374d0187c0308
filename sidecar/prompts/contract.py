"""The names that a template may use: one table, which the documentation prints."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One name, what kind of value it has, and what that means."""

    name: str
    type: str
    meaning: str


CONTRACT: tuple[Entry, ...] = tuple(
    Entry(*row)
    for row in (
        ("message", "message", "the newest message of the turn"),
        ("messages", "list of message", "all messages of the turn, oldest first"),
        ("message.id", "text", "the channel's id of the message"),
        ("message.text", "text", "what was said, without blanks around it"),
        ("message.time", "time", "when it arrived"),
        ("message.mentioned", "bool", "whether the agent was mentioned"),
        ("message.reply_to", "text", "the id of the message that it answers, or empty"),
        ("message.sender", "sender", "who sent this message"),
        ("message.extra", "mapping", "facts of the channel's own"),
        ("conversation", "conversation", "where it was said"),
        ("conversation.id", "text", "the channel's id of the room"),
        ("conversation.kind", "text", "`direct` or `group`"),
        ("conversation.title", "text", "the name of the room, or empty"),
        ("conversation.thread", "text", "the topic inside the room, or empty"),
        ("sender", "sender", "who sent the newest message"),
        ("sender.id", "text", "the channel's id of the sender"),
        ("sender.name", "text", "the name, or empty"),
        ("sender.kind", "text", "`owner`, `human` or `agent`"),
        ("sender.label", "text", "how to call them: people by name, agents by id"),
        ("channel", "text", "the id of the channel in the config"),
        ("account", "text", "the id that the agent has in the channel"),
        ("route", "route", "the rule that took the message"),
        ("route.name", "text", "the name of the route"),
        ("route.runtime", "text", "the runtime that answers"),
        ("route.trust", "text", "what the route allows: `owner`, `trusted` or `public`"),
        ("turn", "turn", "the run of the agent that begins now"),
        ("turn.id", "text", "the id of the turn"),
        ("turn.attempt", "int", "1; 2 when the turn was interrupted and runs again"),
        ("turn.reason", "text", "`message`, `coalesced` or `retry`"),
        ("turn.trust", "text", "how far this turn is trusted: never further than `route.trust`"),
        ("session", "session", "what the agent remembers of the conversation"),
        ("session.resumed", "bool", "whether the agent remembers earlier turns"),
        ("session.turns", "int", "how many turns the session has had before this one"),
        ("now", "time", "the present time, UTC"),
        ("env", "mapping", "the environment variables that `context.env` of the config lists"),
    )
)
"""Each name once, with the names inside it."""

NAMES = frozenset(entry.name.partition(".")[0] for entry in CONTRACT)
"""The names at the top."""
