"""The gateway's own endpoints: alive, ready, and a front page that says what this is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.options import GatewayOptions
from http_gateway.outgoing import HTML, JSON, prefers_html, simple_answer
from http_gateway.pages.index import RouteLine, index_page
from http_gateway.pages.layout import CONTENT_SECURITY_POLICY

OK = "ok"


class SystemPages:
    """Handlers of `/`, `/healthz` and `/readyz`."""

    def __init__(self, options: GatewayOptions, routes: Sequence[RouteLine]) -> None:
        self._options = options
        self._page = index_page(routes).encode()
        self._index = orjson.dumps({
            "name": "SkillForge LMS",
            "health": "/healthz",
            "readiness": "/readyz",
            "routes": [{"verb": line.verb, "path": line.path, "rpc": line.rpc, "access": [*line.access]} for line in routes],
        })  # fmt: skip
        self.draining = False

    async def index(self, call: Incoming) -> Answer:
        """What this service is and what it answers to, as a page or as JSON."""
        if prefers_html(call.headers.get("Accept", "")):
            answer = simple_answer(200, self._page, HTML, call.request_id, CONTENT_SECURITY_POLICY)
        else:
            answer = simple_answer(200, self._index, JSON, call.request_id)
        answer.add("Vary", "Accept")
        return answer

    async def healthz(self, call: Incoming) -> Answer:
        """This process is alive."""
        return simple_answer(200, b'{"status":"ok"}', JSON, call.request_id)

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
