"""Spans of turns for OpenTelemetry: receive, queue, render, run and deliver, below one per turn.

Off unless the environment names where traces go, by the variables of
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ , and the extra
`otel` is installed. Nothing of OpenTelemetry is imported before. Attributes are ids and names: what
somebody said or an agent answered is in no span.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidecar import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

log = logging.getLogger(__name__)

_PLACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
MOST_TURNS = 1000
"""Turns of which is known when they were received, or where their replies belong."""
_TRACE = {"traceparent": "TRACEPARENT", "tracestate": "TRACESTATE"}
"""The names of https://www.w3.org/TR/trace-context/ and of variables with what it calls so:
https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

_tracer: "Tracer | None" = None
_provider: Any = None
_received: OrderedDict[str, tuple[float, float]] = OrderedDict()
_turns: OrderedDict[str, "Context"] = OrderedDict()


def start(environ: Mapping[str, str]) -> None:
    """Make spans from now on, if the environment asks for it. Blocks for imports."""
    global _provider  # as the exporter's thread is
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(
        environ.get(name) for name in _PLACES
    ):
        return
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return
    try:
        _provider = _new_provider(environ)
    except ImportError as error:
        log.warning("no traces: install agent-sidecar[otel] (%s)", error)
        return
    use(_provider.get_tracer("sidecar", __version__))


def stop() -> None:
    """Send what waits, and make no more spans. Blocks."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None
    use(None)


def use(tracer: "Tracer | None") -> None:
    """Make spans with this tracer; None: make none."""
    global _tracer
    _tracer = tracer
    _received.clear()
    _turns.clear()


def received(turn: str, at: float, durable_at: float) -> None:
    """A message that became this turn came at `at`, and was in the journal at `durable_at`."""
    if _tracer is not None:
        _remember(_received, turn, (at, durable_at))


@contextmanager
def turn(name: str, received_at: float, begins_at: float, **facts: str) -> Iterator[None]:
    """The span of a turn that runs now, from the arrival of its message on."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import set_span_in_context

    at, durable_at = _received.pop(name, (received_at, received_at))
    span = _tracer.start_span("turn", _root(), start_time=_ns(at))
    _describe(span, turn=name, **facts)
    inside = set_span_in_context(span)
    for part, begin, end in (("receive", at, durable_at), ("queue", durable_at, begins_at)):
        if end > begin:
            _tracer.start_span(part, inside, start_time=_ns(begin)).end(_ns(end))
    _remember(_turns, name, inside)
    with _current(span):
        yield


@contextmanager
def part(name: str, **facts: str) -> Iterator[None]:
    """A span below the present one."""
    if _tracer is None:
        yield
        return
    span = _tracer.start_span(name)
    _describe(span, **facts)
    with _current(span):
        yield


@contextmanager
def delivery(turn: str, **facts: str) -> Iterator[None]:
    """The span of a reply on its way; below that of its turn, if that ran in this process."""
    if _tracer is None:
        yield
        return
    span = _tracer.start_span("deliver", _turns.get(turn) or _root())
    _describe(span, turn=turn, **facts)
    with _current(span):
        yield


def note(**facts: str) -> None:
    """Add facts to the present span."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        _describe(get_current_span(), **facts)


def environment() -> dict[str, str]:
    """The present span as variables for an agent, so that its own spans belong to it."""
    if _tracer is None:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {_TRACE[name]: value for name, value in carrier.items()}


def _current(span: "Span") -> Any:
    """Have a span be the present one, and end with the block.

    The text of an exception is for the log, which knows what is secret: it is left out.
    """
    from opentelemetry.trace import use_span

    return use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)


def _root() -> "Context":
    from opentelemetry.context import Context

    return Context()


def _describe(span: "Span", **facts: str) -> None:
    for name, value in facts.items():
        span.set_attribute(f"sidecar.{name}", value)


def _remember(memory: OrderedDict[str, Any], turn: str, value: object) -> None:
    memory[turn] = value
    if len(memory) > MOST_TURNS:
        memory.popitem(last=False)


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def _new_provider(environ: Mapping[str, str]) -> Any:
    """The SDK, set up by the environment; a thread of its own sends the spans.

    Raises:
        ImportError: it is not installed.
    """
    sdk = import_module("opentelemetry.sdk.trace")
    export = import_module("opentelemetry.sdk.trace.export")
    resources = import_module("opentelemetry.sdk.resources")
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    name = environ.get("OTEL_SERVICE_NAME") or "sidecar"
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": name}))
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return provider
