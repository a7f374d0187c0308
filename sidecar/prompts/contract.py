"""The names that a template may use: one table, which the documentation prints."""

from collections.abc import Mapping
from types import MappingProxyType
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
        ("message.sent_at", "time", "when it was said; `message.time` if nobody can tell"),
        ("message.old", "bool", "whether it was said five minutes or more before `now`"),
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
        ("route.no_reply", "text", "the answer that sends nothing, or empty: there is none"),
        ("turn", "turn", "the run of the agent that begins now"),
        ("turn.id", "text", "the id of the turn"),
        ("turn.attempt", "int", "1; 2 when the turn was interrupted and runs again"),
        ("turn.reason", "text", "`message`, `coalesced` or `retry`"),
        ("turn.trust", "text", "how far this turn is trusted: never further than `route.trust`"),
        ("session", "session", "what the agent remembers of the conversation"),
        ("session.resumed", "bool", "whether the agent remembers earlier turns"),
        ("session.turns", "int", "how many turns the session has had before this one"),
        (
            "history",
            "list of exchange",
            "where a fresh session takes the place of another: what was said last, oldest first; "
            "else empty",
        ),
        (
            "history[].messages",
            "list of message",
            "what was said, the last of several; each text is in one line, and cut",
        ),
        ("history[].answer", "text", "what the agent answered, in one line, and cut; or empty"),
        ("memory", "memory", "what the agent has noted for itself, in all rooms of the account"),
        ("memory.goal", "text", "what it pursues, in one line, or empty"),
        ("memory.sections", "list of section", "its notes"),
        ("memory.sections[].name", "text", "what a note is called"),
        ("memory.sections[].text", "text", "what it says"),
        ("memory.updated_at", "seconds", "when they were changed, or none"),
        ("memory.size", "int", "their characters, together"),
        ("memory.tool", "bool", "whether the agent of this turn has the tools that change them"),
        ("activity", "activity", "what happened lately in other conversations of the account"),
        ("activity.total", "int", "how many others were active within `context.activity.window`"),
        ("activity.entries", "list of entry", "the last ones, newest first"),
        ("activity.entries[].room", "text", "the channel's id of the room"),
        ("activity.entries[].title", "text", "its name, or empty"),
        ("activity.entries[].thread", "text", "the topic inside it, or empty"),
        ("activity.entries[].kind", "text", "`owner`, `human` or `agent`: who spoke last"),
        ("activity.entries[].sender", "text", "how to call them"),
        ("activity.entries[].time", "seconds", "when that was"),
        ("activity.entries[].preview", "text", "how it began, in one line, or empty"),
        ("room", "room or none", "the room of the message, where the channel tells about it"),
        ("room.id", "text", "the channel's id of it"),
        ("room.name", "text", "its name, or empty"),
        ("room.description", "text", "what it is for, in one line, or empty"),
        ("room.rule", "text", "its rule, or empty"),
        ("room.rule_version", "text", "another one when the rule has changed; empty without"),
        ("room.visibility", "text", "the channel's word for who sees it, or empty"),
        ("room.join_policy", "text", "the channel's word for who may join, or empty"),
        ("room.role", "text", "the channel's word for what the agent is in it, or empty"),
        ("room.member_count", "int", "how many members it has"),
        ("room.members", "list of member", "the first ones"),
        ("room.members[].id", "text", "the channel's id of a member"),
        ("room.members[].name", "text", "the name, or else the id"),
        ("room.members[].role", "text", "the channel's word for what it is in the room, or empty"),
        ("repo", "repo or none", "the git checkout in which the agent works, if it is one"),
        ("repo.branch", "text", "the branch, or empty"),
        ("repo.head", "text", "the id of the commit, or empty before the first"),
        ("repo.dirty", "int", "how many files are changed, added or not tracked"),
        ("quoted", "quoted or none", "what the newest message replies to, where that is known"),
        ("quoted.id", "text", "the channel's id of it"),
        ("quoted.text", "text", "what was said; a long one is cut"),
        ("quoted.kind", "text", "`owner`, `human` or `agent`: who said it"),
        ("quoted.sender", "text", "how to call them"),
        ("quoted.own", "bool", "whether the agent itself said it"),
        ("quoted.time", "seconds", "when that was"),
        ("now", "time", "the present time, UTC"),
        ("env", "mapping", "the environment variables that `context.env` of the config lists"),
    )
)
"""Each name once, with the names inside it."""

PROVIDERS: Mapping[str, object] = MappingProxyType(
    {
        "memory": {"goal": "", "sections": [], "updated_at": None, "size": 0, "tool": False},
        "activity": {"total": 0, "entries": []},
        "room": None,
        "repo": None,
        "quoted": None,
    }
)
"""The names whose values are asked for, only when a template uses them, and their values where
there is nothing to tell."""

SUCH_AS: Mapping[str, str] = MappingProxyType(
    {
        "message": "text", "sender": "label", "conversation": "title", "route": "name",
        "turn": "id", "session": "turns", "exchange": "answer", "memory": "goal",
        "section": "text", "activity": "total", "entry": "preview", "room": "name",
        "member": "name", "repo": "branch", "quoted": "text",
    }
)  # fmt: skip
"""Of each kind that is no text the attribute that somebody may have meant who prints it."""

NAMES = frozenset(entry.name for entry in CONTRACT if "." not in entry.name)
"""The names at the top."""
