"""A small client of the WebSocket door: what a browser's would do, and what none should."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

WAIT_SECONDS = 10.0
# Unix sockets and ports of the tests send none; a browser always does.
ORIGIN = "https://app.example.com"


async def soon(done: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Return when something that happens by itself is so."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 (it comes from the sockets)
            await asyncio.sleep(0.005)


class Refused(Exception):
    """An error reply; `reason` is the contract's."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['reason']}: {error['detail']}")
        self.error = error
        self.reason = str(error["reason"])


class WsClient:
    """One socket. It collects pushes in `pushes`, and answers pings unless `silent`."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, *, silent: bool = False) -> None:
        self.ws = ws
        self.silent = silent
        self._stopped = False
        self.pushes: list[dict[str, Any]] = []
        self.connected: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @property
    def offset(self) -> int:
        """The offset of the last durable event seen."""
        return max((push["o"] for push in self.pushes if "o" in push), default=int(self.connected.get("offset", 0)))

    @property
    def position(self) -> dict[str, Any]:
        """Where to resume."""
        return {"epoch": self.connected["epoch"], "offset": self.offset}

    async def connect(
        self,
        token: str = "",
        *,
        ticket: str = "",
        device: str = "laptop",
        tab: str = "1",
        resume: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Authenticate; the reply's data. Replayed events come first in `pushes`."""
        data: dict[str, Any] = {"ticket": ticket} if ticket else {"token": token}
        data |= {"deviceId": device, "tabId": tab}
        if resume is not None:
            data["resume"] = resume
        self.connected = await self.call("connect", data)
        self.pushes[:0] = self.connected["replay"]
        return self.connected

    async def call(self, name: str, data: Mapping[str, Any] | None = None) -> Any:
        """Send a frame and return its reply's data. Raises Refused."""
        return await self.start(name, data)

    def start(self, name: str, data: Mapping[str, Any] | None = None) -> asyncio.Task[Any]:
        """Send a frame at once; the task is its reply."""
        number = next(self._ids)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply

        async def run() -> Any:
            await self.send({"id": number, "t": name, "d": dict(data or {})})
            async with asyncio.timeout(WAIT_SECONDS):
                frame = await reply
            if "err" in frame:
                raise Refused(frame["err"])
            return frame["d"]

        return asyncio.ensure_future(run())

    async def send(self, frame: Mapping[str, Any] | str) -> None:
        """Send a frame as it is."""
        await self.ws.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    async def push(
        self, topic: str, where: Callable[[dict[str, Any]], bool] = lambda _: True, seconds: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """The data of the next push of a topic, which is then no longer in `pushes`."""
        async with asyncio.timeout(seconds):
            while True:
                for number, push in enumerate(self.pushes):
                    if push["t"] == topic and where(push["d"]):
                        del self.pushes[number]
                        return push["d"]  # type: ignore[no-any-return]
                if self._reader.done():
                    raise ConnectionError(f"closed with {self.ws.close_code} while waiting for {topic}")
                self._news.clear()
                await self._news.wait()

    async def has(self, count: int) -> None:
        """Wait for so many pushes that nobody has asked for yet."""
        await soon(lambda: len(self.pushes) >= count)
        assert len(self.pushes) == count

    async def closed(self) -> int:
        """Wait for the end; the close code."""
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.wait((self._reader,))
        return int(self.ws.close_code or 0)

    def stop_reading(self) -> None:
        """Take nothing any more out of the system's buffers."""
        self._stopped = True
        self._transport().pause_reading()

    def read_on(self) -> None:
        self._stopped = False
        self._transport().resume_reading()

    def _transport(self) -> asyncio.Transport:
        response = self.ws._response
        assert response.connection is not None
        assert isinstance(response.connection.transport, asyncio.Transport)
        return response.connection.transport

    async def close(self) -> None:
        if self._stopped:
            self._transport().abort()
        await self.ws.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for message in self.ws:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(orjson.loads(message.data))
        finally:
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(ConnectionError(f"closed with {self.ws.close_code}"))
                    reply.exception()  # it need not be asked for
            self._news.set()

    async def _take(self, frame: dict[str, Any]) -> None:
        if "t" not in frame:
            reply = self._replies.pop(frame["id"], None) if frame["id"] is not None else None
            if reply is not None and not reply.done():
                reply.set_result(frame)
            return
        if frame["t"] == "ping" and not self.silent:
            await self.send({"t": "pong", "d": {"offset": self.offset}})
        self.pushes.append(frame)
        self._news.set()


@asynccontextmanager
async def raw_socket(
    session: aiohttp.ClientSession, url: str, *, origin: str | None = ORIGIN, silent: bool = False, **options: Any
) -> AsyncIterator[WsClient]:
    """A socket that has not connected yet; `url` is the gateway's. Raises WSServerHandshakeError when it is refused."""
    headers = {"Origin": origin} if origin is not None else {}
    ws = await session.ws_connect(f"{url}/ws", headers=headers, max_msg_size=0, **options)
    client = WsClient(ws, silent=silent)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def socket_of(
    session: aiohttp.ClientSession, url: str, token: str, *, silent: bool = False, **options: Any
) -> AsyncIterator[WsClient]:
    """A connected socket; `options` are `WsClient.connect`'s."""
    async with raw_socket(session, url, silent=silent) as client:
        await client.connect(token, **options)
        yield client
