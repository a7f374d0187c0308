"""The typed configuration: frozen, defaults filled in, durations in seconds, sizes in bytes.

Every value equals another with the same meaning, so that a reload can compare components.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from sidecar.config.reloading import Reloading
from sidecar.model import NO_REPLY, ConversationKind, QueueMode, SenderKind, Trust

EMPTY: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """Where the sidecar keeps its journal and other state, and for how long (seconds)."""

    dir: Path
    session_ttl: float = 30 * 86400.0
    journal_ttl: float = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where health and status are served: `host:port` or `unix:/path`."""

    listen: str = "127.0.0.1:8787"
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Log:
    """How the sidecar logs. `file` None is standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold for every turn, in seconds, bytes and counts."""

    concurrent_turns: int = 4
    queue_depth: int = 100
    turn_timeout: float = 600.0
    idle_timeout: float = 600.0
    output: int = 1 << 20
    stop_grace: float = 5.0
    drain_timeout: float = 25.0

    @property
    def turns_drain(self) -> float:
        """Of `drain_timeout`, what running turns have: who is cut after it takes its grace, too."""
        return self.drain_timeout - min(self.stop_grace, self.drain_timeout / 2)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sender may at most be trusted with, by kind and by id."""

    owner: Trust = "owner"
    human: Trust = "public"
    agent: Trust = "public"
    senders: Mapping[str, Trust] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allow:
    """Who and where is listened to; an empty tuple is everybody and everywhere."""

    senders: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any `window` seconds."""

    count: int
    window: float


@dataclass(frozen=True, slots=True)
class LoopGuard:
    """At most `turns` turns in a row that only agents caused, within `window` seconds."""

    turns: int = 10
    window: float = 300.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. `options` are the keys of its type, with defaults and absolute paths. With
    `notices` its owner is told of reloads; a `managed` one was added by the control plane."""

    id: str
    type: str
    options: Mapping[str, object] = field(default_factory=dict)
    grant: Grant = Grant()
    allow: Allow = Allow()
    rate_limit: Rate | None = Rate(20, 60.0)
    loop_guard: LoopGuard | None = LoopGuard()
    notices: bool = False
    managed: bool = False


@dataclass(frozen=True, slots=True)
class Discovery:
    """Folders in which credentials files become channels, live. None switches it off."""

    botcord_credentials_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class FileText:
    """A text with parts that are read from files when it is used: `parts` are texts and paths."""

    parts: tuple[str | Path, ...]


Period = Literal["hour", "day", "week", "month"]
"""Calendar periods, UTC; a week begins on Monday."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the turns of a route may cost in one period."""

    usd: float
    per: Period = "day"


@dataclass(frozen=True, slots=True)
class SessionBounds:
    """When a session is left for a fresh one: after so many turns, after so many tokens that its
    turns used together, after so many seconds without a turn. None is no bound."""

    max_turns: int | None = None
    max_tokens: int | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class Warm:
    """Processes that stay for the next turn of their session: at most `max`, each of which waits
    for at most `idle` seconds."""

    max: int
    idle: float = 600.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime. `options` are the keys of its type, with defaults.

    `model`, `effort` and `session` hold for routes that do not say otherwise; `memory_max` is in
    bytes, of one process.
    """

    name: str
    type: str
    options: Mapping[str, object] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    env: Mapping[str, str | FileText] = field(default_factory=dict, repr=False)
    inherit_env: tuple[str, ...] = ()
    concurrent_turns: int | None = None
    model: str | None = None
    effort: str | None = None
    session: SessionBounds = SessionBounds()
    memory_max: int | None = None
    nice: int = 0
    warm: Warm | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """The source of one template. Line 1 of `text` is line `line` of the file `name`, where every
    line is indented by `indent` characters more.

    A template that only moved in its file is still the same.
    """

    name: str
    text: str
    line: int = field(default=1, compare=False)
    indent: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Match:
    """Which messages a route takes. Each given field must hold; None is not given."""

    channel: tuple[str, ...] | None = None
    account: tuple[str, ...] | None = None
    conversation: tuple[str, ...] | None = None
    conversation_prefix: tuple[str, ...] | None = None
    kind: tuple[ConversationKind, ...] | None = None
    sender: tuple[str, ...] | None = None
    sender_kind: tuple[SenderKind, ...] | None = None
    mentioned: bool | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Which messages, and what to do with them. None takes the default of the limits.

    `cwd` None is the workspace of the account. `no_reply` is the answer that sends nothing; None:
    there is no such answer. `managed`: the control plane set it, not the user.
    """

    name: str
    runtime: str
    cwd: Path | None
    match: Match = Match()
    trust: Trust = "owner"
    queue: QueueMode | None = None
    args: tuple[str, ...] = ()
    turn_timeout: float | None = None
    idle_timeout: float | None = None
    system_context: Template | None = None
    user_turn: Template | None = None
    no_reply: str | None = NO_REPLY
    model: str | None = None
    effort: str | None = None
    budget: Budget | None = None
    session: SessionBounds = SessionBounds()
    recovery: Template | None = None
    managed: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What templates can draw on. `env` names the environment variables that they may read,
    `others` are the options of context types from other packages, by the name of the type.
    `timeout` is in seconds, for all that one turn asks.
    """

    timeout: float = 2.0
    working_memory: bool = True
    activity_window: float = 7200.0
    activity_max_entries: int = 5
    activity_share_groups: bool = True
    room_ttl: float = 300.0
    env: tuple[str, ...] = ()
    others: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


LOGIN_FILE = "~/.botcord/daemon/user-auth.json"
"""Where the BotCord daemon keeps the login of a person, and so do we."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The Hub's control plane. In the folders `roots` agents that it adds may work; without any,
    in those of the state folder. One of `public_keys` (base64) has to have signed a frame."""

    enabled: bool = False
    credentials: Path | None = None
    label: str | None = None
    public_keys: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """One whole configuration. `secrets` are values that must never be shown."""

    state: State
    default_route: Route | None
    server: Server | None = Server()
    log: Log = Log()
    limits: Limits = Limits()
    reload: Reloading = field(default_factory=Reloading)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    discovery: Discovery = Discovery()
    runtimes: Mapping[str, Runtime] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    context: Context = Context()
    control_plane: ControlPlane = ControlPlane()
    tests: tuple[Mapping[str, object], ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """The routes in their order, and last the default one, where there is one."""
        last = () if self.default_route is None else (self.default_route,)
        return (*self.routes, *last)
