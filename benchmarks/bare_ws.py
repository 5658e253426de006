"""A bare aiohttp WebSocket: `python -m benchmarks.bare_ws PORT` reads from every socket and answers nothing."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def main(port: int) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        ws = web.WebSocketResponse(compress=False)
        if not ws.can_prepare(request):
            return web.Response()
        await ws.prepare(request)
        async for _ in ws:
            pass
        return ws

    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
