"""The fake payment provider over real HTTP: sessions, test cards, pages, and webhooks as a merchant gets them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fakes.checkout import format_price
from fakes.server import PAYMENTS_API_KEY, FakeWorld
from fakes.webhooks import QueueFull, WebhookSender

SECRET = "whsec_test"
PAID, LATE, TWICE, STALE = "4242424242424242", "4000000000000341", "4000000000000259", "4000000000000077"
DECLINED, NO_FUNDS = "4000000000000002", "4000000000009995"


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
        if signature != expected or abs(time.time() - int(timestamp)) > 5:
            self.faults.append(request.headers["SkillForge-Signature"])
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        async with self._arrived:
            self.events.append(orjson.loads(body))
            self._arrived.notify_all()
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    async def wait(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.events) >= count)
        assert not self.faults
        return self.events


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    taker = Merchant()
    app = web.Application()
    app.router.add_post("/payments/webhook", taker.take)
    server = TestServer(app)
    await server.start_server()
    taker.url = str(server.make_url("/payments/webhook"))
    yield taker
    await server.close()


@pytest.fixture
async def world(tmp_path: Path, merchant: Merchant) -> AsyncIterator[FakeWorld]:
    fakes = FakeWorld(
        tmp_path,
        webhook_url=merchant.url,
        webhook_secrets=[SECRET, "whsec_old"],
        late_seconds=0.3,
        first_delay=0.01,
        max_delay=0.05,
        max_attempts=5,
    )
    await fakes.listen()
    yield fakes
    await fakes.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


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


async def open_session(http: aiohttp.ClientSession, world: FakeWorld, key: str = "key-1", **changes: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {PAYMENTS_API_KEY}", "Idempotency-Key": key}
    url = f"{world.url}/fake-pay/v1/checkout-sessions"
    async with http.post(url, json=wanted(**changes), headers=headers) as response:
        body: dict[str, Any] = await response.json(content_type=None)
        return {**body, "httpStatus": response.status}


async def pay(http: aiohttp.ClientSession, url: str, card: str) -> dict[str, Any]:
    async with http.post(url, json={"card": card}) as response:
        body: dict[str, Any] = await response.json(content_type=None)
        return {**body, "httpStatus": response.status}


async def test_same_idempotency_key_same_session(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    changes: dict[str, Any] = {"expiresAt": int(time.time()) + 600}
    first = await open_session(http, world, **changes)
    assert first["httpStatus"] == 200
    assert (await open_session(http, world, **changes))["id"] == first["id"]
    assert (await open_session(http, world, "key-2", **changes))["id"] != first["id"]
    assert (await open_session(http, world, amountMinor=1))["httpStatus"] == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amountMinor": 0}, "amountMinor"),
        ({"amountMinor": True}, "amountMinor"),
        ({"currency": "usd"}, "currency"),
        ({"successUrl": "javascript:alert(1)"}, "successUrl"),
        ({"cancelUrl": "http://["}, "cancelUrl"),
        ({"paymentId": None}, "paymentId"),
        ({"expiresAt": "soon"}, "expiresAt"),
    ],
)
async def test_bad_sessions(http: aiohttp.ClientSession, world: FakeWorld, changes: dict[str, Any], field: str) -> None:
    answer = await open_session(http, world, **changes)
    assert answer["httpStatus"] == 400
    assert [violation["field"] for violation in answer["violations"]] == [field]


async def test_session_needs_the_api_key(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    async with http.post(f"{world.url}/fake-pay/v1/checkout-sessions", json=wanted()) as response:
        assert response.status == 401


async def test_paying_sends_one_signed_webhook(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world)
    answer = await pay(http, session["url"], "4242 4242 4242 4242")
    assert answer["status"] == "succeeded"
    (event,) = await merchant.wait(1)
    assert event["type"] == "payment.succeeded"
    assert event["data"] == {"paymentId": "0193-payment", "amountMinor": 1999, "currency": "USD"}
    assert event["created"] == pytest.approx(time.time(), abs=5)
    assert (await pay(http, session["url"], DECLINED))["status"] == "succeeded", "it is paid already"
    assert len(merchant.events) == 1


async def test_a_refused_card_leaves_the_checkout_open(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world)
    for card, word in ((DECLINED, "declined"), (NO_FUNDS, "insufficient")):
        answer = await pay(http, session["url"], card)
        assert answer["status"] == "failed"
        assert word in answer["message"]
    failures = list(await merchant.wait(2))
    assert failures[0]["id"] == failures[1]["id"], "a repeat of the same event"
    await pay(http, session["url"], PAID)
    events = await merchant.wait(3)
    assert [event["type"] for event in events] == ["payment.failed", "payment.failed", "payment.succeeded"]


async def test_late_card(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world)
    assert (await pay(http, session["url"], LATE))["status"] == "processing"
    assert not merchant.events
    (event,) = await merchant.wait(1)
    assert event["type"] == "payment.succeeded"
    assert (await pay(http, session["url"], LATE))["status"] == "succeeded"


async def test_card_that_tells_twice(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    await pay(http, (await open_session(http, world))["url"], TWICE)
    first, second = await merchant.wait(2)
    assert first == second


async def test_card_out_of_order(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    merchant.answers = [500, 200]
    await pay(http, (await open_session(http, world))["url"], STALE)
    events = await merchant.wait(3)
    assert [event["type"] for event in events] == ["payment.succeeded", "payment.succeeded", "payment.failed"]
    assert events[2]["created"] < events[1]["created"]


async def test_other_cards_are_refused(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world)
    assert (await pay(http, session["url"], "5555555555554444"))["httpStatus"] == 400
    assert not merchant.events


async def test_forged_and_expired_sessions(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world, expiresAt=int(time.time()) - 1)
    assert (await pay(http, session["url"], PAID))["httpStatus"] == 410
    async with http.get(session["url"]) as response:
        assert response.status == 410
    prefix, _, token = session["url"].rpartition("/")
    for forged in ("x", "cs_fake_.", "cs_fake_a.b", "é", token[:-2] + "xx", "x" * 7000, token.replace(".", "")):
        assert (await pay(http, f"{prefix}/{forged}", PAID))["httpStatus"] == 404
    assert not merchant.events


async def test_sessions_survive_a_restart(
    http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant, tmp_path: Path
) -> None:
    session = await open_session(http, world)
    await pay(http, session["url"], PAID)
    (first,) = await merchant.wait(1)
    again = FakeWorld(tmp_path, webhook_url=merchant.url, webhook_secrets=[SECRET])
    await again.listen()
    try:
        await pay(http, session["url"].replace(world.url, again.url), PAID)
        assert (await merchant.wait(2))[1]["id"] == first["id"]
    finally:
        await again.close()


async def test_checkout_page_and_form(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    session = await open_session(http, world)
    async with http.get(session["url"]) as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "FAKE: no money moves" in page
    assert "Distributed &lt;Systems&gt;" in page
    assert "<Systems>" not in page
    assert "19.99 USD" in page
    async with http.post(session["url"], data={"card": DECLINED}) as response:
        assert response.status == 402
        assert 'role="alert"' in await response.text()
    async with http.post(session["url"], data={"card": PAID}, allow_redirects=False) as response:
        assert response.status == 303
    async with http.post(session["url"], data={"card": PAID}) as response:
        assert response.status == 200
        result = await response.text()
    assert "Paid" in result
    assert "https://shop.example/paid?a=1&amp;b=2" in result
    await merchant.wait(2)
    async with http.get(session["url"]) as response:
        assert "Paid" in await response.text()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the log has no event to wait for)
            await asyncio.sleep(0.01)


async def test_webhooks_are_repeated_until_taken(http: aiohttp.ClientSession, world: FakeWorld, merchant: Merchant) -> None:
    merchant.answers = [500, 302, 429, 204]
    await pay(http, (await open_session(http, world))["url"], PAID)
    events = await merchant.wait(4)
    assert all(event == events[0] for event in events)
    await until(lambda: world.payments.webhooks.log[0].state == "delivered")
    assert world.payments.webhooks.log[0].attempts == ["500", "302", "429", "204"]
    async with http.get(f"{world.url}/fake-pay/deliveries", headers={"Accept": "application/json"}) as response:
        (delivery,) = (await response.json())["deliveries"]
    assert (delivery["eventId"], delivery["state"]) == (events[0]["id"], "delivered")
    async with http.get(f"{world.url}/fake-pay/deliveries") as response:
        assert events[0]["id"] in await response.text()


async def test_webhooks_are_given_up_in_the_end(http: aiohttp.ClientSession, world: FakeWorld) -> None:
    world.payments.webhooks.url = "http://127.0.0.1:1/nobody"
    await pay(http, (await open_session(http, world))["url"], PAID)
    await until(lambda: world.payments.webhooks.log[0].state == "given up")
    assert len(world.payments.webhooks.log[0].attempts) == 5


async def test_webhook_queue_is_bounded() -> None:
    sender = WebhookSender("http://127.0.0.1:1/", SECRET, max_waiting=2)
    await sender.start()
    try:
        for _ in range(2):
            sender.send([], delay=60)
        with pytest.raises(QueueFull):
            sender.send([])
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("amount", "currency", "printed"),
    [
        (1999, "USD", "19.99 USD"),
        (5, "EUR", "0.05 EUR"),
        (123456789, "USD", "1,234,567.89 USD"),
        (500, "JPY", "500 JPY"),
        (1234567, "KWD", "1,234.567 KWD"),
    ],
)
def test_prices(amount: int, currency: str, printed: str) -> None:
    assert format_price(amount, currency) == printed
