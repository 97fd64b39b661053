"""A trace goes from the request over the queue to the stages that it asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dealrec.app.kit.traces import export_through, stop_traces

_TRACE, _CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database will do here."""
    return sqlite_url


@pytest.fixture
def spans() -> Iterator[Callable[[], list[ReadableSpan]]]:
    exporter = InMemorySpanExporter()
    export_through(SimpleSpanProcessor(exporter), "test")
    yield lambda: list(exporter.get_finished_spans())
    stop_traces()


def test_stages_belong_to_the_trace_of_the_request(
    client: TestClient,
    run_all: Callable[[], None],
    source: Path,
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    headers = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}
    good, bad = source / "interactions.csv", source / "items.csv"
    for file in (good, bad):
        client.post("/v1/datasets", files={"interactions": file.read_bytes()}, headers=headers)
    client.get("/healthz", headers=headers)
    run_all()
    assert all(f"{span.context.trace_id:032x}" == _TRACE for span in spans())
    requests = [span for span in spans() if span.kind.name == "SERVER"]
    assert [span.name for span in requests] == ["POST /v1/datasets"] * 2
    assert {f"{span.parent.span_id:016x}" for span in requests if span.parent} == {_CALLER}
    for request, status in zip(requests, ("UNSET", "ERROR"), strict=True):
        below = [s for s in spans() if s.parent and s.parent.span_id == request.context.span_id]
        queue, stage = sorted(below, key=lambda span: span.start_time or 0)
        assert (queue.name, stage.name) == ("queue", "stage ingest")
        assert stage.status.status_code.name == status
        facts = stage.attributes or {}
        assert facts["dealrec.tenant"] == "default" and facts["dealrec.attempt"] == 1
        parts = [s.name for s in spans() if s.parent and s.parent.span_id == stage.context.span_id]
        assert parts[:2] == ["fetch inputs", "run"]
        assert ("publish" in parts) == (status == "UNSET")
