"""What the fakes need of HTTP: bounded bodies, problem answers, and outages on demand."""

from __future__ import annotations

import asyncio
import enum
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

MAX_BODY_BYTES = 64 * 1024
READ_SECONDS = 10.0  # for a whole body
HANG_SECONDS = 600.0  # what an outage by silence lasts at most for one request

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """A refused request; becomes application/problem+json (RFC 9457)."""

    def __init__(self, status: int, detail: str, *, allow: str = "", **members: object) -> None:
        """`allow`: the Allow header's value, for 405."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.allow = allow
        self.members = members

    @property
    def code(self) -> object:
        """What is wrong, for programs; None where the status says it."""
        return self.members.get("code")

    def response(self) -> web.Response:
        body = {"type": "about:blank", "status": self.status, "detail": self.detail, **self.members}
        response = json_response(body, self.status, "application/problem+json")
        if self.allow:
            response.headers["Allow"] = self.allow
        return response


class Mode(enum.Enum):
    """How a fake behaves towards everybody; tests switch it."""

    UP = "up"
    DOWN = "down"  # 503 at once
    SILENT = "silent"  # no answer until it is up again, or HANG_SECONDS


class Outage:
    """The switch between the modes."""

    def __init__(self) -> None:
        self._mode = Mode.UP
        self._changed = asyncio.Event()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()

    async def check(self) -> None:
        """Returns when up; raises Problem when down; waits while silent."""
        try:
            async with asyncio.timeout(HANG_SECONDS):
                while self._mode is Mode.SILENT:
                    await self._changed.wait()
        except TimeoutError:
            raise Problem(503, "This fake is silent.") from None
        if self._mode is Mode.DOWN:
            raise Problem(503, "This fake is down.")


def json_response(body: object, status: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)


def require_method(request: web.BaseRequest, *methods: str) -> None:
    """Raises Problem (405) for any other method."""
    if request.method not in methods:
        raise Problem(405, f"Use {' or '.join(methods)}.", allow=", ".join(methods))


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body. Raises Problem when it is larger than MAX_BODY_BYTES (413) or comes too slowly (408)."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise Problem(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
                chunks.append(chunk)
    except TimeoutError:
        raise Problem(408, "The body came too slowly.") from None
    return b"".join(chunks)


async def read_json(request: web.BaseRequest) -> dict[str, Any]:
    """The body as a JSON object. Raises Problem."""
    if request.content_type != "application/json":
        raise Problem(415, "Send application/json.")
    try:
        body = orjson.loads(await read_body(request))
    except orjson.JSONDecodeError:
        raise Problem(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise Problem(400, "The body must be a JSON object.")
    return body


def has_bearer(request: web.BaseRequest, key: str) -> bool:
    """Whether the request carries the key as its bearer token, compared in constant time."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), key.encode())
