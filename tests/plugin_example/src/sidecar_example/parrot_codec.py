"""What the agent `parrot` prints, as events of the sidecar. Pure: bytes in, events out."""

from sidecar.codecs.loose import clean, text_of
from sidecar.codecs.ndjson import Printed
from sidecar.codecs.outcome import OUTPUT, Answer, without_end
from sidecar.model import AgentEvent, Block, Failure, SessionStarted, TurnEnded


class ParrotCodec:
    """The events of one turn, from lines such as `{"kind": "line", "text": "hello"}`."""

    def __init__(self, session: str | None = None, output: int = OUTPUT) -> None:
        self.finished = False
        self._session = session
        self._answer = Answer(output)
        self._failure: Failure | None = None
        self._printed = Printed()

    @property
    def cut(self) -> bool:
        """Whether the answer was too long."""
        return self._answer.cut

    def feed(self, line: bytes) -> list[AgentEvent]:
        """Take one line. What is unknown or damaged is passed over."""
        event = self._printed.take(line)
        if event is None:
            return []
        match event.get("kind"):
            case "hello" if session := text_of(event, "session"):
                self._session = session
                return [SessionStarted(session)]
            case "line" if isinstance(text := event.get("text"), str):
                self._answer.add(clean(text))
                return [Block("assistant", clean(text), partial=True)]
            case "bye":
                self.finished = True
                if event.get("ok") is not True:
                    self._failure = Failure("exited", text_of(event, "why") or "it said no reason")
        return []

    def end(self, exit_code: int | None, stderr_tail: str) -> TurnEnded:
        """The outcome. Without a `bye` it is no success, whatever the exit code says."""
        failure = self._failure
        if not self.finished:
            started = self._session is not None
            failure = without_end(exit_code, stderr_tail, self._printed.garbage, started=started)
        return TurnEnded(self._answer.text, self._session, failure)
