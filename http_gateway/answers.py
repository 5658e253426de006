"""A whole response, written in one piece.

aiohttp asks of a response only `prepare`, `write_eof` and `keep_alive`; putting the head together here takes a third
of the time its general `web.Response` takes, on every request.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter

_PIECE_BYTES = 0x10000  # up to this size copying costs less than another write
_WRITE_TIMEOUT_SECONDS = 60.0  # for a client that does not read what it asked for
_BODILESS = frozenset({204, 304})
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_STATUS_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"


class _Clock:
    """The Date header's line, made anew each second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._line


_CLOCK = _Clock()


class Answer:
    """A status, headers and a body. `base` are header lines as bytes, the same for every answer of a kind."""

    __slots__ = ("_added", "_base", "_body", "close", "keep_alive", "status")
    prepared: Final = False

    def __init__(self, status: int, base: bytes, body: bytes = b"") -> None:
        self.status = status
        self._base = base
        self._body = body
        self._added = ""
        self.close = False
        self.keep_alive = True

    def add(self, name: str, value: str) -> None:
        """Add a header line. Raises ValueError for a value with control characters: it could make up headers."""
        if not value.isprintable():
            raise ValueError(f"the header {name} cannot have the value {value!r}")
        self._added += f"{name}: {value}\r\n"

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write the whole response. Raises ConnectionError when the client is gone or does not read."""
        self.keep_alive = bool(request.keep_alive) and not self.close
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        head, body = self._parts(request)
        request.writer.output_size += len(head) + len(body)  # tells aiohttp that the answer has begun
        if len(body) <= _PIECE_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))  # copying a large one takes longer than all the rest
        if transport.get_write_buffer_size():
            await _drain(request.writer)

    async def write_eof(self) -> None:
        """Nothing is left to write."""

    def _parts(self, request: web.BaseRequest) -> tuple[bytes, bytes]:
        """The head and the body that are sent."""
        body = self._body
        if self.status in _BODILESS:
            tail, body = b"\r\n", b""
        else:
            tail = b"Content-Length: %d\r\n\r\n" % len(body)
            if request.method == "HEAD":
                body = b""
        if not self.keep_alive:
            tail = b"Connection: close\r\n" + tail
        elif request.version == HttpVersion10:
            tail = b"Connection: keep-alive\r\n" + tail
        return b"".join((_STATUS_LINES[self.status], self._base, _CLOCK.line(), self._added.encode(), tail)), body


async def _drain(writer: AbstractStreamWriter) -> None:
    try:
        async with asyncio.timeout(_WRITE_TIMEOUT_SECONDS):
            await writer.drain()
    except TimeoutError:
        raise ConnectionError("the client does not read its answer") from None


# What a handler may give: an answer of ours, or one of aiohttp's (streams, other rooms' handlers).
Response = Answer | web.StreamResponse
