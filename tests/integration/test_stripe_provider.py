"""Our client of Stripe, which is the official library, against the fake one over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from core.errors import FailedPrecondition
from core.ids import new_id, to_text
from core.payments.providers import (
    Checkout,
    ProviderPayment,
    ProviderUnavailable,
    RefundOrder,
    RefundRefused,
    RefundStatus,
)
from core.payments.providers import stripe as ours
from core.payments.providers.stripe import StripeProvider
from core.times import utc_now
from fakes.stripe.server import SECRET_KEY, WEBHOOK_SECRET, StripeFake
from fakes.stripe.shop import Session
from fakes.stripe.wire import Fault

PAGE = "https://school.example.com/courses/1"


class Clock:
    """The fake's time, put ahead of ours by a test."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def outside(clock: Clock) -> AsyncIterator[StripeFake]:
    fake = StripeFake(now=clock)
    await fake.listen()
    yield fake
    await fake.close()


@pytest.fixture
async def provider(outside: StripeFake) -> AsyncIterator[StripeProvider]:
    client = StripeProvider(SECRET_KEY, [WEBHOOK_SECRET], outside.url + "/")
    yield client
    await client.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "PAUSES", (0.01, 0.02))


def checkout(amount: int = 4900, currency: str = "USD", title: str = "Ångström 李小龙") -> Checkout:
    return Checkout(to_text(new_id()), amount, currency, title, PAGE, PAGE, utc_now() + timedelta(minutes=30))


async def opened(outside: StripeFake, provider: StripeProvider, asked: Checkout) -> Session:
    return outside.shop.session((await provider.create_checkout(asked)).reference)


async def paid(outside: StripeFake, provider: StripeProvider, amount: int = 4900, currency: str = "USD") -> RefundOrder:
    """The order of a refund of everything, for a payment that was paid."""
    asked = checkout(amount, currency)
    session = await opened(outside, provider, asked)
    outside.shop.pay(session.id)
    return RefundOrder(to_text(new_id()), asked.payment_id, session.id, amount, currency, "Asked for, by Ms. Ångström")


def refunds(session: Session) -> list[tuple[int, str]]:
    assert session.intent is not None
    return [(refund.amount, refund.status) for refund in session.intent.refunds]


def posted(outside: StripeFake, path: str) -> list[dict[str, Any]]:
    """The parameters of every request of this kind."""
    return [params for method, asked, params in outside.requests if (method, asked) == ("POST", path)]


# Checkout


async def test_a_session_says_what_is_paid_and_for_whom(outside: StripeFake, provider: StripeProvider) -> None:
    asked = checkout()
    session = await provider.create_checkout(asked)
    kept = outside.shop.session(session.reference)
    assert session.url == kept.url
    assert (kept.order.amount, kept.order.currency, kept.order.name) == (4900, "usd", asked.description)
    assert kept.order.metadata == kept.order.intent_metadata == {"paymentId": asked.payment_id}
    assert (kept.order.success_url, kept.order.client_reference_id) == (PAGE, asked.payment_id)
    assert timedelta(minutes=30) < timedelta(seconds=kept.order.expires_at - time.time()) < timedelta(minutes=33)


async def test_the_same_payment_has_one_session(outside: StripeFake, provider: StripeProvider) -> None:
    asked = checkout()
    sessions = await asyncio.gather(*(provider.create_checkout(asked) for _ in range(10)))
    assert len(set(sessions)) == 1
    assert await provider.create_checkout(asked) == sessions[0]
    assert await provider.create_checkout(checkout()) != sessions[0]


async def test_many_at_once_meet_the_lock_of_their_key(outside: StripeFake, provider: StripeProvider) -> None:
    """All but one are answered 409, and ask again."""
    asked = checkout()
    outside.broken = Fault.SLOW
    outside.slow_seconds = 0.005
    sessions = await asyncio.gather(*(provider.create_checkout(asked) for _ in range(3)))
    assert len(set(sessions)) == 1


async def test_a_session_asked_for_late_lasts_long_enough_for_stripe(
    outside: StripeFake, provider: StripeProvider, clock: Clock
) -> None:
    clock.ahead = 25 * 60  # of the thirty minutes that the payment lasts
    asked = checkout()
    kept = await opened(outside, provider, asked)
    assert kept.order.expires_at >= clock() + 30 * 60 - 1
    assert len(posted(outside, "/v1/checkout/sessions")) == 2
    assert (await opened(outside, provider, asked)).id == kept.id


async def test_a_course_renamed_before_the_repeat_is_no_conflict(outside: StripeFake, provider: StripeProvider) -> None:
    asked = checkout()
    outside.faults.extend([Fault.CUT, Fault.UNAVAILABLE, Fault.UNAVAILABLE])
    with pytest.raises(ProviderUnavailable):
        await provider.create_checkout(asked)
    assert (await opened(outside, provider, asked._replace(description="Another"))).order.name == "Another"


