"""Answers of other services over HTTP, no longer than they may be."""

from __future__ import annotations

import aiohttp


class AnswerTooLong(ValueError):
    """An answer that is longer than anything that can have been asked for."""


async def read_answer(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body. Raises AnswerTooLong, and what aiohttp raises."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise AnswerTooLong(f"the answer is longer than {max_bytes} bytes")
    return bytes(body)
