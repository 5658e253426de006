"""Webhook delivery as payment providers do it: signed, over HTTP, repeated with backoff until a 2xx.

The events of one `send` arrive one after the other. Nothing is promised of the order between sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import secrets
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from fakes.clock import Clock

ATTEMPT_SECONDS = 10.0
LOG_LENGTH = 200
ATTEMPTS_KEPT = 30  # of one delivery, the latest
DETAIL_BYTES = 300  # of what a refusing merchant says

WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "given up"


def signature_header(secret: str, timestamp: int, body: bytes) -> str:
    """`t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`: Stripe's scheme."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class QueueFull(Exception):
    """Too many deliveries wait already."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: when (Unix seconds), for how long, and an HTTP status or an error's name; what was said with a refusal."""

    time: float
    seconds: float
    answer: str
    detail: str = ""

    @property
    def taken(self) -> bool:
        return self.answer.startswith("2")

    def summary(self) -> dict[str, Any]:
        return {"time": int(self.time), "millis": round(1000 * self.seconds), "answer": self.answer, "detail": self.detail}


@dataclass(slots=True, eq=False)
class Delivery:
    """One event's way to the merchant. `next_time`: when it is tried next (Unix seconds), while it waits for that."""

    id: str
    event: dict[str, Any]
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_KEPT))
    state: str = WAITING
    next_time: float | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def payment_id(self) -> str:
        return str(self.event["data"]["paymentId"])

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent at once: it is done with, or waits for its next retry."""
        return self.state != WAITING or (bool(self.attempts) and self.next_time is not None)

    def summary(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "eventId": self.event["id"],
            "type": self.event["type"],
            "paymentId": self.payment_id,
            "state": self.state,
            "attempts": [attempt.summary() for attempt in self.attempts],
            "nextRetry": None if self.next_time is None else int(self.next_time),
        }


class Deliveries:
    """What is on its way to merchants: tasks, and the connections they share."""

    def __init__(self, user_agent: str, max_connections: int = 16) -> None:
        self._user_agent = user_agent
        self._max_connections = max_connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections, each request of which has ATTEMPT_SECONDS."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections),
                timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
                headers={"User-Agent": self._user_agent},
            )
        return self._session

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, delivery: Coroutine[Any, Any, None]) -> None:
        """Deliver in the background."""
        task = asyncio.create_task(delivery)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop all deliveries."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


class WebhookSender:
    """Delivers events to one URL. What waits, and the log, are lost with the process."""

    def __init__(
        self,
        url: str,
        secret: str,
        clock: Clock,
        *,
        max_attempts: int = 15,
        first_delay: float = 0.5,
        max_delay: float = 60.0,
        max_waiting: int = 1000,
        max_connections: int = 16,
    ) -> None:
        """Delays are in seconds and double from `first_delay` to `max_delay`, each shortened by up to a half at random."""
        self.url = url
        self.clock = clock
        self.max_attempts = max_attempts
        self.log: deque[Delivery] = deque(maxlen=LOG_LENGTH)  # the newest first
        self._secret = secret
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._max_waiting = max_waiting
        self._deliveries = Deliveries("SkillForge-Fake-Pay/1", max_connections)

    async def close(self) -> None:
        """Stops all deliveries."""
        await self._deliveries.close()

    def send(self, events: Sequence[dict[str, Any]], delay: float = 0.0) -> list[Delivery]:
        """Delivers the events one after the other, beginning after `delay` seconds. Raises QueueFull."""
        deliveries = [Delivery("whd_" + secrets.token_hex(8), event) for event in events]
        self._start(deliveries, delay)
        self.log.extendleft(deliveries)
        return deliveries

    def find(self, delivery_id: str) -> Delivery | None:
        """A delivery of the log."""
        return next((delivery for delivery in self.log if delivery.id == delivery_id), None)

    def repeat(self, delivery: Delivery) -> None:
        """Sends it at once, and if that fails again as often as the first time. Raises QueueFull."""
        if delivery.state == WAITING:
            delivery.hurry.set()
            return
        self._start([delivery], 0.0)
        delivery.state = WAITING

    def _start(self, deliveries: list[Delivery], delay: float) -> None:
        if len(self._deliveries) >= self._max_waiting:
            raise QueueFull
        self._deliveries.begin(self._deliver_all(deliveries, delay))

    async def _deliver_all(self, deliveries: Sequence[Delivery], delay: float) -> None:
        if delay > 0:
            deliveries[0].next_time = self.clock.now() + delay
            await self.clock.sleep(delay)
        for delivery in deliveries:
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        body = orjson.dumps(delivery.event)
        delivery.next_time = None
        for number in range(self.max_attempts):
            if number:
                await self._pause(delivery, number)
            attempt = await self._attempt(body)
            delivery.attempts.append(attempt)
            if attempt.taken:
                delivery.state = DELIVERED
                return
        delivery.state = GIVEN_UP

    async def _pause(self, delivery: Delivery, failed: int) -> None:
        """Until the next retry is due, or somebody asks for it now."""
        seconds = min(self._first_delay * 2.0 ** (failed - 1), self._max_delay) * random.uniform(0.5, 1.0)
        delivery.next_time = self.clock.now() + seconds
        delivery.hurry.clear()
        waits = [asyncio.create_task(self.clock.sleep(seconds)), asyncio.create_task(delivery.hurry.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            delivery.next_time = None

    async def _attempt(self, body: bytes) -> Attempt:
        """Redirects are not followed: they are no 2xx."""
        now, started = self.clock.now(), time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "SkillForge-Signature": signature_header(self._secret, int(now), body),
        }
        detail = ""
        try:
            async with self._deliveries.session.post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                answer = str(response.status)
                if not answer.startswith("2"):
                    detail = (await response.content.read(DETAIL_BYTES)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answer = type(error).__name__
        return Attempt(now, time.monotonic() - started, answer, detail)
