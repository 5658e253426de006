"""Documents that are made once, at their first request, and then kept: plain and compressed, each with its entity tag.

Source: RFC 9110, 8.8.3 (entity tags), 12.5.3 (Accept-Encoding).
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from aiohttp import hdrs

from http_gateway.answers import Answer
from http_gateway.incoming import Incoming
from http_gateway.outgoing import API_POLICY, NO_CACHE, header_lines, matches_none

_GZIP = re.compile(r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)


class _Made(NamedTuple):
    body: bytes
    tag: str


class KeptDocument:
    """A handler. `make` is called once, in a thread: it may take its time."""

    def __init__(self, make: Callable[[], bytes], media_type: str, policy: str = API_POLICY) -> None:
        self._make = make
        self._whole = header_lines(media_type, NO_CACHE, policy)
        self._bare = header_lines("", NO_CACHE, policy)
        self._making: asyncio.Task[tuple[_Made, _Made]] | None = None

    async def __call__(self, call: Incoming) -> Answer:
        """The document, or 304 for whoever has it."""
        if self._making is None:
            self._making = asyncio.create_task(asyncio.to_thread(self._both))
        # Whoever asks may go away; the others wait on.
        plain, small = await asyncio.shield(self._making)
        compressed = _GZIP.search(call.headers.get(hdrs.ACCEPT_ENCODING, "")) is not None
        made = small if compressed else plain
        if matches_none(call.headers.get(hdrs.IF_NONE_MATCH, ""), made.tag):
            answer = Answer(304, self._bare)
        else:
            answer = Answer(200, self._whole, made.body)
            if compressed:
                answer.add("Content-Encoding", "gzip")
        answer.add("ETag", made.tag)
        answer.add("Vary", "Accept-Encoding")
        answer.add("X-Request-Id", call.request_id)
        return answer

    def _both(self) -> tuple[_Made, _Made]:
        body = self._make()
        digest = blake2b(body, digest_size=12).hexdigest()
        return _Made(body, f'"{digest}"'), _Made(gzip.compress(body, 9, mtime=0), f'"{digest}.gzip"')
