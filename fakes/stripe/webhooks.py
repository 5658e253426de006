"""Stripe's webhooks: signed, over HTTP, repeated until a 2xx. Nothing is promised of their order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from fakes.webhooks import Deliveries, signature_header

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
        self._deliveries = Deliveries("Stripe/1.0 (+https://stripe.com/docs/webhooks)")

    @property
    def waiting(self) -> int:
        """How many deliveries are on their way."""
        return len(self._deliveries)

    def emit(self, event: dict[str, Any]) -> None:
        """Keep an event, and send it if there is anywhere to. What is too much waits for nobody and is dropped."""
        self.events.append(event)
        if self.url and self.waiting < MAX_WAITING:
            self._deliveries.begin(self._repeat(event))

    async def deliver(self, event: dict[str, Any], url: str = "") -> int:
        """Send an event once; the answer's status."""
        body = orjson.dumps(event)
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": self.signature(body)}
        post = self._deliveries.session.post(url or self.url, data=body, headers=headers, allow_redirects=False)
        async with post as response:
            return response.status

    def signature(self, body: bytes, moment: int | None = None) -> str:
        """The header for a body, as of a moment in unix seconds (None: now)."""
        moment = int(time.time()) if moment is None else moment
        signatures = [signature_header(secret, moment, body).partition(",")[2] for secret in self.secrets]
        return ",".join([f"t={moment}", *signatures])

    async def close(self) -> None:
        """Stop all deliveries."""
        await self._deliveries.close()

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
