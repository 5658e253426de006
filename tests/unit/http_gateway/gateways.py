"""Runs gateways on sockets of their own and talks to them as a browser or program would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import yarl

from contract.client import CoreClient
from http_gateway.options import GatewayOptions
from http_gateway.server import RunningGateway, create_server, open_socket, start


@dataclass(frozen=True)
class Got:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """An HTTP client of one gateway."""

    def __init__(self, session: aiohttp.ClientSession, port: int, gateway: RunningGateway) -> None:
        self.port = port
        self.gateway = gateway
        self._session = session

    async def __call__(
        self, verb: str, path: str, *, data: object = None, headers: dict[str, str] | None = None, **more: object
    ) -> Got:
        """Send a request and read the whole answer; bytes and text are sent as JSON unless the headers say otherwise."""
        sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers or {}
        url = yarl.URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        async with self._session.request(verb, url, data=data, headers=sent, **more) as response:  # type: ignore[arg-type]
            return Got(response.status, response.headers, await response.read())

    async def first_answer(self, request: bytes) -> bytes:
        """Send bytes as they are and return the first whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                return head + await reader.readexactly(length)
        finally:
            writer.close()

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and return everything that comes until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@asynccontextmanager
async def gateway(client: CoreClient, options: GatewayOptions | None = None) -> AsyncIterator[Caller]:
    """A gateway in front of `client` on a free port, and a caller for it."""
    listener = open_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    running = await start(create_server(client, options or GatewayOptions()), listener, drain_seconds=2.0)
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Caller(session, port, running)
    finally:
        await running.stop(notice_seconds=0)
