"""A stand-in of an OpenTelemetry collector: it takes spans over OTLP/HTTP and keeps them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from cli.addresses import listen


@dataclass
class Seen:
    """A span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: bool
    attributes: dict[str, Any]
    links: list[str]


@dataclass
class Collector:
    """What came; `status` is what it answers with."""

    url: str
    status: int = 200
    spans: list[Seen] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Seen) -> list[Seen]:
        return [span for span in self.spans if span.parent_id == parent.span_id]

    async def take(self, request: web.BaseRequest) -> web.Response:
        assert request.path == "/v1/traces"
        body = await request.read()
        body = gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {item.value.string_value for item in resource.resource.attributes if item.key == "service.name"}
            for scope in resource.scope_spans:
                self.spans += [_seen(span) for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=answer, content_type="application/x-protobuf")


def _seen(span: Any) -> Seen:
    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
    links = [link.span_id.hex() for link in span.links]
    return Seen(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind, span.status.code == 2,
        attributes, links,
    )  # fmt: skip


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a port of its own."""
    listener = listen("127.0.0.1", 0, reuse_port=False)
    collector = Collector(f"http://127.0.0.1:{listener.getsockname()[1]}")
    runner = web.ServerRunner(web.Server(collector.take, access_log=None), shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield collector
    finally:
        await runner.cleanup()
