"""Spans by the OpenTelemetry SDK, sent over OTLP/HTTP by a thread of the SDK's own.

A span that ends is put into a bounded queue; when the collector is away or slow, spans are dropped and calls go on.
They carry names, codes and durations: no parameters, no messages, nothing that people wrote.
Sources: W3C Trace Context; the semantic conventions of OpenTelemetry for RPC, databases and HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from google.protobuf.message import Message
from google.rpc import code_pb2
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contract.client import CoreClient, Reply
from contract.errors import CallError
from contract.metadata import REQUEST_ID
from contract.methods import Method

CLOSE_SECONDS = 3.0
# A collector that is away is told of so often, not with every batch and span.
TELL_SECONDS = 60.0
_LOUD = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
_MAX_LINKS = 64
_FAULTS = frozenset({code_pb2.UNKNOWN, code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED, code_pb2.DATA_LOSS})


class _Seldom(logging.Filter):
    """Lets a line through every TELL_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = time.monotonic()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + TELL_SECONDS
        return True


class Spans:
    """Makes spans and sends them to `endpoint`, the collector's full address."""

    def __init__(self, endpoint: str, service: str) -> None:
        # At the interpreter's exit nobody waits: `close` has its own bound.
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("skillforge")
        self._propagator = TraceContextTextMapPropagator()
        for name in _LOUD:
            logging.getLogger(name).addFilter(_Seldom())

    async def close(self) -> None:
        """Send what is left within CLOSE_SECONDS; a collector that does not answer is left behind."""
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_SECONDS)

    def here(self) -> Any:
        """The context of the current span."""
        return trace.get_current_span().get_span_context()

    def trace_id(self) -> str:
        """The current trace's id; "" outside of one."""
        context = trace.get_current_span().get_span_context()
        return format_trace_id(context.trace_id) if context.is_valid else ""

    @contextmanager
    def within(self, name: str, **attributes: str) -> Iterator[Span]:
        """A span of something asked of a database, a child of the current one."""
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes={_dotted(k): v for k, v in attributes.items()})
        with self._during(span):
            yield span

    @contextmanager
    def batch(self, waiting: Sequence[Any]) -> Iterator[None]:
        """A span of statements that several calls share: under the first, linked with all."""
        links = [Link(context) for context in waiting[:_MAX_LINKS] if context is not None and context.is_valid]
        parent = trace.set_span_in_context(trace.NonRecordingSpan(links[0].context)) if links else None
        span = self._tracer.start_span("batch", parent, attributes={"skillforge.batch.size": len(waiting)}, links=links)
        with self._during(span):
            yield

    def start_call(self, method: Method, door: str, metadata: Mapping[str, str]) -> Span:
        """Begin the span of a call that came through a door, under the caller's span if it named one."""
        attributes = {"rpc.service": method.service, "rpc.method": method.name, "skillforge.door": door}
        if REQUEST_ID in metadata:
            attributes["skillforge.request_id"] = metadata[REQUEST_ID]
        parent = self._propagator.extract(metadata)
        return self._tracer.start_span(method.path[1:], parent, kind=SpanKind.SERVER, attributes=attributes)

    def carry(self, span: Span, metadata: Mapping[str, str]) -> dict[str, str]:
        """The metadata with the span as what the next one is under."""
        carried = dict(metadata)
        self._propagator.inject(carried, trace.set_span_in_context(span))
        return carried

    def start_outside(self, service: str, verb: str, host: str, headers: Any) -> Span:
        """Begin the span of an HTTP request of ours; its headers get the traceparent."""
        attributes = {"http.request.method": verb, "server.address": host, "peer.service": service}
        span = self._tracer.start_span(f"{verb} {service}", kind=SpanKind.CLIENT, attributes=attributes)
        self._propagator.inject(headers, trace.set_span_in_context(span))
        return span

    @contextmanager
    def during(self, span: Span) -> Iterator[None]:
        """Make the span current, within one task and without ending it."""
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield

    @contextmanager
    def _during(self, span: Span) -> Iterator[None]:
        """Make the span current and end it behind; of an error only the class is told."""
        try:
            with self.during(span):
                yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()


class TracedClient:
    """A client whose calls have spans."""

    def __init__(self, client: CoreClient, door: str, spans: Spans) -> None:
        self._client = client
        self._door = door
        self._spans = spans

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        """Call a unary method."""
        span = self._spans.start_call(method, self._door, metadata)
        try:
            with self._spans.during(span):
                return await self._client.call(method, request, self._spans.carry(span, metadata), timeout)
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end()

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        """Call a server-streaming method; the span of a lasting stream ends with its first message."""
        span = self._spans.start_call(method, self._door, metadata)
        try:
            messages = self._client.stream(method, request, self._spans.carry(span, metadata), timeout)
            del request  # a stream may last for hours
            while True:
                # Around each step: a generator's steps may be taken by different tasks.
                with self._spans.during(span):
                    message = await anext(messages, None)
                if message is None:
                    return
                if method.lasting:
                    span.end()
                yield message
                del message
        except BaseException as error:
            _failed(span, error)
            raise
        finally:
            span.end()


def _failed(span: Span, error: BaseException) -> None:
    if not span.is_recording():
        return
    code, name = (error.code, error.code_name) if isinstance(error, CallError) else (code_pb2.CANCELLED, "CANCELLED")
    span.set_attribute("skillforge.code", name)
    if code in _FAULTS:
        span.set_status(Status(StatusCode.ERROR))


def _dotted(name: str) -> str:
    """An attribute's name, from that of an argument."""
    return name.replace("_", ".")
