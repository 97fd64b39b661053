"""Traces by OpenTelemetry, from a request over the queue to its stages.

They are exported where the standard variables name an endpoint (``OTEL_EXPORTER_OTLP_ENDPOINT``); otherwise
no library of theirs is loaded, and every function here does nothing. Names and ids go into spans, texts of
exceptions do not, because they may quote rows.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from dealrec.extras import Extra, missing
from dealrec.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer

_LOG = structlog.get_logger("dealrec.traces")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PARENT = "traceparent"
_tracer: "Tracer | None" = None

Fact = str | int | float | bool


def start_traces(role: str) -> None:
    """Export the spans of this process, which is an ``api`` or a ``worker``, if variables ask for it.

    ``OTEL_SERVICE_NAME`` gives another name than ``dealrec-<role>``; sampling, headers and time limits
    follow the standard variables too. Spans leave over HTTP, whatever ``OTEL_EXPORTER_OTLP_PROTOCOL`` is.
    """
    asked = any(os.environ.get(name) for name in _ENDPOINTS)
    if _tracer is not None or not asked or os.environ.get("OTEL_SDK_DISABLED", "") == "true":
        return
    if missing(Extra.OTEL):
        _LOG.warning("traces are not exported", needs=Extra.OTEL.pip)
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    export_through(BatchSpanProcessor(OTLPSpanExporter()), role)


def export_through(processor: "SpanProcessor", role: str) -> "TracerProvider":
    """Give the spans of this process to ``processor`` from now on."""
    global _tracer  # noqa: PLW0603 - one for the process, as a logger is
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = os.environ.get("OTEL_SERVICE_NAME", f"dealrec-{role}")
    facts = {"service.name": name, "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(facts))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("dealrec", __version__)
    return provider


def stop_traces() -> None:
    """Make no more spans."""
    global _tracer  # noqa: PLW0603
    _tracer = None


class Span:
    """A part of a trace; one that is not exported takes notes and forgets them."""

    def __init__(self, inner: Any = None) -> None:
        self._inner = inner

    def note(self, **facts: Fact | None) -> None:
        """Give the span facts; ``__`` in the name of a fact stands for a dot."""
        if self._inner is not None:
            self._inner.set_attributes(_attributes(facts))

    def rename(self, name: str) -> None:
        """Give the span another name."""
        if self._inner is not None:
            self._inner.update_name(name)

    def fail(self, code: str) -> None:
        """Say that the work has failed, with the code of the problem."""
        if self._inner is not None:
            from opentelemetry.trace import StatusCode

            self._inner.set_status(StatusCode.ERROR, code)


@contextmanager
def request_span(name: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """A span of a request that goes on with its caller's trace, if ``headers`` have one."""
    with _span(name, "SERVER", headers.get(_PARENT)) as span:
        yield span


@contextmanager
def work_span(
    name: str, parent: str | None = None, since: datetime | None = None, **facts: Fact | None
) -> Iterator[Span]:
    """A span of work in a worker.

    Args:
        name: What is done.
        parent: What :func:`trace_parent` gave where the work was asked for. Without it the span is a part
            of the current one.
        since: The time when the work was queued, to which a span ``queue`` before this one goes back.
        facts: As for :meth:`Span.note`.
    """
    if _tracer is not None and since is not None:
        begun = _nanoseconds(since)
        _tracer.start_span(
            "queue", _context(parent), start_time=begun, attributes=_attributes(facts)
        ).end()
    with _span(name, "INTERNAL" if parent is None else "CONSUMER", parent) as span:
        span.note(**facts)
        yield span


def trace_parent() -> str | None:
    """The current span as the W3C's ``traceparent``, which goes on with the trace elsewhere."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_PARENT)


@contextmanager
def _span(name: str, kind: str, parent: str | None) -> Iterator[Span]:
    if _tracer is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(
        name,
        _context(parent),
        kind=SpanKind[kind],
        record_exception=False,
        set_status_on_exception=False,
    ) as inner:
        trace_id = format(inner.get_span_context().trace_id, "032x")
        span = Span(inner)
        try:
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield span
        except BaseException as error:
            span.fail(getattr(error, "code", None) or type(error).__name__)
            raise


def _context(parent: str | None) -> "Context | None":
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({_PARENT: parent})


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e9)


def _attributes(facts: Mapping[str, Fact | None]) -> dict[str, Fact]:
    return {name.replace("__", "."): value for name, value in facts.items() if value is not None}
