"""The wire of OpenAI's chat completions, which many other servers speak: one question, its answer in pieces.

Source: https://platform.openai.com/docs/api-reference/chat (streaming; structured outputs by `response_format`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import aiohttp
import orjson

from core.assistant.engines.guards import Away, Breaker
from telemetry.outside import OUTSIDE, watched

log = logging.getLogger("skillforge.assistant")

CONNECT_SECONDS = 3.0
# Between two pieces of an answer.
SILENCE_SECONDS = 10.0
MAX_CONNECTIONS = 20
# Of the wire, of a whole answer's text, and of an error's explanation.
MAX_BYTES = 1024 * 1024
MAX_TEXT = 64 * 1024
_MAX_ERROR_BYTES = 16 * 1024
MAX_TOKENS = 8000
_PASSING = frozenset({408, 409, 425, 429})
# The service, not the question, is wrong: asking for something else fails as well.
_CLOSED = frozenset({401, 403, 404})
_QUOTA = "insufficient_quota"


class Unusable(Exception):
    """There is an answer, but not one to the question: cut off, refused, too long, or not what the schema says."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`system` is what to do, `user` what to do it with; the answer is JSON by `schema`, which has this name."""

    system: str
    user: str
    name: str
    schema: Mapping[str, Any]


class Completions:
    """A client of one model. `base_url` ends before /chat/completions."""

    def __init__(self, base_url: str, api_key: str, model: str, breaker: Breaker | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._api_key = api_key
        self._model = model
        self._breaker = breaker or Breaker()
        OUTSIDE.breaker("ai", lambda: self._breaker.is_open)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """The answer's text as it comes, MAX_TEXT characters at most. Raises Away, Unusable."""
        self._breaker.check()
        size = 0
        try:
            async with aclosing(self._stream(prompt)) as pieces:
                async for piece in pieces:
                    size += len(piece)
                    if size > MAX_TEXT:
                        raise Unusable("the answer is too long")
                    yield piece
        except Away as error:
            self._breaker.failed()
            if error.retry_after is not None:
                self._breaker.hold(error.retry_after)
            raise
        except (Unusable, GeneratorExit) as end:
            # Whoever has enough of the answer leaves it; that it began is a success.
            if size or isinstance(end, Unusable):
                self._breaker.succeeded()
            raise
        self._breaker.succeeded()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _stream(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        if self._session is None:
            # Made on first use: a session belongs to the event loop that runs then.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=watched("ai"),
                headers={"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"},
            )
        try:
            async with self._session.post(self._url, data=_body(self._model, prompt), allow_redirects=False) as response:
                if response.status != 200:
                    raise await _refusal(response)
                read = _events if response.content_type == "text/event-stream" else _whole
                async with aclosing(_text(read(response))) as pieces:
                    async for piece in pieces:
                        yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Away(type(error).__name__) from error


def _body(model: str, prompt: Prompt) -> bytes:
    schema = {"name": prompt.name, "strict": True, "schema": prompt.schema}
    return orjson.dumps({
        "model": model,
        "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        "response_format": {"type": "json_schema", "json_schema": schema},
        "max_completion_tokens": MAX_TOKENS,
        "stream": True,
    })  # fmt: skip


async def _text(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[str, None]:
    """The text in the events of an answer. One that does not say how it finished was cut on its way."""
    finished = ""
    async with aclosing(events):
        async for event in events:
            if event == b"[DONE]":
                break
            piece, reason = _read(event)
            finished = reason or finished
            if piece:
                yield piece
    if not finished:
        raise Away("the answer was cut off")
    if finished != "stop":
        raise Unusable(f"the answer finished by {finished[:40]!r}")


def _read(event: bytes) -> tuple[str, str]:
    """The text of an event, and how the answer finished, if it did. Raises Away for an error, Unusable for a refusal."""
    try:
        message = orjson.loads(event)
        if "error" in message:
            raise Away("an error in the middle of the answer")
        if not message["choices"]:
            return "", ""
        choice = message["choices"][0]
        said = choice.get("delta") or choice.get("message") or {}
        if said.get("refusal"):
            raise Unusable("the model refused")
        piece, reason = said.get("content") or "", choice.get("finish_reason") or ""
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Away(f"an event that cannot be read: {type(error).__name__}") from error
    if not isinstance(piece, str) or not isinstance(reason, str):
        raise Away("an event that cannot be read")
    return piece, reason


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events; each is on one line. An unfinished line is none."""
    size, rest = 0, bytearray()
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BYTES:
            raise Unusable("the answer is too long")
        rest += chunk
        if b"\n" not in chunk:
            continue
        *lines, unfinished = bytes(rest).split(b"\n")
        rest = bytearray(unfinished)
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


async def _whole(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The answer of a server that does not stream."""
    yield await _body_of(response, MAX_BYTES)


async def _body_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise Unusable("the answer is too long")
    return bytes(body)


async def _refusal(response: aiohttp.ClientResponse) -> Exception:
    """What a status other than 200 means. What the server says of it is not logged: it may quote the question."""
    status, code = response.status, ""
    try:
        error = orjson.loads(await _body_of(response, _MAX_ERROR_BYTES))["error"]
        code = str(error.get("code") or error.get("type") or "")[:80]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, Unusable):
        pass
    passing = (status in _PASSING or status >= 500) and code != _QUOTA
    if not passing:
        log.error("the language model's server refused a question: status %d, code %r", status, code)
    if passing or status in _CLOSED or code == _QUOTA:
        return Away(f"status {status}", may_pass=passing, retry_after=_retry_after(response) if passing else None)
    return Unusable(f"status {status}")


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds (RFC 9110, 10.2.3: a number or a date)."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value) if value.replace(".", "", 1).isdigit() else parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds)
