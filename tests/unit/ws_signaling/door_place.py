"""A WebSocket door over a core that a test scripts, with a clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from google.protobuf.message import Message
from google.rpc import code_pb2

from contract.client import Reply
from contract.errors import CallError
from contract.metadata import CONNECTION_CREDENTIAL
from contract.methods import Method
from http_gateway.problems import status_of
from skillforge.v1 import realtime_pb2
from skillforge.v1.realtime_pb2 import Event
from tests.support.sockets import ORIGIN, WsClient
from ws_signaling import SignalingDoor, SignalingOptions

UNIX_MS = 1_800_000_000_000


def refusal(code: int, reason: str) -> CallError:
    return CallError.build(code, reason, "No.")


class ScriptedCore:
    """A core of which the test says what it answers. `pending` frames wait until the test lets them go."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event | CallError] = asyncio.Queue()
        self.calls: list[tuple[str, Message, dict[str, str]]] = []
        self.expires_ms = UNIX_MS + 3_600_000
        self.refuse: CallError | None = None
        self.gates: dict[str, asyncio.Event] = {}
        self.running = 0
        self.streams = 0
        self.ended = 0
        self.replay: list[Event] = []

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        self.calls.append((method.frame, request, dict(metadata)))
        self.running += 1
        try:
            if method.frame in self.gates:
                await self.gates[method.frame].wait()
            await asyncio.sleep(0)
            if self.refuse is not None:
                raise self.refuse
        finally:
            self.running -= 1
        if isinstance(request, realtime_pb2.RefreshConnectionRequest):
            self.expires_ms += 60_000
            message = realtime_pb2.RefreshConnectionResponse()
            message.expire_time.FromMilliseconds(self.expires_ms)
            return Reply(message, {CONNECTION_CREDENTIAL: f"credential of {request.token}"})
        return Reply(method.reply_type(), {})

    async def stream(
        self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None
    ) -> AsyncIterator[Message]:
        assert isinstance(request, realtime_pb2.ConnectRequest)
        assert timeout is None
        self.streams += 1
        try:
            if request.token == "bad":
                raise refusal(code_pb2.UNAUTHENTICATED, "TOKEN_INVALID")
            if request.token == "never":
                await asyncio.Event().wait()
            if request.token.isupper():
                raise refusal(code_pb2.RESOURCE_EXHAUSTED, request.token)
            connected = realtime_pb2.Connected(connection_id="c1", user_id="u1", epoch="e", credential="credential", offset=7)
            connected.expire_time.FromMilliseconds(self.expires_ms)
            connected.server_time.FromMilliseconds(UNIX_MS)
            connected.replay.extend(self.replay)
            yield Event(topic="connected", connected=connected)
            while True:
                event = await self.events.get()
                if isinstance(event, CallError):
                    raise event
                yield event
        finally:
            self.ended += 1


class Place:
    """Use `door_place`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.now = 1000.0
        self.core = ScriptedCore()
        self.options = SignalingOptions(allowed_origins=frozenset({ORIGIN}), clock=lambda: self.now, **options)
        self.url = ""

    async def start(self) -> None:
        self.door = SignalingDoor(self.core, self.options)
        self.runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.session = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self.session.close()
        await self.runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self.door.handle(request)
        except CallError as error:
            return web.Response(status=status_of(error), text=error.reason)

    def turn(self, seconds: float) -> None:
        """Let time pass, and have everything looked at that became due."""
        self.now += seconds
        self.door.wheel.step()

    @asynccontextmanager
    async def socket(self, *, connect: bool = True, silent: bool = True, headers: Any = None) -> AsyncIterator[WsClient]:
        ws = await self.session.ws_connect(
            f"{self.url}/ws", headers={"Origin": ORIGIN} if headers is None else headers, max_msg_size=0
        )
        client = WsClient(ws, silent=silent)
        try:
            if connect:
                await client.connect("token")
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def door_place(**options: Any) -> AsyncIterator[Place]:
    place = Place(options)
    await place.start()
    try:
        yield place
    finally:
        await place.stop()
