"""Webhook delivery as payment providers do it: signed, over HTTP, repeated with backoff until a 2xx."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

ATTEMPT_SECONDS = 10.0
LOG_LENGTH = 200


def signature_header(secret: str, timestamp: int, body: bytes) -> str:
    """`t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`: Stripe's scheme."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class QueueFull(Exception):
    """Too many deliveries wait already."""


@dataclass(slots=True)
class Delivery:
    """One event's way to the merchant: every attempt's answer, an HTTP status or an error's name."""

    event: dict[str, Any]
    attempts: list[str] = field(default_factory=list)
    state: str = "waiting"  # waiting, delivered, given up

    def summary(self) -> dict[str, Any]:
        data = self.event["data"]
        return {
            "eventId": self.event["id"],
            "type": self.event["type"],
            "paymentId": data["paymentId"],
            "state": self.state,
            "attempts": list(self.attempts),
        }


class WebhookSender:
    """Delivers events to one URL. What waits is lost with the process; the payer can pay again with the same effect."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        max_attempts: int = 15,
        first_delay: float = 0.5,
        max_delay: float = 60.0,
        max_waiting: int = 1000,
        max_connections: int = 16,
    ) -> None:
        """Delays are in seconds and double from `first_delay` to `max_delay`, each shortened by up to a half at random."""
        self.url = url
        self.log: deque[Delivery] = deque(maxlen=LOG_LENGTH)
        self._secret = secret
        self._max_attempts = max_attempts
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._max_waiting = max_waiting
        self._max_connections = max_connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
            headers={"User-Agent": "SkillForge-Fake-Pay/1"},
        )

    async def close(self) -> None:
        """Stops all deliveries."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def send(self, events: Sequence[dict[str, Any]], delay: float = 0.0) -> None:
        """Delivers the events one after the other, beginning after `delay` seconds. Raises QueueFull."""
        if len(self._tasks) >= self._max_waiting:
            raise QueueFull
        deliveries = [Delivery(event) for event in events]
        self.log.extendleft(deliveries)
        task = asyncio.create_task(self._deliver_all(deliveries, delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_all(self, deliveries: Sequence[Delivery], delay: float) -> None:
        await asyncio.sleep(delay)
        for delivery in deliveries:
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        body = orjson.dumps(delivery.event)
        delay = self._first_delay
        for attempt in range(self._max_attempts):
            if attempt:
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, self._max_delay)
            answer = await self._attempt(body)
            delivery.attempts.append(answer)
            if answer.startswith("2"):
                delivery.state = "delivered"
                return
        delivery.state = "given up"

    async def _attempt(self, body: bytes) -> str:
        """The answer's status, or the name of the error. Redirects are not followed: they are no 2xx."""
        assert self._session is not None, "start() comes first"
        headers = {
            "Content-Type": "application/json",
            "SkillForge-Signature": signature_header(self._secret, int(time.time()), body),
        }
        try:
            async with self._session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                return str(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__
