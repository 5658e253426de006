"""Our client of the payment provider against the fake one, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.ids import new_id, to_text
from core.payments.providers import Checkout, ProviderUnavailable, fake
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
    client = FakeProvider(outside.url + "/", PAYMENTS_API_KEY)
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


async def test_a_provider_that_is_nowhere_or_knows_us_not(outside: FakeWorld) -> None:
    for client in (FakeProvider("http://127.0.0.1:9", PAYMENTS_API_KEY), FakeProvider(outside.url, "wrong")):
        with pytest.raises(ProviderUnavailable):
            await client.create_checkout(checkout())
        await client.close()
