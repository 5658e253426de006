"""One connection to a Redis node that only subscribes: commands out, pushed messages in, no task of its own.

RESP2, read by hiredis. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import hiredis

from core.redis.client import COMMAND_SECONDS, Login, Node, RedisAway, Value
from core.redis.nodes import open_wire


class ShardWire(asyncio.Protocol):
    """`heard` is called with every reply and message, `lost` once, when the connection is gone."""

    def __init__(self, heard: Callable[[ShardWire, Any], None], lost: Callable[[ShardWire], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._greeting: asyncio.Future[None] | None = None
        self.heard_at = monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = monotonic()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_exception(RedisAway("the connection was closed"))
        self._lost(self)

    async def greet(self, login: Login) -> None:
        """Log in, and see that the server answers. Raises RedisAway."""
        self._greeting = asyncio.get_running_loop().create_future()
        if login.command is not None:
            self.send(*login.command)
        self.send("PING")
        async with asyncio.timeout(COMMAND_SECONDS):
            await self._greeting
        self._greeting = None

    def send(self, *command: Value) -> None:
        """Send a command; nothing happens on a lost connection."""
        if self._transport is not None:
            self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]

    def close(self) -> None:
        """Give the connection up."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, reply: Any) -> None:
        if self._greeting is None:
            self._heard(self, reply)
        elif self._greeting.done() or reply == b"OK":
            return
        elif isinstance(reply, hiredis.ReplyError):
            self._greeting.set_exception(RedisAway(str(reply)))
        else:
            self._greeting.set_result(None)


async def connect(
    node: Node, login: Login, heard: Callable[[ShardWire, Any], None], lost: Callable[[ShardWire], None]
) -> ShardWire:
    """A connection that is logged in. Raises RedisAway, OSError or TimeoutError."""
    async with asyncio.timeout(COMMAND_SECONDS):
        wire = await open_wire(node, login, lambda: ShardWire(heard, lost))
    try:
        await wire.greet(login)
    except BaseException:
        wire.close()
        raise
    return wire
