"""How a session of an ACP agent is opened and set up, before the prompt of a turn is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.codecs.acp_peer import Peer, Setting
from sidecar.codecs.acp_requests import capabilities
from sidecar.codecs.acp_result import AUTH_REQUIRED, failure_of, words_of
from sidecar.codecs.jsonrpc import Error, Response
from sidecar.codecs.loose import Record, count_of, text_of
from sidecar.codecs.outcome import OUTPUT
from sidecar.model import (
    AgentEvent,
    Block,
    Failure,
    FailureKind,
    SessionStarted,
    ToolServer,
    Trust,
)

VERSION = 1
"""The version of the protocol."""
UNGUARDED = (
    "The agent names no mode in which it is known to ask before it acts: this turn relies on it."
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one turn asks of the agent.

    `cwd` is absolute, `prompt` are the parts of the prompt, `session` is the one to resume, `mode`
    is the session mode that the operator wants, `servers` are those whose `tools` it may call, and
    `version` is our own. `stays`: the process lives on, so that even an agent that opens no old
    session knows it in the next turn.
    """

    cwd: str
    prompt: Sequence[str]
    trust: Trust
    session: str | None = None
    servers: Sequence[ToolServer] = ()
    mode: str | None = None
    model: str | None = None
    effort: str | None = None
    output: int = OUTPUT
    version: str = "0"
    stays: bool = False


class Opening:
    """Leads a peer to where it takes the prompt: then it is `ready`, or there is a `failure`.

    `line` is what the agent is to be told next. While `waits_for_silence`, what comes is the
    history of the session: some agents tell the end of it after the answer.
    """

    def __init__(self, peer: Peer, ask: Ask) -> None:
        self.ready = self.waits_for_silence = False
        self.failure: Failure | None = None
        self.line = b""
        self._peer = peer
        self._ask = ask
        self._left: list[Setting] = []
        if peer.session:
            self.go_on()
        else:
            about = {"name": "sidecar", "version": ask.version}
            able = capabilities(ask.trust)
            told = {"protocolVersion": VERSION, "clientCapabilities": able, "clientInfo": about}
            self._call("initialize", told)

    def answered(self, response: Response) -> list[AgentEvent]:
        """Take the answer to a call."""
        self.line = b""
        result = response.result if isinstance(response.result, dict) else {}
        if response.method == "initialize":
            self._initialized(response.error, result)
        elif self._left and response.method == self._left[0].method:
            self._set(response.error)
        elif response.error is not None:
            self.failure = self._not_opened(response.error)
        else:
            return self._opened(response.method, result)
        return []

    def go_on(self) -> None:
        """Set the session up: it is open, and its history has been told."""
        self.waits_for_silence = False
        self._left = list(self._peer.settings)
        self._next()

    def _call(self, method: str, params: Mapping[str, object]) -> None:
        self.line = self._peer.rpc.call(method, params)[1]

    def _next(self) -> None:
        if self._left:
            self._call(self._left[0].method, self._left[0].params)
        else:
            self.ready = True

    def _initialized(self, error: Error | None, about: Record) -> None:
        version = count_of(about, "protocolVersion")
        if error is not None:
            self.failure = failure_of(error, resumed=False, about=about)
        elif version != VERSION:
            told = f"the agent speaks version {version} of the protocol, not {VERSION}"
            self.failure = Failure("protocol", told)
        else:
            self._peer.about = about
            self._open()

    def _open(self) -> None:
        servers = [_entry(server) for server in self._ask.servers]
        place = {"cwd": self._ask.cwd, "mcpServers": servers}
        if self._ask.session is None:
            self._call("session/new", place)
        elif self._peer.resume is None:
            self.failure = Failure("session_missing", "the agent resumes no sessions")
        else:
            self._call(self._peer.resume, {"sessionId": self._ask.session, **place})

    def _not_opened(self, error: Error) -> Failure:
        if self._ask.session is None or error.code == AUTH_REQUIRED:
            return failure_of(error, resumed=False, about=self._peer.about)
        # Whatever it is, nothing was done yet: afresh, the turn works, or tells what is wrong.
        return Failure("session_missing", words_of(error))

    def _opened(self, method: str, offer: Record) -> list[AgentEvent]:
        wanted = self._ask.session
        session = text_of(offer, "sessionId") or wanted
        if session is None or (wanted is not None and session != wanted):
            kind: FailureKind = "protocol" if wanted is None else "session_missing"
            self.failure = Failure(kind, f"session {session} was opened in place of {wanted}")
            return []
        self._peer.session = session
        self._peer.cost = 0.0 if wanted is None else self._peer.cost
        chosen = {"model": self._ask.model, "thought_level": self._ask.effort}
        choices = {category: value for category, value in chosen.items() if value is not None}
        self._peer.set_up(offer, self._ask.trust, self._ask.mode, choices)
        if method == "session/load":
            self.waits_for_silence = True
        else:
            self.go_on()
        return [SessionStarted(session), *self._doubts()]

    def _doubts(self) -> list[Block]:
        notes = [
            Block("system", f"The agent offers no choice of its {name}.", name="settings")
            for name in self._peer.lacks
        ]
        if not self._peer.asks and self._ask.trust != "owner":
            notes.append(Block("system", UNGUARDED, name="permissions"))
        return notes

    def _set(self, error: Error | None) -> None:
        setting = self._left.pop(0)
        if error is None or not setting.fatal:
            self._next()
            return
        # In another mode it may do more than the turn may; another model is not what was asked for.
        words = f"the session's {setting.name} cannot be set: {words_of(error)}"
        self.failure = Failure("api", words)


def _entry(server: ToolServer) -> Mapping[str, object]:
    env = [{"name": name, "value": value} for name, value in server.env.items()]
    return {"name": server.name, "command": server.command, "args": list(server.args), "env": env}
