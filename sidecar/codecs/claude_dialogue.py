"""Claude Code's `--input-format stream-json`, one turn of several in one process.

A prompt is a line with an id of its own. Versions that know such ids tell when the work for one
begins and ends, so that what the CLI did for itself is no answer; for others it is the next result.
"""

import json
from collections.abc import Mapping, Sequence

from sidecar.codecs.claude import SILENT, ClaudeCodec
from sidecar.codecs.loose import text_of
from sidecar.codecs.ndjson import parse
from sidecar.codecs.outcome import OUTPUT
from sidecar.model import AgentEvent, TurnEnded

_OURS = (b"command_lifecycle", b"background_tasks_changed", b"control_request")
"""Names in lines that are looked into here; they may stand there for something else."""
_QUIET = (SILENT | {"rate_limit_event"}) - {"control_request"}
"""Types of lines that come also when there is nothing to do."""
_WORK = {"init", "task_started"}
"""Subtypes of `system` that come only while the CLI works."""


class ClaudeDialogue:
    """The turn that `prompt` asks for. `identity` is a UUID that no other turn has.

    `context` is the system context that its process read at its start. `before` is the process's
    turn before this one: it tells that context, what the process has cost so far, for older
    versions tell only the sum, and whether the CLI tells when a turn begins, so that what comes
    before that is not of this one.
    """

    def __init__(
        self,
        prompt: str,
        identity: str,
        context: str,
        expected_session: str | None = None,
        output: int = OUTPUT,
        before: "ClaudeDialogue | None" = None,
    ) -> None:
        self.context: str = context if before is None else before.context
        spent = 0.0 if before is None else before.spent
        self._codec = ClaudeCodec(expected_session, output, spent)
        self._identity = identity
        message = {"role": "user", "content": prompt}
        self._outgoing = _line({"type": "user", "message": message, "uuid": identity})
        self._stage = "queued" if before is not None and before.lifecycle else ""
        self._background = False

    @property
    def finished(self) -> bool:
        """Whether a result was seen, and nothing has begun since."""
        return self._codec.finished

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._codec.cut

    @property
    def settled(self) -> bool:
        """Whether the turn is over: nothing works in the background that would print more."""
        told = self._stage in ("", "completed")
        return self._codec.finished and told and not self._background

    @property
    def spent(self) -> float:
        """What the process has cost so far, as older versions tell it."""
        return self._codec.spent

    @property
    def lifecycle(self) -> bool:
        """Whether the CLI tells when the work for a prompt begins and ends."""
        return self._stage != ""

    def outgoing(self) -> bytes:
        """What the CLI is to be written now."""
        line, self._outgoing = self._outgoing, b""
        return line

    def feed(self, line: bytes) -> Sequence[AgentEvent]:
        """Take one line."""
        if any(name in line for name in _OURS):
            self._look(parse(line) or {})
        if self._stage == "queued":
            return ()  # it still works at something of its own
        return self._codec.feed(line)

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome."""
        return self._codec.end(exit_code, stderr_tail)

    def is_idle(self, line: bytes) -> bool:
        """Whether a line that comes after the turn is no work."""
        event = parse(line)
        if event is None:
            return not line.strip()
        kind, subtype = text_of(event, "type"), text_of(event, "subtype")
        if kind == "system":
            return subtype not in _WORK and not event.get("tasks")
        return kind in _QUIET

    def _look(self, event: Mapping[str, object]) -> None:
        match event.get("type"), event.get("subtype"):
            case "command_lifecycle", _ if event.get("command_uuid") == self._identity:
                self._stage = text_of(event, "state") or ""
            case "system", "background_tasks_changed":
                self._background = bool(event.get("tasks"))
            case "control_request", _:
                # Nobody is there to be asked; a question without an answer would wait for ever.
                refused = {"subtype": "error", "error": "nobody can be asked"}
                response = {**refused, "request_id": event.get("request_id")}
                self._outgoing += _line({"type": "control_response", "response": response})


def _line(message: Mapping[str, object]) -> bytes:
    """Pure ASCII, so that no reader can cut it wrongly, and lone surrogates are no matter."""
    return json.dumps(message).encode() + b"\n"
