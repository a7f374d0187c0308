"""Codex's `app-server`, as version 0.169 speaks it: one turn of a thread over one connection.

JSON-RPC without the field `jsonrpc`. Its notifications are those of `codex exec` under other
names, and are made into them; each names its thread and turn, so that none is taken for another's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sidecar.codecs.codex import CodexCodec
from sidecar.codecs.codex_result import GONE
from sidecar.codecs.jsonrpc import METHOD_NOT_FOUND, JsonRpc, Notification, Request, Response
from sidecar.codecs.loose import Record, count_of, record_of, text_of, texts_of
from sidecar.codecs.ndjson import parse
from sidecar.codecs.outcome import OUTPUT
from sidecar.model import AgentEvent, Block, Failure, TurnEnded, Usage

SANDBOX = "danger-full-access"
_SANDBOX_TYPE = "dangerFullAccess"
"""The same, as the server tells it."""
_RIGHTS = {"approvalPolicy": "never", "sandbox": SANDBOX}
_ITEMS: Mapping[str, str] = {
    "agentMessage": "agent_message",
    "commandExecution": "command_execution",
    "fileChange": "file_change",
    "mcpToolCall": "mcp_tool_call",
    "webSearch": "web_search",
}
_FIELDS: Mapping[str, str] = {"aggregatedOutput": "aggregated_output", "exitCode": "exit_code"}
_APPROVALS = {"item/commandExecution/requestApproval", "item/fileChange/requestApproval"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked in one turn. `session` is the thread to go on with, `began` the beginning of
    the turn in local time."""

    prompt: str
    cwd: str
    session: str | None = None
    output: int = OUTPUT
    began: datetime | None = None


@dataclass(slots=True)
class Connection:
    """What a process keeps from turn to turn: the calls, and the thread once it is open."""

    rpc: JsonRpc = field(default_factory=lambda: JsonRpc(version=False))
    thread: str | None = None