@pytest.mark.parametrize(
    ("amount", "currency", "charged"),
    [(500, "JPY", 500), (5120, "KWD", 5120), (5, "ISK", 500), (5000, "UGX", 500_000), (500, "MGA", 5), (500, "HUF", 500)],
)
async def test_amounts_are_asked_for_and_told_in_each_other_s_units(
    outside: StripeFake, provider: StripeProvider, amount: int, currency: str, charged: int
) -> None:
    order = await paid(outside, provider, amount, currency)
    assert outside.shop.session(order.reference).order.amount == charged
    assert await provider.find(order.payment_id, order.reference) == ProviderPayment("paid", amount, currency, 0)
    await provider.refund(order)
    assert refunds(outside.shop.session(order.reference)) == [(charged, "succeeded")]
    assert await provider.find(order.payment_id, order.reference) == ProviderPayment("paid", amount, currency, amount)


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        (5124, "KWD", r"steps of 0\.010 KWD"),
        (150, "MGA", r"steps of 1\.00 MGA"),
        (49, "USD", r"at least \$0\.50 usd"),
        (10_000, "IQD", "Invalid currency: iqd"),
        (100_000_000, "USD", "more than eight digits"),
    ],
)
async def test_a_price_that_cannot_be_paid_is_refused_with_the_reason(
    provider: StripeProvider, amount: int, currency: str, why: str
) -> None:
    with pytest.raises(FailedPrecondition, match=why) as caught:
        await provider.create_checkout(checkout(amount, currency))
    assert caught.value.reason == "PRICE_NOT_PAYABLE"


# Refunds


async def test_a_refund_is_made_once(outside: StripeFake, provider: StripeProvider) -> None:
    order = (await paid(outside, provider))._replace(amount_minor=1000)
    receipts = await asyncio.gather(*(provider.refund(order) for _ in range(10)))
    assert len(set(receipts)) == 1
    assert receipts[0].status is RefundStatus.SUCCEEDED
    assert refunds(outside.shop.session(order.reference)) == [(1000, "succeeded")]
    [asked, *_] = posted(outside, "/v1/refunds")
    assert asked["metadata"] == {"paymentId": order.payment_id, "refundId": order.refund_id}
    assert "Ångström" not in str(asked)  # why stays here


async def test_a_refund_is_made_once_even_after_the_key_is_forgotten(outside: StripeFake, provider: StripeProvider) -> None:
    order = await paid(outside, provider)
    outside.shop.refunds_wait = True
    receipt = await provider.refund(order)
    assert receipt.status is RefundStatus.PENDING
    outside._keys = type(outside._keys)()
    assert await provider.refund(order) == receipt
    outside.shop.finish_refund(receipt.reference, succeeded=False)
    assert (await provider.refund(order)) == receipt._replace(status=RefundStatus.FAILED)


async def test_refunds_at_once_never_give_back_more_than_was_paid(outside: StripeFake, provider: StripeProvider) -> None:
    order = await paid(outside, provider)
    orders = [order._replace(refund_id=to_text(new_id()), amount_minor=1500) for _ in range(8)]
    results = await asyncio.gather(*(provider.refund(item) for item in orders), return_exceptions=True)
    assert sum(isinstance(result, RefundRefused) for result in results) == 5
    assert refunds(outside.shop.session(order.reference)) == [(1500, "succeeded")] * 3
    found = await provider.find(order.payment_id, order.reference)
    assert found == ProviderPayment("paid", 4900, "USD", 4500)


async def test_what_cannot_be_refunded_is_refused_for_good(outside: StripeFake, provider: StripeProvider) -> None:
    order = await paid(outside, provider)
    unpaid = checkout()
    open_session = await provider.create_checkout(unpaid)
    for wrong in (
        order._replace(amount_minor=4901),
        order._replace(reference="cs_test_unknown"),
        order._replace(reference=""),
        order._replace(payment_id=to_text(new_id())),
        order._replace(payment_id=unpaid.payment_id, reference=open_session.reference),
        order._replace(currency="KWD", amount_minor=1001),
    ):
        with pytest.raises(RefundRefused):
            await provider.refund(wrong)
    await provider.refund(order)
    with pytest.raises(RefundRefused, match="already been refunded"):
        await provider.refund(order._replace(refund_id=to_text(new_id())))


async def test_a_payment_with_many_refunds_is_read_page_by_page(
    outside: StripeFake, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "PAGE", 2)
    order = await paid(outside, provider)
    orders = [order._replace(refund_id=to_text(new_id()), amount_minor=100) for _ in range(5)]
    receipts = [await provider.refund(item) for item in orders]
    outside._keys = type(outside._keys)()
    assert [await provider.refund(item) for item in orders] == receipts
    monkeypatch.setattr(ours, "MAX_PAGES", 2)
    with pytest.raises(ProviderUnavailable, match="more refunds"):
        await provider.find(order.payment_id, order.reference)


# What the provider says of a payment


