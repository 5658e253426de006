"""Who uses the fake payment provider: a merchant that takes its webhooks, and calls of its API."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from fakes.clock import Clock
from fakes.server import PAYMENTS_API_KEY, FakeWorld

SECRET = "whsec_test"
PAYS, DECLINED, NO_FUNDS = "4242424242424242", "4000000000000002", "4000000000009995"
CONFIRM, LATE = "4000002500003155", "4000000000000341"
TWICE, UNORDERED = "4000000000000259", "4000000000000077"
SLOW_REFUNDS, FAILING_REFUNDS = "4000000000007726", "4000000000005126"


class Merchant:
    """Takes webhooks; `answers` are the statuses it gives, the last one for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.answers = [200]
        self.events: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self._arrived = asyncio.Condition()

    async def take(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        timestamp, _, signature = request.headers["SkillForge-Signature"].removeprefix("t=").partition(",v1=")
        expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if signature != expected or abs(time.time() - int(timestamp)) > 300:
            self.faults.append(request.headers["SkillForge-Signature"])
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        async with self._arrived:
            self.events.append(orjson.loads(body))
            self._arrived.notify_all()
        text = "" if status < 300 else f"<b>no: {status}</b>" + 5000 * "x"
        return web.Response(status=status, text=text, headers={"Location": "/elsewhere"} if status == 302 else None)

    async def wait(self, count: int) -> list[dict[str, Any]]:
        """All its events, as soon as there are so many."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.events) >= count)
        assert not self.faults
        return self.events


@asynccontextmanager
async def open_merchant() -> AsyncIterator[Merchant]:
    """A merchant that listens."""
    merchant = Merchant()
    app = web.Application()
    app.router.add_post("/payments/webhook", merchant.take)
    server = TestServer(app)
    await server.start_server()
    merchant.url = str(server.make_url("/payments/webhook"))
    try:
        yield merchant
    finally:
        await server.close()


class Api:
    """The provider's API as the merchant calls it, and its checkout as a program does. Answers have `httpStatus` besides."""

    def __init__(self, world: FakeWorld, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.http = http

    async def call(self, verb: str, path: str, body: object = None, key: str = "", bearer: str = PAYMENTS_API_KEY) -> Any:
        headers = {"Authorization": f"Bearer {bearer}", **({"Idempotency-Key": key} if key else {})}
        url = path if path.startswith("http") else f"{self.world.url}/fake-pay/v1/{path}"
        async with self.http.request(verb, url, json=body, headers=headers) as response:
            return {**await response.json(content_type=None), "httpStatus": response.status}

    async def session(self, key: str = "key-1", **changes: Any) -> dict[str, Any]:
        """Open a checkout session of 19.99 USD."""
        answer: dict[str, Any] = await self.call("POST", "checkout-sessions", wanted(**changes), key)
        return answer

    async def pay(self, url: str, card: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.call("POST", url, {"card": card})
        return answer

    async def paid(self, card: str = PAYS, **changes: Any) -> dict[str, Any]:
        """A session that this card has paid."""
        session = await self.session(**changes)
        await self.pay(session["url"], card)
        return session

    async def refund(self, refund_id: str = "refund-1", key: str = "", **changes: Any) -> dict[str, Any]:
        """Order 5.00 USD back."""
        order = {"paymentId": "0193-payment", "amountMinor": 500, "currency": "USD", "reason": "Asked for."}
        body = {"refundId": refund_id, **order, **changes}
        answer: dict[str, Any] = await self.call("POST", "refunds", body, key or refund_id)
        return answer

    async def standing(self, payment_id: str = "0193-payment") -> dict[str, Any]:
        answer: dict[str, Any] = await self.call("GET", f"payments/{payment_id}")
        return answer

    async def deliveries(self) -> list[dict[str, Any]]:
        """The log, newest first."""
        headers = {"Accept": "application/json"}
        async with self.http.get(f"{self.world.url}/fake-pay/deliveries", headers=headers) as response:
            found: list[dict[str, Any]] = (await response.json())["deliveries"]
            return found


@asynccontextmanager
async def open_api(folder: Path, merchant: Merchant, clock: Clock | None = None, **options: Any) -> AsyncIterator[Api]:
    """A provider on a port of its own that tells this merchant; `options` are FakeWorld's."""
    world = FakeWorld(folder, webhook_url=merchant.url, webhook_secrets=[SECRET, "whsec_old"], clock=clock, **options)
    await world.listen()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            yield Api(world, http)
    finally:
        await world.close()


def wanted(**changes: Any) -> dict[str, Any]:
    """A checkout session's request."""
    return {
        "paymentId": "0193-payment",
        "amountMinor": 1999,
        "currency": "USD",
        "description": "Distributed <Systems>",
        "successUrl": "https://shop.example/paid?a=1&b=2",
        "cancelUrl": "https://shop.example/cancelled",
        "expiresAt": int(time.time()) + 600,
        **changes,
    }
