"""Spans are made and sent where the standard variables ask for it, and hold no texts of exceptions."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from dealrec.app.kit import traces
from dealrec.app.kit.traces import (
    Span,
    export_through,
    request_span,
    start_traces,
    stop_traces,
    trace_parent,
    work_span,
)

_CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    export_through(SimpleSpanProcessor(exporter), "test")
    yield exporter
    stop_traces()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What a collector at the address of the standard variable gets."""
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        yield received
        stop_traces()
        server.shutdown()


def test_without_the_variables_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    start_traces("api")
    with request_span("GET", {}) as span:
        span.rename("GET /x")
        span.note(http__route="/x")
        span.fail("500")
        assert trace_parent() is None


def test_spans_reach_the_collector_of_the_standard_variable(
    collector: list[tuple[str, bytes]],
) -> None:
    start_traces("api")
    with request_span("GET", {}) as span:
        span.rename("GET /v1/jobs")
    for _ in range(500):
        if collector:
            break
        time.sleep(0.02)
    (path, body), *_ = collector
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    facts = {fact.key: fact.value.string_value for fact in resource.resource.attributes}
    assert (path, facts["service.name"]) == ("/v1/traces", "dealrec-api")
    assert resource.scope_spans[0].spans[0].name == "GET /v1/jobs"


def test_a_missing_extra_or_a_switch_leaves_the_service_without_traces(
    collector: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "missing", lambda _extra: ("opentelemetry-sdk",))
    start_traces("api")
    assert traces._tracer is None
    monkeypatch.undo()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    start_traces("api")
    assert traces._tracer is None


def test_an_exception_fails_its_span_by_its_kind_alone(exported: InMemorySpanExporter) -> None:
    def work(span: Span) -> None:
        span.note(dealrec__job_id="job_1", dealrec__tenant=None)
        raise ValueError("the row 7 of somebody")

    with pytest.raises(ValueError, match="row 7"), work_span("stage x", _CALLER) as span:
        work(span)
    (found,) = exported.get_finished_spans()
    assert found.status.status_code is StatusCode.ERROR
    assert "somebody" not in found.to_json() and found.status.description == "ValueError"
    assert dict(found.attributes or {}) == {"dealrec.job_id": "job_1"}
    assert found.parent is not None and f"{found.parent.span_id:016x}" in _CALLER
