"""The fake's HTTP: `POST /v1/chat/completions`, streamed or whole, and what may go wrong with it.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import asyncio
import enum
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from fakes.ai import model
from fakes.web import Problem, has_bearer, json_response

API_KEY = "sk-fake-ai-for-development-only"
MODEL = "fake-model-that-copies"
PATH = "/v1/chat/completions"
HANG_SECONDS = 600.0
MAX_REQUEST_BYTES = 2 * 1024 * 1024
ENDLESS_BYTES = 4 * 1024 * 1024
SHUTDOWN_SECONDS = 1.0
# Characters of a piece: small, and odd, so that escapes and pairs are parted.
PIECE = 7


class Fault(enum.Enum):
    """What may go wrong with one request."""

    FAILED = "500"
    LIMITED = "429 with Retry-After"
    QUOTA = "429: the account has no money"
    UNAUTHORIZED = "401"
    REJECTED = "400"
    ELSEWHERE = "a redirect"
    SILENT = "no answer, ever"
    STALLED = "silence in the middle of the stream"
    SLOW = "an answer after `slow_seconds`"
    CUT = "the stream ends in the middle, without a reason"
    BROKEN = "the connection breaks in the middle"
    ERROR = "an error event in the middle"
    LENGTH = "finished by length"
    FILTERED = "finished by content_filter"
    REFUSED = "the model refuses"
    HALF_JSON = "finished well, but half of the JSON is missing"
    OTHER_JSON = "JSON that is not by the schema"
    ENDLESS = "far too much text"
    ENDLESS_LINE = "far too many bytes in one line"
    GARBAGE = "200 and no JSON"


class AiFake:
    """`listen()`, then `url` is where it is."""

    def __init__(self, api_key: str = API_KEY) -> None:
        self.api_key = api_key
        self.url = ""
        # What goes wrong: with the next requests, one each, and with all of them.
        self.faults: deque[Fault] = deque(maxlen=100)
        self.broken: Fault | None = None
        self.slow_seconds = 0.1
        self.retry_after = "1"
        # Answers to give instead of the model's own, one each.
        self.answers: deque[Any] = deque(maxlen=100)
        # Does what the data says.
        self.gullible = False
        # Answers without streaming, as some servers do.
        self.whole = False
        self.requests: deque[dict[str, Any]] = deque(maxlen=1000)
        self._awake = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve on a port, any free one unless it is given."""
        self._runner = web.ServerRunner(web.Server(self.handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        address = self._runner.addresses[0]
        self.url = f"http://{address[0]}:{address[1]}/v1"

    async def close(self) -> None:
        """Answer those who wait in silence, and stop."""
        self._awake.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        if request.path == "/":
            return json_response({"fake": True, "serves": "a language model that copies", "path": PATH})
        try:
            if (request.method, request.path) != ("POST", PATH):
                raise Problem(404, f"There is POST {PATH} here.")
            if not has_bearer(request, self.api_key):
                return _error(401, "invalid_api_key")
            body = orjson.loads(await _read(request))
        except Problem as problem:
            return problem.response()
        self.requests.append(body)
        fault = self.faults.popleft() if self.faults else self.broken
        early = await self._early(fault)
        return early if early is not None else await self._answer(request, body, fault)

    async def _early(self, fault: Fault | None) -> web.Response | None:
        """The answers that are none of a model."""
        if fault is Fault.SILENT:
            await self._hang()
        elif fault is Fault.SLOW:
            await asyncio.sleep(self.slow_seconds)
        elif fault is Fault.LIMITED:
            return _error(429, "rate_limit_exceeded", {"Retry-After": self.retry_after})
        elif fault is Fault.ELSEWHERE:
            return _error(307, "moved", {"Location": "/elsewhere"})
        elif fault is Fault.GARBAGE:
            return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
        status, code = {
            Fault.FAILED: (500, "server_error"),
            Fault.QUOTA: (429, "insufficient_quota"),
            Fault.UNAUTHORIZED: (401, "invalid_api_key"),
            Fault.REJECTED: (400, "invalid_request_error"),
        }.get(fault or Fault.SLOW, (0, ""))
        return _error(status, code) if status else None

    async def _answer(self, request: web.BaseRequest, body: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        text, reason = self._said(body, fault)
        if self.whole:
            message = {"role": "assistant", "content": text, "refusal": None}
            return json_response(_completion(body, "message", message, reason))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await _send(response, _completion(body, "delta", {"role": "assistant", "content": "", "refusal": None}, None))
        if fault is Fault.REFUSED:
            await _send(response, _completion(body, "delta", {"refusal": "I'm sorry, I can't help with that."}, None))
            text = ""
        if fault is Fault.ENDLESS_LINE:
            await response.write(b"data: " + b"x" * ENDLESS_BYTES)
        size = PIECE if fault is not Fault.ENDLESS else 100 * PIECE
        for number, start in enumerate(range(0, len(text), size)):
            if start > len(text) / 2 and fault is not None:
                if fault is Fault.CUT:
                    await response.write_eof()
                    return response
                await self._break(request, response, fault)
            if number % 5 == 0:
                await response.write(b": keep-alive\n\n")
            await _send(response, _completion(body, "delta", {"content": text[start : start + size]}, None))
        await _send(response, _completion(body, "delta", {}, reason))
        await _send(response, {**_completion(body, "delta", {}, None), "choices": [], "usage": {"total_tokens": len(text)}})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _break(self, request: web.BaseRequest, response: web.StreamResponse, fault: Fault) -> None:
        if fault is Fault.BROKEN and request.transport is not None:
            request.transport.abort()
        elif fault is Fault.ERROR:
            await _send(response, {"error": {"type": "server_error", "message": "The model fell over."}})
        elif fault is Fault.STALLED:
            await self._hang()

    def _said(self, body: dict[str, Any], fault: Fault | None) -> tuple[str, str]:
        """The text of the answer, and how it finishes."""
        if self.answers:
            canned = self.answers.popleft()
            return canned if isinstance(canned, str) else orjson.dumps(canned).decode(), "stop"
        system, user = (message["content"] for message in body["messages"])
        name = body["response_format"]["json_schema"]["name"]
        text = orjson.dumps(model.answer(name, system, user, gullible=self.gullible)).decode()
        change: dict[Fault | None, Callable[[], tuple[str, str]]] = {
            Fault.LENGTH: lambda: (text, "length"),
            Fault.FILTERED: lambda: (text, "content_filter"),
            Fault.HALF_JSON: lambda: (text[: len(text) // 2], "stop"),
            Fault.OTHER_JSON: lambda: ('{"answer": 42}', "stop"),
            Fault.ENDLESS: lambda: (text[:-2] + "a" * 200_000 + text[-2:], "stop"),
        }
        return change.get(fault, lambda: (text, "stop"))()

    async def _hang(self) -> None:
        try:
            async with asyncio.timeout(HANG_SECONDS):
                await self._awake.wait()
        except TimeoutError:
            return


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + orjson.dumps(event) + b"\n\n")


def _completion(body: dict[str, Any], part: str, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion" if part == "message" else "chat.completion.chunk",
        "created": int(time.time()),
        "model": body.get("model"),
        "choices": [{"index": 0, part: said, "finish_reason": reason}],
    }


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error": {"message": f"This fake was told to answer {status}.", "type": code, "param": None, "code": code}}
    response = json_response(body, status)
    response.headers.update(headers or {})
    return response


async def _read(request: web.BaseRequest) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise Problem(413, f"The body is larger than {MAX_REQUEST_BYTES} bytes.")
    return bytes(body)
