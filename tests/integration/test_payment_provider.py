"""Our client of the payment provider against the fake one, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from core.ids import new_id, to_text
from core.payments.providers import Checkout, ProviderUnavailable, RefundOrder, RefundRefused, RefundStatus, fake
from core.payments.providers.fake import FakeProvider
from core.times import utc_now
from fakes.server import PAYMENTS_API_KEY, FakeWorld
from fakes.web import Mode


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[FakeWorld]:
    world = FakeWorld(tmp_path, webhook_url="http://127.0.0.1:9/nobody")
    await world.listen()
    yield world
    await world.close()


@pytest.fixture
async def provider(outside: FakeWorld) -> AsyncIterator[FakeProvider]:
    client = FakeProvider(outside.url + "/", PAYMENTS_API_KEY, ["whsec"])
    yield client
    await client.close()


def checkout(title: str = "Ångström 李小龙") -> Checkout:
    page = "https://school.example.com/courses/1"
    return Checkout(to_text(new_id()), 4900, "USD", title, page, page, utc_now() + timedelta(minutes=30))


async def test_a_checkout_is_opened_once(outside: FakeWorld, provider: FakeProvider) -> None:
    asked = checkout()
    session = await provider.create_checkout(asked)
    assert session.url.startswith(f"{outside.url}/fake-pay/checkout/")
    assert session.reference
    assert await provider.create_checkout(asked) == session
    assert await provider.create_checkout(checkout()) != session


async def test_what_is_stored_fits_however_long_the_title(provider: FakeProvider) -> None:
    session = await provider.create_checkout(checkout("".join(chr(0x4E00 + 97 * number) for number in range(200))))
    assert len(session.reference) <= fake.MAX_REFERENCE


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT])
async def test_a_provider_that_is_away(
    outside: FakeWorld, provider: FakeProvider, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "TIMEOUT_SECONDS", 0.2)
    asked = checkout()
    outside.payments.outage.mode = mode
    with pytest.raises(ProviderUnavailable):
        await provider.create_checkout(asked)
    outside.payments.outage.mode = Mode.UP
    assert await provider.create_checkout(asked)


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[FakeProvider]:
    """Our client of a provider that answers everything alike."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    server = RawTestServer(answer)
    await server.start_server()
    client = FakeProvider(str(server.make_url("/")), PAYMENTS_API_KEY, [])
    try:
        yield client
    finally:
        await client.close()
        await server.close()


ORDER = RefundOrder(to_text(new_id()), to_text(new_id()), "cs_1", 900, "USD", "Not for me")
NONSENSE = [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"<html>", b'{"id": 7, "status": "succeeded", "url": 7}', b"x" * 70_000]


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("status", [200, 301, 401, 403, 429, 500, 502, 503])
async def test_an_answer_that_says_nothing_is_no_answer(status: int, body: bytes) -> None:
    async with answering(status, body) as client:
        for ask in (client.create_checkout(checkout()), client.refund(ORDER), client.find("x", "")):
            with pytest.raises(ProviderUnavailable):
                await ask


@pytest.mark.parametrize("status", [400, 402, 404, 409, 422])
async def test_a_refund_that_is_refused_is_refused_for_good(status: int) -> None:
    for body, detail in ((b'{"detail": "There is not so much left."}', "There is not so much left."), (b"no", "refused")):
        async with answering(status, body) as client:
            with pytest.raises(RefundRefused, match=detail):
                await client.refund(ORDER)


@pytest.mark.parametrize("status", RefundStatus)
async def test_how_far_a_refund_is(status: RefundStatus) -> None:
    async with answering(201, orjson.dumps({"id": "re_1", "status": status.value, "more": 1})) as client:
        assert await client.refund(ORDER) == ("re_1", status)


async def test_what_the_provider_knows_of_a_payment() -> None:
    said = {"status": "paid", "amountMinor": 4900, "currency": "USD", "refundedMinor": 900}
    async with answering(200, orjson.dumps(said)) as client:
        assert await client.find("x", "") == ("paid", 4900, "USD", 900)
    for wrong in ({"status": "lost"}, {"amountMinor": "4900"}, {"amountMinor": -1}, {"refundedMinor": True}, {"currency": None}):
        async with answering(200, orjson.dumps({**said, **wrong})) as client:
            with pytest.raises(ProviderUnavailable):
                await client.find("x", "")
    async with answering(404, b"{}") as client:
        assert await client.find("x", "") is None


async def test_a_provider_that_is_nowhere_or_knows_us_not(outside: FakeWorld) -> None:
    for client in (FakeProvider("http://127.0.0.1:9", PAYMENTS_API_KEY, []), FakeProvider(outside.url, "wrong", [])):
        with pytest.raises(ProviderUnavailable):
            await client.create_checkout(checkout())
        await client.close()
