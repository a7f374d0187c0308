"""The tables of the journal, as steps from one version to the next.

`PRAGMA user_version` is the number of steps that a file has seen. A step that was released never
changes; what has to change becomes a new step.

- `turn`: one for each accepted message. `seq` is the order of arrival. `ended_at` is null while
  its state is queued or running; the other states (answered, silent, failed, cancelled, dropped,
  merged) are final.
- `message`: `turn` is the one that answers it, so a merged turn gives its message away.
- `reply`: pending until it is delivered or refused.
- `session`: the runtime's id to resume, how many turns were finished in it, how many tokens they
  used, and what the agent told last of the whole of it.
- `activity`: the last thing said in a conversation.
- `spending`: what the turns of a route used, by the hour in which they ended; it outlives them.
- `name`: the accounts as which channels, by their ids, have received messages, and of what type the
  channels were.
- `control_frame`: a frame of the control plane that has acted, or was about to, and its answer.

Columns that hold text from outside are JSON, see `encoding`.
"""

import sqlite3
from collections.abc import Sequence

from sidecar.errors import JournalError

_TABLES = """
create table turn(
    seq integer primary key,
    id text not null unique,
    conversation text not null,     -- JSON of a ConversationKey
    state text not null,
    attempt integer not null default 0,
    route text,                     -- JSON text
    generation integer,
    session_key text,               -- JSON of a SessionKey
    merged_into text,
    error text,                     -- JSON text
    usage text,                     -- JSON object
    accepted_at real not null,
    started_at real,
    ended_at real
);
create index turn_unfinished on turn(seq) where ended_at is null;
create index turn_ended on turn(ended_at, state) where ended_at is not null;

create table message(
    seq integer primary key,
    key text not null unique,       -- JSON of channel, account and the channel's id of it
    turn integer not null references turn(seq) on delete cascade,
    body text not null              -- JSON of a Message
);
create index message_turn on message(turn);

create table reply(
    id integer primary key,
    turn integer not null references turn(seq) on delete cascade,
    body text not null,             -- JSON of a Reply
    state text not null default 'pending',
    attempts integer not null default 0,
    next_at real not null,
    provider_id text,               -- JSON text
    error text,                     -- JSON text
    ended_at real
);
create index reply_turn on reply(turn);
create index reply_pending on reply(id) where state = 'pending';
create index reply_refused on reply(id) where state = 'refused';

create table session(
    key text primary key,           -- JSON of a SessionKey
    session text not null,          -- JSON text
    turns integer not null,
    used_at real not null
) without rowid;
create index session_used on session(used_at);

create table activity(
    conversation text primary key,  -- JSON of a ConversationKey
    at real not null,
    entry text not null             -- JSON of the conversation, the sender and a preview
) without rowid;
create index activity_at on activity(at);
"""

_SPENDING = """
create table spending(
    route text not null,            -- JSON text
    hour integer not null,          -- its start, seconds since the epoch
    turns integer not null,
    input_tokens integer not null,
    output_tokens integer not null,
    cost_usd real not null,
    primary key(route, hour)
) without rowid;
create index spending_hour on spending(hour);
alter table session add column tokens integer not null default 0;
alter table turn add column retried_as text;    -- the turn that has its messages now
create index turn_conversation on turn(conversation, seq);
"""

_QUOTES = """
alter table message add column alias text;  -- JSON as the key, with the other id of the message
create index message_alias on message(alias) where alias is not null;
alter table reply add column key text;      -- JSON text
create index reply_key on reply(key) where key is not null;
create index reply_provider on reply(provider_id) where provider_id is not null;
"""

_FRAMES = """
create table control_frame(
    id text primary key,            -- JSON text
    at real not null,
    answer text not null default ''
) without rowid;
create index control_frame_at on control_frame(at);
"""

_TOTALS = """
alter table session add column total text;  -- JSON object
"""

_NAMES = """
create table name(
    key text primary key,           -- JSON of channel and account
    type text not null              -- JSON text
) without rowid;
"""

STEPS = (_TABLES, _SPENDING, _QUOTES, _FRAMES, _TOTALS, _NAMES)


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> None:
    """Bring the tables to the newest version; each step is done whole or not at all.

    Raises:
        JournalError: a newer version wrote the file.
    """
    (version,) = connection.execute("pragma user_version").fetchone()
    if version > len(steps):
        raise JournalError(
            f"it was written by a newer sidecar: its version is {version},"
            f" this one knows up to {len(steps)}"
        )
    for number, step in enumerate(steps[version:], version + 1):
        try:
            connection.executescript(
                f"begin immediate; {step}; pragma user_version = {number}; commit"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise
