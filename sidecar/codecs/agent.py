"""The two protocols of the runtime `command`, for agents that people write themselves.

`docs/command-runtimes.md` describes them for their authors.
"""

import codecs
import json
from collections.abc import Mapping, Sequence

from sidecar.codecs.loose import clean, count_of, flag_of, number_of, record_of, text_of
from sidecar.codecs.ndjson import Printed
from sidecar.codecs.outcome import OUTPUT, Answer, exit_words
from sidecar.model import (
    AgentEvent,
    Block,
    Failure,
    FailureKind,
    Job,
    Prompt,
    SessionStarted,
    TurnEnded,
    Usage,
)

PROTOCOL = 1
"""The version of the protocol `ndjson`; new optional keys do not change it."""

_ERRORS: Mapping[str, FailureKind] = {
    "api": "api",
    "auth": "auth",
    "usage_limit": "usage_limit",
    "session_missing": "session_missing",
}
"""What an agent may say about its error; anything else means that it just did not finish."""


def job_line(job: Job) -> bytes:
    """The line that an `ndjson` agent reads. Pure ASCII, so that no reader can cut it wrongly."""
    message = dict(job.message)
    record = {
        "type": "job",
        "protocol": PROTOCOL,
        "turn": job.turn,
        "attempt": message.pop("attempt", 1),
        "account": job.account,
        "session": job.session,
        "trust": job.trust,
        "cwd": str(job.cwd),
        "prompt": {"system": job.prompt.system, "user": job.prompt.user},
        "message": message,
    }
    return json.dumps(record).encode() + b"\n"


def prompt_text(prompt: Prompt) -> bytes:
    """What a `text` agent reads: the system context, if any, an empty line, the user turn."""
    system = prompt.system.strip("\n")
    text = f"{system}\n\n{prompt.user}" if system else prompt.user
    return text.encode("utf-8", "replace")


class TextCodec:
    """Whatever is printed is the answer; exit code 0 is success."""

    finished = False

    def __init__(self, session: str | None = None, output: int = OUTPUT) -> None:
        self._session = session
        self._answer = Answer(output)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._answer.cut

    def feed(self, data: bytes) -> list[AgentEvent]:
        """Take a piece of the output, cut anywhere."""
        text = clean(self._decoder.decode(data))
        if self._answer.cut or not text:
            return []
        self._answer.add(text)
        return [Block("assistant", text, partial=True)]

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome. None as the exit code: it closed its output, and stayed."""
        self._answer.add(self._decoder.decode(b"", final=True))
        failure = Failure("exited", exit_words(exit_code, stderr_tail)) if exit_code else None
        return TurnEnded(self._answer.text, self._session, failure)


class AgentCodec:
    """Events of one agent that speaks `ndjson`. `finished`: its last word was said."""

    def __init__(self, session: str | None = None, output: int = OUTPUT) -> None:
        self.finished = False
        self._session = session
        self._answer = Answer(output)
        self._usage: Usage | None = None
        self._failure: Failure | None = None
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
            case "text":
                said = self._said(event.get("text"))
                return [Block("assistant", text, partial=True) for text in said]
            case "session":
                return self._started(event)
            case "result":
                return self._result(event)
            case "error":
                return self._error(event)
            case kind:
                return [_block(kind, event)]

    def pieces(self, lines: bytes) -> Sequence[AgentEvent] | None:
        """Take whole lines, with their ends, if all of them are pieces of a text. None: it has
        taken nothing, and they are to be fed one by one."""
        from sidecar.codecs.pieces import AGENT, partial  # once an agent prints: see there

        found = AGENT.read(lines)
        if found is None:
            return None
        return [partial("assistant", text) for one in found for text in self._said(one.text)]

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome: without a last word, some text and exit code 0 are success."""
        text = self._answer.text
        failure = self._failure
        if not self.finished and (exit_code or not text):
            failure = self._unfinished(exit_code, stderr_tail)
        gone = failure is not None and failure.kind == "session_missing"
        return TurnEnded(text, None if gone else self._session, failure, self._usage)

    def _unfinished(self, exit_code: int | None, stderr_tail: str) -> Failure:
        words = exit_words(exit_code, stderr_tail)
        if self._printed.garbage and not exit_code:
            shown = self._printed.garbage[:200].decode("utf-8", "replace")
            return Failure("protocol", f"no event, but {shown!r}; {words}")
        return Failure("exited", f"no result, {words}")

    def _said(self, text: object) -> Sequence[str]:
        """What of it is shown: nothing of what is no text, or comes after the end of the answer."""
        if not isinstance(text, str) or self._answer.cut:
            return ()
        text = clean(text)
        self._answer.add(text)
        return (text,)

    def _started(self, event: Mapping[str, object]) -> list[AgentEvent]:
        session = text_of(event, "id")
        if session is None:
            return []
        self._session = session
        return [SessionStarted(session)]

    def _result(self, event: Mapping[str, object]) -> list[AgentEvent]:
        self.finished, self._failure = True, None
        text = event.get("text")
        if isinstance(text, str):
            self._answer.replace(clean(text))
        self._session = text_of(event, "session") or self._session
        usage = record_of(event, "usage")
        if usage:
            self._usage = Usage(
                input_tokens=count_of(usage, "input_tokens"),
                output_tokens=count_of(usage, "output_tokens"),
                cost_usd=number_of(usage, "cost_usd"),
            )
        return []

    def _error(self, event: Mapping[str, object]) -> list[AgentEvent]:
        self.finished = True
        kind = _ERRORS.get(str(event.get("kind")), "exited")
        self._failure = Failure(
            kind,
            text_of(event, "message") or "the agent reported an error",
            retryable=flag_of(event, "retryable") or False,
            resets_at=number_of(event, "resets_at"),
        )
        return []


def _block(kind: object, event: Mapping[str, object]) -> Block:
    text = text_of(event, "text") or ""
    identity = text_of(event, "id") or ""
    match kind:
        case "thinking":
            return Block("thinking", text)
        case "status":
            return Block("system", text, name="status")
        case "tool_use":
            name = text_of(event, "name") or "tool"
            return Block("tool_use", text, name, identity, record_of(event, "input"))
        case "tool_result":
            failed = flag_of(event, "failed") or False
            return Block("tool_result", text, id=identity, failed=failed)
    return Block("other", text, name=kind if isinstance(kind, str) else "")
