"""Spans of a real sidecar, as a collector gets them: the SDK of OpenTelemetry, OTLP over HTTP."""

import gzip
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel`")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Takes traces as https://opentelemetry.io/docs/specs/otlp/#otlphttp tells."""

    def __init__(self) -> None:
        self.service = ""
        self.spans: dict[str, Any] = {}

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in group.resource.attributes}
            self.service = names["service.name"]
            for scope in group.scope_spans:
                self.spans |= {span.name: span for span in scope.spans}
        return web.Response(content_type="application/x-protobuf")


async def test_a_collector_gets_the_spans_of_a_turn_and_its_agent_the_one_of_its_run(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with TestServer(app) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", str(server.make_url("")).rstrip("/"))
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        await world.start()
        world.hub.owner_says("demo", "trace what nobody else may read")
        [told] = await world.replies(1)
        await world.until(lambda: not world.hub.unacknowledged("demo"))
        assert await world.stop() == 0  # which sends what waits
    spans = collector.spans
    assert spans.keys() == {"turn", "receive", "queue", "render", "run", "deliver"}
    assert collector.service == "mine"
    turn, run = spans["turn"], spans["run"]
    assert turn.parent_span_id == b""
    for name in spans.keys() - {"turn"}:
        assert spans[name].parent_span_id == turn.span_id, name
        assert turn.start_time_unix_nano <= spans[name].start_time_unix_nano, name
    assert told.rpartition("-")[0] == f"00-{run.trace_id.hex()}-{run.span_id.hex()}"
    facts = {one.key: one.value.string_value for one in turn.attributes}
    assert facts["sidecar.outcome"] == "answered"
    assert facts["sidecar.route"] == "default"
    assert "nobody" not in str(spans)
    assert "Traceback" not in world.log.read_text()