async def test_how_a_payment_stands(outside: StripeFake, provider: StripeProvider, clock: Clock) -> None:
    async def status(asked: Checkout, session: Session) -> str:
        found = await provider.find(asked.payment_id, session.id)
        assert found is not None
        assert (found.amount_minor, found.currency, found.refunded_minor) == (4900, "USD", 0)
        return found.status

    asked = checkout()
    session = await opened(outside, provider, asked)
    assert await status(asked, session) == "open"
    outside.shop.pay_late(session.id)
    assert await status(asked, session) == "open"
    outside.shop.settle_late(session.id, paid=False)
    assert await status(asked, session) == "failed"
    outside.shop.settle_late(session.id, paid=True)
    assert await status(asked, session) == "paid"
    left = checkout()
    session = await opened(outside, provider, left)
    clock.ahead = 40 * 60
    assert await status(left, session) == "expired"


async def test_a_payment_that_is_not_there(outside: StripeFake, provider: StripeProvider) -> None:
    order = await paid(outside, provider)
    other = to_text(new_id())
    for payment_id, reference in ((order.payment_id, ""), (order.payment_id, "cs_test_unknown"), (other, order.reference)):
        assert await provider.find(payment_id, reference) is None


async def test_a_pending_refund_is_not_given_back_yet(outside: StripeFake, provider: StripeProvider) -> None:
    order = await paid(outside, provider)
    outside.shop.refunds_wait = True
    receipt = await provider.refund(order._replace(amount_minor=1000))
    assert await provider.find(order.payment_id, order.reference) == ProviderPayment("paid", 4900, "USD", 0)
    outside.shop.finish_refund(receipt.reference, succeeded=True)
    assert await provider.find(order.payment_id, order.reference) == ProviderPayment("paid", 4900, "USD", 1000)


# When it fails

PASSING = [Fault.UNAVAILABLE, Fault.LIMITED, Fault.BUSY, Fault.CUT, Fault.HTML]


@pytest.mark.parametrize("fault", PASSING)
async def test_what_passes_is_waited_for(outside: StripeFake, provider: StripeProvider, fault: Fault) -> None:
    order = await paid(outside, provider)
    for work in (provider.create_checkout(checkout()), provider.refund(order), provider.find(order.payment_id, order.reference)):
        outside.faults.extend([fault, fault])
        assert await work
    assert refunds(outside.shop.session(order.reference)) == [(4900, "succeeded")]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
async def test_what_lasts_is_told_in_time_and_repeated_without_harm(
    outside: StripeFake, provider: StripeProvider, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, asked = await paid(outside, provider), checkout()
    outside.broken = fault
    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 0.25 if fault is Fault.SILENT else 5.0)
    began = time.monotonic()
    for work in (provider.create_checkout(asked), provider.refund(order), provider.find(order.payment_id, order.reference)):
        with pytest.raises(ProviderUnavailable):
            await work
    assert time.monotonic() - began < 5
    outside.broken = None
    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 5.0)
    if fault is Fault.FAILED:  # Stripe repeats what it answered for a key, errors too
        with pytest.raises(ProviderUnavailable):
            await provider.create_checkout(asked)
    else:
        assert await provider.create_checkout(asked)
    assert (await provider.refund(order)).status is RefundStatus.SUCCEEDED
    assert refunds(outside.shop.session(order.reference)) == [(4900, "succeeded")]


async def test_a_refund_that_failed_halfway_is_found_though_its_key_answers_500(
    outside: StripeFake, provider: StripeProvider
) -> None:
    order = await paid(outside, provider)
    session = outside.shop.session(order.reference)
    outside.faults.extend([Fault.SLOW, Fault.SLOW, Fault.FAILED])  # the session and the list of refunds are read before
    with pytest.raises(ProviderUnavailable):
        await provider.refund(order)
    assert refunds(session) == [(4900, "succeeded")]
    assert (await provider.refund(order)).status is RefundStatus.SUCCEEDED
    assert refunds(session) == [(4900, "succeeded")]


async def test_a_slow_answer_is_waited_for_and_no_longer_than_the_deadline(
    outside: StripeFake, provider: StripeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.broken = Fault.SLOW
    assert await provider.create_checkout(checkout())
    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 0.1)
    order = await paid_though_slow(outside, provider)
    with pytest.raises(ProviderUnavailable, match=r"in 0\.1 s"):
        await provider.refund(order)  # three requests, each in time


async def paid_though_slow(outside: StripeFake, provider: StripeProvider) -> RefundOrder:
    outside.broken = None
    order = await paid(outside, provider)
    outside.broken = Fault.SLOW
    return order


async def test_a_stripe_that_is_nowhere_or_knows_us_not(outside: StripeFake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "sk_test_wrongWrongWrong"
    for url, key in (("http://127.0.0.1:9", SECRET_KEY), (outside.url, wrong)):
        client = StripeProvider(key, [WEBHOOK_SECRET], url)
        with pytest.raises(ProviderUnavailable) as caught:
            await client.create_checkout(checkout())
        assert key not in str(caught.value)
        await client.close()
    assert "AuthenticationError" in caplog.text
    assert wrong not in caplog.text
    assert "Ångström" not in caplog.text


async def test_what_is_asked_and_answered_is_not_logged(
    outside: StripeFake, provider: StripeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await provider.refund(await paid(outside, provider))
    assert [record for record in caplog.records if record.name.startswith("stripe")] == []
