"""The door itself: `GET /ws`, from the upgrade to the close.

A socket that is idle has two tasks: one reads, one waits for events. All its times are on the door's wheel.
Source: RFC 6455.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web
from google.rpc import code_pb2

from contract.client import CoreClient
from contract.errors import CallError
from http_gateway.incoming import client_address, request_id_of
from telemetry.figures import Figure
from ws_signaling import codes
from ws_signaling.frames import Frames
from ws_signaling.options import SignalingOptions
from ws_signaling.outbox import Outbox
from ws_signaling.sockets import Socket
from ws_signaling.wheel import Wheel

log = logging.getLogger("skillforge.signaling")

_MAX_REQUEST_ID = 96


class SignalingDoor:
    """Answers `GET /ws`. Make it within the running event loop; `start` it, and `drain` it before the server stops."""

    def __init__(self, client: CoreClient, options: SignalingOptions) -> None:
        self._client = client
        self._options = options
        self._frames = Frames()
        self._sockets: set[Socket] = set()
        self._writing: set[Outbox] = set()
        self._draining = False
        self._closed: Counter[int] = Counter()
        self.wheel = Wheel(options.clock, self._look_at_readers)

    def start(self) -> None:
        """Begin keeping the sockets' times."""
        self.wheel.start()

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return len(self._sockets)

    def figures(self) -> Iterator[Figure]:
        """How many sockets are open, and how those before ended."""
        yield Figure("skillforge_sockets", "WebSockets that are open.", len(self._sockets))
        for code, count in self._closed.items():
            yield Figure(
                "skillforge_sockets_closed_total", "WebSockets that ended, by close code.", count, (("code", str(code)),)
            )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade a request and serve the socket until it is closed. Raises CallError instead of upgrading."""
        ws = self._response(request)
        payload_writer = await ws.prepare(request)
        if request.transport is None:
            return ws
        transport = request.transport
        request_id = request_id_of(request.headers)[:_MAX_REQUEST_ID]
        ip = client_address(request, request.headers, self._options.trusted_proxy_hops)
        socket: Socket
        outbox = Outbox(transport, payload_writer.drain, self._options, self._writing, lambda: _too_slow(socket))
        socket = Socket(ws, outbox, self._client, self._frames, self.wheel, self._options, request_id, ip)
        self._sockets.add(socket)
        try:
            await _read(ws, socket)
            await socket.ended()
        finally:
            self._sockets.discard(socket)
            self._closed[int(ws.close_code or 1006)] += 1
            socket.gone()
        return ws

    async def drain(self) -> None:
        """Upgrade no more, and close every socket in its own moment within the drain's time."""
        self._draining = True
        # Few sockets need no spreading: what comes back finds its way at once.
        spread = min(self._options.drain_seconds, len(self._sockets) / 200)
        await asyncio.gather(*(self._dismiss(socket, random.uniform(0, spread)) for socket in list(self._sockets)))
        self.wheel.stop()

    async def _dismiss(self, socket: Socket, pause: float) -> None:
        await asyncio.sleep(pause)
        socket.end(codes.DRAINING, "this server is stopping; connect again")
        await socket.ended()

    def _response(self, request: web.BaseRequest) -> web.WebSocketResponse[Any]:
        origin = request.headers.get("Origin")
        allowed = self._options.allowed_origins
        if origin is not None and origin not in allowed and "*" not in allowed:
            raise CallError.build(code_pb2.PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED", "Pages of this origin may not connect.")
        if self._draining:
            raise CallError.build(code_pb2.UNAVAILABLE, "DRAINING", "This server is stopping. Connect again.", retry_after=1.0)
        ws = web.WebSocketResponse(
            timeout=self._options.close_seconds, compress=False, max_msg_size=self._options.frame_bytes + 1, decode_text=False
        )
        if request.method != "GET" or not ws.can_prepare(request):
            raise CallError.build(code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT", "This is a WebSocket: GET it with an upgrade.")
        return ws

    def _look_at_readers(self, now: float) -> None:
        for outbox in [item for item in self._writing if item.is_stuck(now)]:
            outbox.overflow()


async def _read(ws: web.WebSocketResponse[Any], socket: Socket) -> None:
    """Give what comes to the socket until it is closed."""
    with suppress(ConnectionError):
        while True:
            message = await ws.receive()
            if message.type is WSMsgType.TEXT:
                await socket.take(message.data)
            elif message.type is WSMsgType.BINARY:
                socket.end(codes.PROTOCOL_ERROR, "frames are texts")
            else:
                return
            del message  # the next may be hours away


def _too_slow(socket: Socket) -> None:
    socket.end(codes.TOO_SLOW, "the reader is too slow")
