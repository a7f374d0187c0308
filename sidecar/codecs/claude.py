"""Claude Code's `--output-format stream-json`, as versions 2.1.197 and 2.1.330 print it.

One JSON object a line, keys in any order. Of one turn there may be several `init` and `result`
events, where work went on in the background; the last result counts. What is unknown or has
another shape than expected is passed over.
"""

from collections.abc import Iterator, Mapping, Sequence

from sidecar.codecs.claude_result import Ending, Result, without_result
from sidecar.codecs.loose import clean, flag_of, number_of, record_of, text_of
from sidecar.codecs.ndjson import Printed
from sidecar.codecs.outcome import OUTPUT, Answer
from sidecar.model import AgentEvent, Block, SessionStarted, TurnEnded

SILENT = {
    "background_tasks_changed",
    "command_lifecycle",
    "control_request",
    "control_response",
    "conversation_reset",
    "keep_alive",
    "status",
    "thinking_tokens",
    "ui_invalidate",
}
"""Types and subtypes that tell a person nothing."""

_SYNTHETIC = "<synthetic>"
"""The model of messages that the CLI itself wrote."""
_CUT_OFF = "cut off mid-stream"
"""Part of the note with which the CLI makes the model go on after a broken connection."""


class ClaudeCodec:
    """The events of one turn. `expected_session` is the session that was to be resumed.

    `spent` is what the process had cost before the turn. `finished`: a result was seen, and
    nothing has begun since.
    """

    def __init__(
        self, expected_session: str | None = None, output: int = OUTPUT, spent: float = 0.0
    ) -> None:
        self.finished = False
        self._expected = expected_session
        self._session = expected_session
        self._started = False
        self._said = Answer(output)
        self._in_pieces = False
        self._last_said = ""
        self._before_cut = ""
        self._ending = Ending(spent)
        self._printed = Printed()

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._said.cut

    @property
    def spent(self) -> float:
        """What the process has cost so far, as versions tell that count nothing else."""
        return self._ending.spent

    def feed(self, line: bytes) -> list[AgentEvent]:
        """Take one line."""
        event = self._printed.take(line)
        if event is None:
            return []
        match event.get("type"):
            case "system":
                return self._system(event)
            case "assistant":
                return list(self._assistant(event))
            case "user":
                return list(self._user(event))
            case "stream_event":
                return list(self._streamed(event))
            case "result":
                return self._result(event)
            case "rate_limit_event":
                self._ending.limit(record_of(event, "rate_limit_info"))
                return []
            case kind:
                return _unknown(kind)

    def pieces(self, lines: bytes) -> Sequence[AgentEvent] | None:
        """Take whole lines, with their ends, if all of them are pieces of a text. None: it has
        taken nothing, and they are to be fed one by one."""
        from sidecar.codecs.pieces import CLAUDE, partial  # once an agent prints: see there

        found = CLAUDE.read(lines)
        if found is None:
            return None
        deltas = [one.event.delta for one in found]
        self._in_pieces = self._in_pieces or any(delta.kind == "assistant" for delta in deltas)
        return [partial(delta.kind, clean(delta.text)) for delta in deltas]

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome, whatever the exit code says: a result that is no error is success."""
        ending, text = self._ending, self._said.text
        if ending.last is None:
            failure = without_result(
                exit_code, stderr_tail, self._printed.garbage, self._expected, started=self._started
            )
            return TurnEnded(text, self._kept(failure.kind), failure)
        failed = ending.failure(self._expected, said=bool(text), stderr=stderr_tail)
        kind = failed.kind if failed is not None else None
        return TurnEnded(text, self._kept(kind), failed, ending.usage)

    def _kept(self, failed: str | None) -> str | None:
        return None if failed == "session_missing" else self._session

    def _system(self, event: Mapping[str, object]) -> list[AgentEvent]:
        subtype = event.get("subtype")
        if subtype == "init":
            return self._init(event)
        if not isinstance(subtype, str) or subtype in SILENT:
            return []
        failed = subtype == "permission_denied"
        identity = text_of(event, "tool_use_id") or ""
        return [Block("system", _note(subtype, event), subtype, identity, failed=failed)]

    def _init(self, event: Mapping[str, object]) -> list[AgentEvent]:
        session = text_of(event, "session_id")
        self.finished = False
        begun = Block("system", text_of(event, "model") or "", name="init")
        if session is None or (self._started and session == self._session):
            return [begun]
        self._started, self._session = True, session
        return [SessionStarted(session), begun]

    def _assistant(self, event: Mapping[str, object]) -> Iterator[AgentEvent]:
        message = record_of(event, "message")
        if message.get("model") == _SYNTHETIC:
            yield self._synthetic(event, message)
            return
        nested = event.get("parent_tool_use_id") is not None
        for part in _parts(message):
            block = _part_block(part)
            if block.kind == "assistant" and nested:
                block = Block("other", block.text, name=text_of(event, "subagent_type") or "")
            elif block.kind == "assistant":
                self._said.add_part(block.text)
                self._last_said = block.text
                self._in_pieces = False
            yield block

    def _streamed(self, event: Mapping[str, object]) -> Iterator[Block]:
        """A piece of a text that follows as a whole (`--include-partial-messages`), or the end of
        those before it: a message that begins while another one lacks its whole text replaces that
        one, of which the connection broke."""
        if event.get("parent_tool_use_id") is not None:
            return
        streamed = record_of(event, "event")
        if streamed.get("type") == "message_start" and self._in_pieces:
            self._in_pieces = False
            yield Block("assistant")
        delta = record_of(streamed, "delta")
        text, thought = delta.get("text"), delta.get("thinking")
        if delta.get("type") == "text_delta" and isinstance(text, str):
            self._in_pieces = True
            yield Block("assistant", clean(text), partial=True)
        elif delta.get("type") == "thinking_delta" and isinstance(thought, str):
            yield Block("thinking", clean(thought), partial=True)

    def _synthetic(self, event: Mapping[str, object], message: Mapping[str, object]) -> Block:
        text = "\n".join(_text(part) for part in _parts(message))
        error = text_of(event, "error")
        if error is not None:
            self._ending.error = error
        name = "error" if error is not None else "local_command"
        return Block("system", text, name=name, failed=error is not None)

    def _user(self, event: Mapping[str, object]) -> Iterator[AgentEvent]:
        for part in _parts(record_of(event, "message")):
            if part.get("type") == "tool_result":
                identity = text_of(part, "tool_use_id") or ""
                failed = flag_of(part, "is_error") or False
                yield Block("tool_result", _flat(part), id=identity, failed=failed)
            elif flag_of(event, "isSynthetic") and _CUT_OFF in _text(part):
                # The result will hold only what comes from here on.
                self._before_cut += self._last_said

    def _result(self, event: Mapping[str, object]) -> list[AgentEvent]:
        self.finished = True
        result = Result(event)
        self._ending.add(result)
        if not result.failed:
            self._session = result.session or self._session
            if result.text:
                self._said.replace(self._before_cut + result.text)
        self._before_cut = ""
        return []


def _unknown(kind: object) -> list[AgentEvent]:
    if not isinstance(kind, str):
        return [Block("other")]
    return [] if kind in SILENT else [Block("other", name=kind)]


def _parts(message: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))


def _part_block(part: Mapping[str, object]) -> Block:
    match part.get("type"):
        case "text":
            return Block("assistant", _text(part))
        case "thinking" | "redacted_thinking":
            return Block("thinking", text_of(part, "thinking") or "")
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            name, identity = text_of(part, "name") or "tool", text_of(part, "id") or ""
            return Block("tool_use", name=name, id=identity, input=record_of(part, "input"))
    return Block("other", name=text_of(part, "type") or "")


def _text(part: Mapping[str, object]) -> str:
    text = part.get("text")
    return clean(text) if isinstance(text, str) else ""


def _flat(part: Mapping[str, object]) -> str:
    """The text of a tool's result: its content is a text, or a list of parts."""
    return "\n".join(text for piece in _parts(part) if (text := _text(piece)))


def _note(subtype: str, event: Mapping[str, object]) -> str:
    if subtype == "api_retry":
        attempt, most = number_of(event, "attempt"), number_of(event, "max_retries")
        return f"{text_of(event, 'error') or 'error'}: try {attempt} of {most} follows"
    for name in ("message", "content", "summary", "description"):
        if (text := text_of(event, name)) is not None:
            return text
    return ""
