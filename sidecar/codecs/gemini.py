"""Gemini CLI's `-o stream-json`, as version 0.61 prints it.

One JSON object a line; other lines are notes of the CLI. Texts come in pieces and only the events
of tools part one text from the next: what is said after the last of them is the answer. After a
broken connection the CLI streams a text again from its start, and nothing in the events tells so:
the pieces from before stay in front of it.
"""

import re
from collections.abc import Mapping, Sequence

from sidecar.codecs.loose import clean, count_of, record_of, text_of
from sidecar.codecs.ndjson import Printed
from sidecar.codecs.outcome import LONGEST_DETAIL, OUTPUT, Answer, exit_words, without_end
from sidecar.model import (
    AgentEvent,
    Block,
    Failure,
    FailureKind,
    SessionStarted,
    TurnEnded,
    Usage,
)

_GONE = re.compile(r"Invalid session identifier|No previous sessions found for this project")
"""What the CLI says on standard error when it cannot resume."""
_CODE = re.compile(r'"code"\s*:\s*(\d{3})\b')
"""The status in an answer of the model's API."""
_ATTEMPT = re.compile(r"failed with status (\d{3})\b")
"""The status for which the CLI tries again, on standard error."""
_TEXTS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"API_KEY_INVALID|API key not valid|UNAUTHENTICATED"), "auth"),
    (re.compile(r"RESOURCE_EXHAUSTED|quota", re.IGNORECASE), "usage_limit"),
)
"""Errors that carry no status, or one that says less."""
_NO_LOGIN = 41
"""The exit code for a login that is missing or wrong."""


class GeminiCodec:
    """The events of one turn. `expected_session` is the session that was to be resumed.

    `finished`: the result was seen, or the turn runs in another session than it should.
    """

    def __init__(self, expected_session: str | None = None, output: int = OUTPUT) -> None:
        self.finished = False
        self._expected = expected_session
        self._session = expected_session
        self._started = self._lost = self._after_tool = False
        self._answer = Answer(output)
        self._result: Mapping[str, object] | None = None
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
        match event.get("type"):
            case "init":
                return self._init(event)
            case "message":
                return self._message(event.get("role"), event.get("content"), event.get("delta"))
            case "tool_use" | "tool_result" as kind:
                self._after_tool = True
                return [_call(event) if kind == "tool_use" else _tool_result(event)]
            case "error":
                failed = event.get("severity") == "error"
                words = text_of(event, "message") or ""
                return [Block("system", words, name="error", failed=failed)]
            case "result":
                self.finished, self._result = True, event
                return []
            case kind:
                return [Block("other", name=kind if isinstance(kind, str) else "")]

    def pieces(self, lines: bytes) -> Sequence[AgentEvent] | None:
        """Take whole lines, with their ends, if all of them are pieces of a text. None: it has
        taken nothing, and they are to be fed one by one."""
        from sidecar.codecs.pieces import GEMINI  # once an agent prints: see there

        found = GEMINI.read(lines)
        if found is None:
            return None
        return [block for one in found for block in self._message(one.role, one.content, one.delta)]

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome. The exit code alone tells no success: it is 0 after SIGTERM, too."""
        failure = self._failure(exit_code, stderr_tail)
        gone = failure is not None and failure.kind == "session_missing"
        session = None if gone else self._session
        return TurnEnded(self._answer.text, session, failure, self._usage())

    def _init(self, event: Mapping[str, object]) -> list[AgentEvent]:
        session = text_of(event, "session_id")
        begun = Block("system", text_of(event, "model") or "", name="init")
        if session is None:
            return [begun]
        self._started, self._session = True, session
        if self._expected is not None and session.lower() != self._expected.lower():
            # Without its history the answer would be to another question.
            self._lost = self.finished = True
            return []
        return [SessionStarted(session), begun]

    def _message(self, role: object, text: object, delta: object) -> list[AgentEvent]:
        if role != "assistant" or not isinstance(text, str) or not text:
            return []  # the prompt comes back as a message of the user
        text = clean(text)
        if self._after_tool:
            self._after_tool = False
            self._answer.replace(text)
        else:
            self._answer.add(text)
        return [Block("assistant", text, partial=delta is True)]

    def _usage(self) -> Usage | None:
        stats = record_of(self._result or {}, "stats")
        if not stats:
            return None
        return Usage(count_of(stats, "input_tokens"), count_of(stats, "output_tokens"))

    def _failure(self, code: int | None, stderr: str) -> Failure | None:
        if self._lost:
            detail = f"session {self._session} was begun in place of {self._expected}"
            return Failure("session_missing", detail)
        if self._result is not None:
            return _of_result(self._result, code)
        words = exit_words(code, stderr)
        if self._expected is not None and _GONE.search(stderr):
            return Failure("session_missing", words)
        if code == _NO_LOGIN:
            return Failure("auth", words)
        tries = _ATTEMPT.findall(stderr)
        if tries and not self._answer.text:
            return _of_api(int(tries[-1]), words)
        return without_end(code, stderr, self._printed.garbage, started=self._started)


def _of_result(result: Mapping[str, object], code: int | None) -> Failure | None:
    if result.get("status") == "success":
        return None
    error = record_of(result, "error")
    kind, message = text_of(error, "type") or "", text_of(error, "message") or ""
    words = f"{kind}: {message}"[:LONGEST_DETAIL]
    if code == _NO_LOGIN or kind == "FatalAuthenticationError":
        return Failure("auth", words)
    if kind.startswith("Fatal"):
        return Failure("exited", words)
    found = _CODE.search(message)
    return _of_api(int(found[1]) if found else _status(code), words)


def _of_api(status: int, words: str) -> Failure:
    if status in (401, 403):
        return Failure("auth", words)
    if status == 429:
        return Failure("usage_limit", words)
    found = (kind for pattern, kind in _TEXTS if pattern.search(words))
    kind: FailureKind = next(found, "api")
    return Failure(kind, words, retryable=kind == "api" and status >= 500)


def _status(code: int | None) -> int:
    """The status behind an exit code, which is its lowest eight bits; 0 where there is none."""
    return code + 256 if code is not None and 400 <= code + 256 < 512 else 0


def _call(event: Mapping[str, object]) -> Block:
    name, identity = text_of(event, "tool_name") or "tool", text_of(event, "tool_id") or ""
    return Block("tool_use", name=name, id=identity, input=record_of(event, "parameters"))


def _tool_result(event: Mapping[str, object]) -> Block:
    text = text_of(event, "output") or text_of(record_of(event, "error"), "message") or ""
    failed = event.get("status") == "error"
    return Block("tool_result", text, id=text_of(event, "tool_id") or "", failed=failed)
