"""One turn of an agent that speaks the Agent Client Protocol, version 1, over one connection.

See https://agentclientprotocol.com; measured with the agents whose recordings are in the tests. A
codec of our own: the SDK in Python costs each process 30 MB and 0.7 s at its start.
"""

from collections.abc import Mapping

from sidecar.codecs.acp_opening import Ask, Opening
from sidecar.codecs.acp_peer import Peer
from sidecar.codecs.acp_requests import PERMISSION, Wish, wish_of
from sidecar.codecs.acp_result import NOT_FOUND, cost_of, failure_of, stop_failure, usage_of
from sidecar.codecs.acp_updates import Updates
from sidecar.codecs.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Notification,
    Request,
    Response,
)
from sidecar.codecs.loose import Record, record_of, text_of
from sidecar.codecs.outcome import without_end
from sidecar.model import AgentEvent, Block, Failure, TurnEnded, Usage

_OF_THE_AGENT = ("agent_", "tool_", "plan")
"""How updates begin that an agent sends only while it works."""


class AcpCodec:
    """The dialogue of one turn. `peer` has an open session when an earlier turn has left one.

    `finished`: the prompt was answered, or will never be; `settled`: it was answered well.
    `wishes` are requests that need a look at the machine: whoever feeds it takes them out, and
    calls `grant` or `refuse` for each.
    """

    def __init__(self, ask: Ask, peer: Peer | None = None) -> None:
        self.finished = self.settled = False
        self.wishes: list[Wish] = []
        self.peer = peer or Peer()
        self._ask = ask
        self._opening = Opening(self.peer, ask)
        self._outgoing = bytearray()
        self._updates = Updates(ask.output)
        self._prompting = False
        self._failure: Failure | None = None
        self._usage: Usage | None = None
        self._before: float | None = None
        self._garbage = b""
        self._advance()

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._updates.answer.cut

    @property
    def waits_for_silence(self) -> bool:
        """Whether `go_on` is to be called as soon as nothing comes any more."""
        return self._opening.waits_for_silence

    def outgoing(self) -> bytes:
        """What the agent is to be told now, once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def is_idle(self, line: bytes) -> bool:
        """Whether a line that comes when the turn is over means nothing."""
        match self.peer.rpc.feed(line):
            case Request():
                return False
            case Notification("session/update", params):
                told = str(record_of(params, "update").get("sessionUpdate"))
                return not told.startswith(_OF_THE_AGENT)
        return True

    def feed(self, line: bytes) -> list[AgentEvent]:
        """Take one line."""
        match self.peer.rpc.feed(line):
            case Request() as request:
                return self._asked(request)
            case Notification("session/update", params):
                return self._updated(params)
            case Notification(method):
                return [Block("other", name=method)]
            case Response(method="session/prompt") as response:
                return self._answered(response)
            case Response() as response:
                events = self._opening.answered(response)
                self._advance()
                return events
        self._garbage = self._garbage or line.strip()
        return []

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome: only the answer to the prompt tells success."""
        failure = self._failure
        if failure is None and not self.finished:
            started = bool(self.peer.session)
            failure = without_end(exit_code, stderr_tail, self._garbage, started=started)
        text = self._updates.answer.text
        if failure is not None and text and text in failure.detail:
            text = ""  # some agents say their errors, too
        gone = failure is not None and failure.kind == "session_missing"
        session = None if gone or not self._lasts() else self.peer.session or self._ask.session
        return TurnEnded(text, session, failure, self._usage)

    def cancel(self) -> None:
        """Have the agent told to stop what it does."""
        if self._prompting and not self.finished:
            session = {"sessionId": self.peer.session}
            self._outgoing += self.peer.rpc.notify("session/cancel", session)

    def go_on(self) -> None:
        """The history of the session has been told."""
        self._opening.go_on()
        self._advance()

    def grant(self, wish: Wish, result: object) -> None:
        """Answer a wish by what came of it."""
        self._outgoing += self.peer.rpc.answer(wish.request, result)

    def refuse(self, wish: Wish, reason: str, *, missing: bool = False) -> None:
        """Answer a wish by an error. `missing`: there is no such file."""
        code = NOT_FOUND if missing else INVALID_PARAMS
        text = f"Resource not found: {reason}" if missing else reason
        self._outgoing += self.peer.rpc.refuse(wish.request, code, text)

    def _lasts(self) -> bool:
        """Whether a next turn can resume the session."""
        return self._ask.stays or not self.peer.about or self.peer.resume is not None

    def _advance(self) -> None:
        """Do what comes next on the way to the prompt, and then give it, once."""
        self._outgoing += self._opening.line
        self._failure = self._opening.failure
        self.finished = self._failure is not None
        if self._opening.ready and not self._prompting:
            self._prompting = True
            self._before = self.peer.cost
            parts = [{"type": "text", "text": text} for text in self._ask.prompt]
            params = {"sessionId": self.peer.session, "prompt": parts}
            self._outgoing += self.peer.rpc.call("session/prompt", params)[1]

    def _asked(self, request: Request) -> list[AgentEvent]:
        blocks: list[AgentEvent] = []
        if request.method == PERMISSION:
            # Some agents tell of a tool here for the first time.
            blocks += self._updates.tool(record_of(request.params, "toolCall"), begun=True)
        wish = wish_of(request, self._ask.trust, self._ask.servers)
        if wish is None:
            told = f"{request.method} is not offered"
            self._outgoing += self.peer.rpc.refuse(request, METHOD_NOT_FOUND, told)
            blocks.append(Block("other", name=request.method))
        elif isinstance(wish, Mapping):
            self._outgoing += self.peer.rpc.answer(request, wish)
        else:
            self.wishes.append(wish)
        return blocks

    def _updated(self, params: Record) -> list[AgentEvent]:
        update = record_of(params, "update")
        if (cost := cost_of(update)) is not None:
            self.peer.cost = cost
        if not self._prompting or params.get("sessionId") != self.peer.session:
            return []  # the history of the session, or another one
        return list(self._updates.feed(update))

    def _answered(self, response: Response) -> list[AgentEvent]:
        self.finished = True
        result = response.result if isinstance(response.result, dict) else {}
        cost, before = self.peer.cost, self._before
        spent = None if cost is None or before is None else cost - before
        self._usage = usage_of(result, spent or None)
        if response.error is not None:
            resumed = self._ask.session is not None
            self._failure = failure_of(response.error, resumed=resumed, about=self.peer.about)
            return []
        reason = text_of(result, "stopReason") or ""
        self._failure = stop_failure(reason, self._updates.answer.text, self._usage)
        self.settled = self._failure is None
        return [] if reason == "end_turn" else [Block("system", f"Stopped: {reason}.", "stop")]
