"""A port for scrapes alone, for a network that outsiders do not reach."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from telemetry.metrics import Metrics

_CLOSE_SECONDS = 2.0


@asynccontextmanager
async def serving_metrics(metrics: Metrics, listener: socket.socket | None) -> AsyncIterator[None]:
    """Answers `GET /metrics` on a listening socket (None: nowhere) while the inside runs."""
    if listener is None:
        yield
        return

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD") or request.path != "/metrics":
            return web.Response(status=404, text="Figures are at GET /metrics.\n")
        text, kind = await metrics.text()
        return web.Response(body=text, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=_CLOSE_SECONDS)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()
