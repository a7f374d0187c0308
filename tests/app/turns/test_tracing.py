"""Spans of turns, seen through the API of OpenTelemetry: its SDK is not needed for that."""

import itertools
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sidecar.app.turns import tracing
from sidecar.model import AgentEvent, Job, TurnEnded

MADE = itertools.count(1)


class Kept(NonRecordingSpan):
    """A span that remembers."""

    def __init__(self, name: str, parent: SpanContext, start: int | None) -> None:
        family = parent.trace_id if parent.is_valid else next(MADE) << 64
        super().__init__(SpanContext(family, next(MADE), False, TraceFlags(1)))
        self.name = name
        self.parent = parent
        self.start = start
        self.ended = False
        self.facts: dict[str, Any] = {}

    def set_attribute(self, key: str, value: Any) -> None:
        self.facts[key] = value

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        self.facts["exception"] = str(exception)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.facts["status"] = str(status)

    def is_recording(self) -> bool:
        return not self.ended

    def end(self, end_time: int | None = None) -> None:
        assert not self.ended
        self.ended = True


class Tracer(trace.NoOpTracer):
    def __init__(self) -> None:
        self.spans: list[Kept] = []

    def start_span(  # type: ignore[override]
        self, name: str, context: Any = None, *, start_time: int | None = None
    ) -> Kept:
        parent = trace.get_current_span(context).get_span_context()
        self.spans.append(Kept(name, parent, start_time))
        return self.spans[-1]

    def named(self, name: str) -> Kept:
        [found] = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    found = Tracer()
    tracing.use(found)
    yield found
    tracing.stop()


async def test_a_turn_is_one_trace_from_its_message_to_its_reply(rig: Any, tracer: Tracer) -> None:
    await rig.say("what nobody else may read")
    await rig.quiet()
    turn = tracer.named("turn")
    assert not turn.parent.is_valid
    assert turn.facts["sidecar.outcome"] == "answered"
    assert turn.facts["sidecar.route"] == "all"
    for name in ("receive", "queue", "render", "run", "deliver"):
        assert tracer.named(name).parent == turn.get_span_context(), name
    assert tracer.named("receive").start == turn.start
    assert tracer.named("deliver").facts["sidecar.turn"] == turn.facts["sidecar.turn"]
    assert all(span.ended for span in tracer.spans)
    assert "nobody" not in repr([span.facts for span in tracer.spans])


async def test_the_agent_is_given_the_span_of_its_run(rig: Any, tracer: Tracer) -> None:
    await rig.say("hello")
    await rig.quiet()
    span = tracer.named("run").get_span_context()
    told = f"00-{span.trace_id:032x}-{span.span_id:016x}-01"
    assert rig.agent.jobs[0].env == {"TRACEPARENT": told}
    tracing.use(None)
    await rig.say("again")
    await rig.quiet()
    assert rig.agent.jobs[1].env == {}


async def test_a_failure_is_told_without_its_text(rig: Any, tracer: Tracer) -> None:
    async def fail(job: Job) -> AsyncGenerator[AgentEvent, None]:
        raise RuntimeError("hunter2hunter2")
        yield TurnEnded("")

    with pytest.raises(ValueError, match="hunter2"), tracing.part("render"):
        raise ValueError("hunter2hunter2")
    rig.agent.run = fail
    await rig.say("hello")
    await rig.quiet()
    assert tracer.named("turn").facts["sidecar.outcome"] == "failed"
    assert all(span.ended for span in tracer.spans)
    assert "hunter2" not in repr([span.facts for span in tracer.spans])


def test_turns_of_which_nothing_more_is_heard_are_forgotten(tracer: Tracer) -> None:
    for number in range(tracing.MOST_TURNS + 5):
        tracing.received(f"t{number}", 1.0, 2.0)
    assert len(tracing._received) == tracing.MOST_TURNS


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_off_unless_the_environment_asks_for_it(environment: dict[str, str]) -> None:
    tracing.start(environment)
    assert tracing.environment() == {}
    with tracing.turn("t", 1.0, 2.0), tracing.part("run"), tracing.delivery("t"):
        tracing.note(outcome="answered")


WANTED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    tracing.start(WANTED)
    assert "install agent-sidecar[otel]" in caplog.text
    assert tracing.environment() == {}