class CodexDialogue:
    """One turn of an owner, whom everything is allowed. `connection` is one with an open thread
    when the process has had an earlier turn.

    `finished`: the turn has ended. `settled` without it: the server is not as it has to be, or
    does not take the turn, which has not begun.
    """

    def __init__(
        self, question: Question, version: str, connection: Connection | None = None
    ) -> None:
        self.finished = self.settled = False
        self.connection = connection or Connection()
        self._rpc = self.connection.rpc
        self._turn: str | None = None
        self._question = question
        self._codec = CodexCodec(question.session, question.output, question.began)
        self._usage: Usage | None = None
        self._total: Usage | None = None
        self._gone = ""
        self._outgoing = b""
        if self.connection.thread is None:
            client = {"name": "sidecar", "title": "Sidecar", "version": version}
            capabilities = {"experimentalApi": True}
            self._call("initialize", {"clientInfo": client, "capabilities": capabilities})
        else:
            self._ask()

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._codec.cut

    def outgoing(self) -> bytes:
        """What the server is to be told now, once."""
        data, self._outgoing = self._outgoing, b""
        return data

    def is_idle(self, line: bytes) -> bool:
        """Whether a line that comes when the turn is over is no work."""
        method = (parse(line) or {}).get("method")
        return not (isinstance(method, str) and method.startswith(("turn/", "item/")))

    def feed(self, line: bytes) -> Sequence[AgentEvent]:
        """Take one line."""
        match self._rpc.feed(line):
            case Response() as response:
                return self._answered(response)
            case Request() as request:
                self._asked(request)
            case Notification(method, params) if self._is_ours(params):
                return self._told(method, params)
        return ()

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome."""
        if self._gone:
            return TurnEnded("", None, Failure("session_missing", self._gone))
        ended = self._codec.end(exit_code, stderr_tail)
        return replace(ended, usage=self._usage, total=self._total)

    def _answered(self, response: Response) -> Sequence[AgentEvent]:
        result = response.result if isinstance(response.result, dict) else {}
        if response.error is not None:
            if GONE.search(response.error.message):
                self._gone, self.finished = response.error.message, True
            self.settled = True
        elif response.method == "initialize":
            self._outgoing += self._rpc.notify("initialized", {})
            self._open()
        elif response.method in ("thread/start", "thread/resume"):
            self._opened(result)
        elif response.method == "turn/start":
            self._turn = text_of(record_of(result, "turn"), "id")
            return self._codec.take({"type": "thread.started", "thread_id": self.connection.thread})
        return ()

    def _open(self) -> None:
        if self._question.session is None:
            # In the folder of the server: for one that is named, it would write into the user's
            # settings that the folder is trusted.
            self._call("thread/start", _RIGHTS)
        else:
            resume = {"threadId": self._question.session, "excludeTurns": True}
            self._call("thread/resume", {"cwd": self._question.cwd, **_RIGHTS, **resume})

    def _opened(self, result: Record) -> None:
        thread = text_of(record_of(result, "thread"), "id")
        sandbox = record_of(result, "sandbox").get("type", _SANDBOX_TYPE)
        asks = result.get("approvalPolicy", "never")
        if thread is None or (sandbox, asks) != (_SANDBOX_TYPE, "never"):
            self.settled = True
            return
        self.connection.thread = thread
        self._ask()

    def _ask(self) -> None:
        text = {"type": "text", "text": self._question.prompt, "text_elements": []}
        self._call("turn/start", {"threadId": self.connection.thread, "input": [text]})

    def _call(self, method: str, params: Mapping[str, object]) -> None:
        self._outgoing += self._rpc.call(method, params)[1]

    def _asked(self, request: Request) -> None:
        """A request of the server's: what an owner wants is approved, and nobody can be asked."""
        if request.method in _APPROVALS:
            self._outgoing += self._rpc.answer(request, {"decision": "accept"})
        else:
            self._outgoing += self._rpc.refuse(request, METHOD_NOT_FOUND, "nobody can be asked")

    def _is_ours(self, params: Record) -> bool:
        turn = params.get("turnId", record_of(params, "turn").get("id"))
        return self._turn is not None and turn == self._turn

    def _told(self, method: str, params: Record) -> Sequence[AgentEvent]:
        match method:
            case "item/started" | "item/completed":
                item = _item(record_of(params, "item"))
                kind = method.replace("/", ".")
                return () if item is None else self._codec.take({"type": kind, "item": item})
            case "item/agentMessage/delta":
                text = params.get("delta")
                return [Block("assistant", text, partial=True)] if isinstance(text, str) else ()
            case "thread/tokenUsage/updated":
                self._use(record_of(params, "tokenUsage"))
            case "error":
                message = text_of(record_of(params, "error"), "message")
                return self._codec.take({"type": "error", "message": message})
            case "turn/completed":
                self._completed(record_of(params, "turn"))
        return ()

    def _use(self, told: Record) -> None:
        """Add what one call of the model used; cached input counts as input."""
        before, one = self._usage or Usage(0, 0), record_of(told, "last")
        if total := record_of(told, "total"):
            self._total = Usage(count_of(total, "inputTokens"), count_of(total, "outputTokens"))
        self._usage = Usage(
            (before.input_tokens or 0) + (count_of(one, "inputTokens") or 0),
            (before.output_tokens or 0) + (count_of(one, "outputTokens") or 0),
        )

    def _completed(self, turn: Record) -> None:
        self.finished = self.settled = True
        if turn.get("status") == "completed":
            self._codec.take({"type": "turn.completed"})
        else:
            error = text_of(record_of(turn, "error"), "message")
            message = error or f"the turn was {text_of(turn, 'status')}"
            self._codec.take({"type": "turn.failed", "error": {"message": message}})


def _item(item: Record) -> Record | None:
    """An item as `codex exec` prints it; None for what it does not."""
    kind = text_of(item, "type") or ""
    if kind == "userMessage":
        return None
    renamed = {_FIELDS.get(name, name): value for name, value in item.items()}
    if item.get("status") == "declined":
        renamed["status"] = "failed"
    if kind == "reasoning":
        renamed["text"] = "\n".join(texts_of(item, "summary", most=100))
    return {**renamed, "type": _ITEMS.get(kind, kind)}
