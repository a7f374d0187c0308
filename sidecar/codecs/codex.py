"""Codex's `exec --json`, as version 0.169 prints it.

One JSON object a line. Each `agent_message` is a text of its own: the last one is the answer, and
those before it are progress. A top-level `error` ends nothing: the CLI may try again. What is
unknown or has another shape than expected is passed over.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sidecar.codecs.codex_result import BUSY, GONE, failure_of
from sidecar.codecs.loose import clean, count_of, number_of, record_of, records_of, text_of
from sidecar.codecs.ndjson import Printed
from sidecar.codecs.outcome import OUTPUT, Answer, exit_words, without_end
from sidecar.model import AgentEvent, Block, Failure, SessionStarted, TurnEnded, Usage

_INPUT = {"command_execution": "command", "file_change": "changes", "web_search": "query"}
"""Items that are tools, and what of them is the input."""
_RETRY = "Reconnecting"
"""How the message of an `error` begins after which the CLI tries again by itself."""


class CodexCodec:
    """The events of one turn. `expected_session` is the thread that was to be resumed.

    `began` is the beginning of the turn in the local time zone, in which the CLI tells when a
    limit resets. `before` is what the turns of the thread had used before. `finished`: the turn has
    ended, or runs in another thread than it should.
    """

    def __init__(
        self,
        expected_session: str | None = None,
        output: int = OUTPUT,
        began: datetime | None = None,
        before: Usage | None = None,
    ) -> None:
        self.finished = False
        self._expected = expected_session
        self._session = expected_session
        self._began = began
        self._before = Usage(0, 0) if expected_session is None else before or Usage()
        self._started = self._lost = self._completed = False
        self._answer = Answer(output)
        self._called: set[str] = set()
        self._error = ""
        self._usage: Usage | None = None
        self._total: Usage | None = None
        self._printed = Printed()

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._answer.cut

    def feed(self, line: bytes) -> list[AgentEvent]:
        """Take one line."""
        event = self._printed.take(line)
        if event is None:
            return []
        return self.take(event)

    def take(self, event: Mapping[str, object]) -> list[AgentEvent]:
        """Take one event."""
        match event.get("type"):
            case "thread.started":
                return self._thread(event)
            case "item.started" | "item.updated" | "item.completed" as stage:
                self._error = ""  # whatever it was, the turn goes on
                item = record_of(event, "item")
                return list(self._item(item, completed=stage == "item.completed"))
            case "error":
                return self._told(text_of(event, "message"))
            case "turn.completed":
                return self._complete(event)
            case "turn.failed":
                return self._fail(event)
            case "turn.started":
                return []
            case kind:
                return [Block("other", name=kind if isinstance(kind, str) else "")]

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome, whatever the exit code says: only the final event tells success."""
        failure = self._failure(exit_code, stderr_tail)
        gone = failure is not None and failure.kind == "session_missing"
        session = None if gone else self._session
        return TurnEnded(self._answer.text, session, failure, self._usage, self._total)

    def _failure(self, code: int | None, stderr: str) -> Failure | None:
        if self._lost:
            detail = f"thread {self._session} was begun in place of {self._expected}"
            return Failure("session_missing", detail)
        if self._completed:
            return None
        if self._error:
            words = self._error if self.finished else f"{self._error}; {exit_words(code, stderr)}"
            return failure_of(words, self._expected, self._began)
        if self._expected is not None and GONE.search(stderr):
            return Failure("session_missing", exit_words(code, stderr))
        if self._expected is not None and BUSY.search(stderr):
            return Failure("exited", exit_words(code, stderr), retryable=True)
        return without_end(code, stderr, self._printed.garbage, started=self._started)

    def _thread(self, event: Mapping[str, object]) -> list[AgentEvent]:
        thread = text_of(event, "thread_id")
        if thread is None:
            return []
        self._started, self._session = True, thread
        if self._expected is not None and thread.lower() != self._expected.lower():
            # Without its history the answer would be to another question.
            self._lost = self.finished = True
            return []
        return [SessionStarted(thread)]

    def _item(self, item: Mapping[str, object], *, completed: bool) -> Iterator[Block]:
        kind, text = text_of(item, "type") or "", text_of(item, "text") or ""
        if kind in _INPUT or kind == "mcp_tool_call":
            yield from self._tool(kind, item, completed=completed)
        elif kind == "todo_list":
            yield Block("other", _todo(item), name=kind)
        elif not completed:
            return
        elif kind == "agent_message":
            self._answer.replace(text)
            yield Block("assistant", text)
        elif kind == "reasoning":
            yield Block("thinking", text)
        elif kind == "error":
            yield Block("system", text_of(item, "message") or "", name="warning")
        else:
            yield Block("other", text, name=kind)

    def _tool(self, kind: str, item: Mapping[str, object], *, completed: bool) -> Iterator[Block]:
        identity = text_of(item, "id") or ""
        if identity not in self._called:
            self._called.add(identity)
            yield _call(kind, identity, item)
        if completed:
            failed = item.get("status") == "failed" or bool(number_of(item, "exit_code"))
            yield Block("tool_result", _result(kind, item), id=identity, failed=failed)

    def _told(self, message: str | None) -> list[AgentEvent]:
        self._error = message or "an error without a message"
        again = self._error.startswith(_RETRY)
        return [Block("system", self._error, name="retry" if again else "error", failed=not again)]

    def _complete(self, event: Mapping[str, object]) -> list[AgentEvent]:
        self.finished = self._completed = True
        if usage := record_of(event, "usage"):  # the sum over all turns of the thread
            self._total = Usage(count_of(usage, "input_tokens"), count_of(usage, "output_tokens"))
            self._usage = _since(self._before, self._total)
        return []

    def _fail(self, event: Mapping[str, object]) -> list[AgentEvent]:
        self.finished = True
        message = text_of(record_of(event, "error"), "message")
        self._error = message or self._error or "the turn failed without a message"
        return []


def _since(before: Usage, total: Usage) -> Usage | None:
    """What was used since; None where that is not known."""
    pairs = (
        (before.input_tokens, total.input_tokens),
        (before.output_tokens, total.output_tokens),
    )
    found = [None if a is None or b is None or b < a else b - a for a, b in pairs]
    return None if found == [None, None] else Usage(*found)


def _call(kind: str, identity: str, item: Mapping[str, object]) -> Block:
    if kind == "mcp_tool_call":
        name = f"{text_of(item, 'server') or ''}.{text_of(item, 'tool') or ''}"
        return Block("tool_use", name=name, id=identity, input=record_of(item, "arguments"))
    name = _INPUT[kind]
    return Block("tool_use", name=kind, id=identity, input={name: item.get(name)})


def _result(kind: str, item: Mapping[str, object]) -> str:
    """What a tool printed or did, as a text."""
    if kind == "mcp_tool_call":
        content = records_of(record_of(item, "result"), "content")
        texts = [text_of(part, "text") for part in content]
        texts.append(text_of(record_of(item, "error"), "message"))
        return "\n".join(text for text in texts if text)
    if kind == "file_change":
        changes = records_of(item, "changes")
        return "\n".join(f"{one.get('kind')} {text_of(one, 'path') or ''}" for one in changes)
    output = item.get("aggregated_output")
    return clean(output) if isinstance(output, str) else ""


def _todo(item: Mapping[str, object]) -> str:
    return "\n".join(
        f"[{'x' if one.get('completed') is True else ' '}] {text_of(one, 'text') or ''}"
        for one in records_of(item, "items")
    )
