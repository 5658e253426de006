"""The gateway's own endpoints: alive, ready, and a front page that says what this is."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from google.rpc import code_pb2

from contract.errors import CallError
from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import HTML, JSON, NO_CACHE, header_lines, prefers_html, simple_answer
from http_gateway.pages.console import CONSOLE_POLICY, console_page
from http_gateway.static_files import StaticFiles

OK = "ok"
_DEVELOPMENT_ISSUER = "/dev/"
_CONSOLE_HEAD = header_lines(HTML, NO_CACHE, CONSOLE_POLICY)


class RouteLine(NamedTuple):
    """One route as the index tells it."""

    verb: str
    path: str
    rpc: str
    access: tuple[str, ...]


class SystemPages:
    """Handlers of `/`, `/healthz` and `/readyz`."""

    def __init__(self, options: GatewayOptions, routes: Sequence[RouteLine]) -> None:
        self._options = options
        self.files = StaticFiles()
        self._page = console_page(self.files, development=_DEVELOPMENT_ISSUER in options.extra_handlers).encode()
        self._index = orjson.dumps({
            "name": "SkillForge LMS",
            "health": "/healthz",
            "readiness": "/readyz",
            "openapi": "/openapi.json",
            "docs": "/docs",
            "routes": [{"verb": line.verb, "path": line.path, "rpc": line.rpc, "access": [*line.access]} for line in routes],
        })  # fmt: skip
        self.draining = False

    async def index(self, call: Incoming) -> Answer:
        """The console for browsers; what this service is and what it answers to as JSON."""
        if prefers_html(call.headers.get("Accept", "")):
            answer = Answer(200, _CONSOLE_HEAD, self._page)
            answer.add("X-Request-Id", call.request_id)
        else:
            answer = simple_answer(200, self._index, JSON, call.request_id)
        answer.add("Vary", "Accept")
        return answer

    async def healthz(self, call: Incoming) -> Answer:
        """This process is alive."""
        return simple_answer(200, b'{"status":"ok"}', JSON, call.request_id)

    async def metrics(self, call: Incoming) -> Answer:
        """Figures for Prometheus. A proxy in front makes everybody look near, so that only a token is believed."""
        options = self._options
        if options.metrics is None or not options.metrics_token:
            detail = "Set METRICS_TOKEN and send it as a bearer token, or set METRICS_ADDRESS and scrape there."
            raise CallError.build(code_pb2.PERMISSION_DENIED, "NOT_ALLOWED", detail)
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if not hmac.compare_digest(token.encode(errors="replace"), options.metrics_token.encode()) or scheme.lower() != "bearer":
            raise CallError.build(code_pb2.UNAUTHENTICATED, "TOKEN_INVALID", "Send METRICS_TOKEN as a bearer token.")
        text, kind = await options.metrics()
        return simple_answer(200, text, kind, call.request_id)

    async def readyz(self, call: Incoming) -> Answer:
        """Whether requests can be served: 503 names the parts that fail, and while this process drains."""
        parts = await self._parts()
        ready = all(state == OK for state in parts.values()) and not self.draining
        status = "draining" if self.draining else OK if ready else "failing"
        body = orjson.dumps({"status": status, "parts": parts})
        answer = simple_answer(200 if ready else 503, body, JSON, call.request_id)
        if not ready:
            answer.add("Retry-After", "1")
        return answer

    async def _parts(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(self._options.readiness_timeout_seconds):
                return dict(await self._options.readiness())
        except TimeoutError:
            return {"readiness": "gave no answer in time"}
        except Exception as error:
            return {"readiness": f"failed with {type(error).__name__}"}
