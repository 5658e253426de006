"""Stripe's webhooks: signed, over HTTP, repeated until a 2xx. Nothing is promised of their order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from fakes.webhooks import signature_header

ATTEMPT_SECONDS = 10.0
LOG_LENGTH = 500
MAX_WAITING = 1000


class Sender:
    """Delivers to `url`; "" keeps the events for a test to deliver. The first of `secrets` signs, and further ones
    too, as they do while a secret is rotated."""

    def __init__(self, url: str, secrets: Sequence[str], attempts: int = 5, delay: float = 0.2) -> None:
        """`delay`: seconds before the second attempt, doubled each time."""
        self.url = url
        self.secrets = list(secrets)
        self.events: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.answers: deque[tuple[str, str]] = deque(maxlen=LOG_LENGTH)
        self._attempts, self._delay = attempts, delay
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def emit(self, event: dict[str, Any]) -> None:
        """Keep an event, and send it if there is anywhere to. What is too much waits for nobody and is dropped."""
        self.events.append(event)
        if self.url and len(self._tasks) < MAX_WAITING:
            task = asyncio.create_task(self._repeat(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def deliver(self, event: dict[str, Any], url: str = "") -> int:
        """Send an event once; the answer's status."""
        body = orjson.dumps(event)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS))
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": self.signature(body)}
        async with self._session.post(url or self.url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status

    def signature(self, body: bytes, moment: int | None = None) -> str:
        """The header for a body, as of a moment in unix seconds (None: now)."""
        moment = int(time.time()) if moment is None else moment
        signatures = [signature_header(secret, moment, body).partition(",")[2] for secret in self.secrets]
        return ",".join([f"t={moment}", *signatures])

    async def close(self) -> None:
        """Stop all deliveries."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _repeat(self, event: dict[str, Any]) -> None:
        for attempt in range(self._attempts):
            if attempt:
                await asyncio.sleep(self._delay * 2 ** (attempt - 1))
            try:
                answer = str(await self.deliver(event))
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                answer = type(error).__name__
            self.answers.append((event["type"], answer))
            if answer.startswith("2"):
                return
