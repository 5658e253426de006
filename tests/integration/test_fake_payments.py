"""The fake payment provider over real HTTP, as programs use it: sessions, test cards, refunds, look-up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fakes import ledger
from fakes.checkout import CARDS, exponent, format_price
from fakes.web import Mode
from tests.support.manual_clock import ManualClock
from tests.support.merchant import (
    CONFIRM,
    DECLINED,
    FAILING_REFUNDS,
    LATE,
    NO_FUNDS,
    PAYS,
    SLOW_REFUNDS,
    TWICE,
    UNORDERED,
    Api,
    Merchant,
    open_api,
    open_merchant,
    wanted,
)


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    async with open_merchant() as taker:
        yield taker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def api(tmp_path: Path, merchant: Merchant, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(tmp_path, merchant, clock) as opened:
        yield opened


# Sessions.


async def test_same_idempotency_key_same_session(api: Api) -> None:
    changes: dict[str, Any] = {"expiresAt": int(time.time()) + 600}
    first = await api.session(**changes)
    assert first["httpStatus"] == 200
    assert (await api.session(**changes))["id"] == first["id"]
    assert (await api.session("key-2", **changes))["id"] != first["id"]
    assert (await api.session(amountMinor=1))["httpStatus"] == 409


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
        ({"expiresAt": 2**38}, "expiresAt"),
    ],
)
async def test_bad_sessions(api: Api, changes: dict[str, Any], field: str) -> None:
    answer = await api.session(**changes)
    assert answer["httpStatus"] == 400
    assert [violation["field"] for violation in answer["violations"]] == [field]


async def test_the_api_needs_its_key_and_is_away_in_an_outage(api: Api) -> None:
    calls = (("POST", "checkout-sessions"), ("POST", "refunds"), ("GET", "payments/0193-payment"))
    for verb, path in calls:
        assert (await api.call(verb, path, wanted(), "key-1", bearer="wrong"))["httpStatus"] == 401
    assert (await api.call("POST", "checkout-sessions", wanted()))["httpStatus"] == 400, "without Idempotency-Key"
    assert (await api.call("POST", "payments/0193-payment"))["httpStatus"] == 405
    assert (await api.call("GET", "nothing"))["httpStatus"] == 404
    api.world.payments.outage.mode = Mode.DOWN
    assert [(await api.call(verb, path, wanted(), "key-1"))["httpStatus"] for verb, path in calls] == [503] * 3


async def test_forged_and_expired_sessions(api: Api, clock: ManualClock, merchant: Merchant) -> None:
    session = await api.session()
    prefix, _, token = session["url"].rpartition("/")
    for forged in ("x", "cs_fake_.", "cs_fake_a.b", "é", token[:-2] + "xx", "x" * 7000, token.replace(".", "")):
        assert (await api.pay(f"{prefix}/{forged}", PAYS))["httpStatus"] == 404
    clock.advance(601)
    assert (await api.pay(session["url"], PAYS))["httpStatus"] == 410
    assert (await api.standing())["status"] == "expired"
    assert not merchant.events


async def test_sessions_survive_a_restart_and_their_payments_do_not(api: Api, merchant: Merchant, tmp_path: Path) -> None:
    session = await api.paid()
    (first,) = await merchant.wait(1)
    async with open_api(tmp_path, merchant) as again:
        assert (await again.standing())["code"] == "payment_unknown"
        await again.pay(session["url"].replace(api.world.url, again.world.url), PAYS)
        assert (await merchant.wait(2))[1]["id"] == first["id"]


# Cards.


async def test_paying_sends_one_signed_webhook(api: Api, merchant: Merchant) -> None:
    session = await api.session()
    assert (await api.pay(session["url"], "4242 4242 4242 4242"))["status"] == "succeeded"
    (event,) = await merchant.wait(1)
    assert event["type"] == "payment.succeeded"
    assert event["data"] == {"paymentId": "0193-payment", "amountMinor": 1999, "currency": "USD"}
    assert event["created"] == pytest.approx(time.time(), abs=5)
    assert (await api.pay(session["url"], DECLINED))["status"] == "succeeded", "it is paid already"
    assert len(merchant.events) == 1


async def test_two_who_pay_at_once_pay_once(api: Api, merchant: Merchant) -> None:
    session = await api.session()
    answers = await asyncio.gather(*(api.pay(session["url"], card) for card in (PAYS, LATE, PAYS, TWICE)))
    assert len({answer["status"] for answer in answers}) == 1
    assert len(api.world.payments.webhooks.log) == len(await merchant.wait(1))


async def test_a_refused_card_leaves_the_checkout_open(api: Api, merchant: Merchant) -> None:
    session = await api.session()
    assert (await api.standing())["status"] == "open"
    for count, (card, word) in enumerate(((DECLINED, "declined"), (NO_FUNDS, "insufficient")), 1):
        answer = await api.pay(session["url"], card)
        assert answer["status"] == "failed"
        assert word in answer["message"]
        await merchant.wait(count)
    assert (await api.standing())["status"] == "failed"
    await api.pay(session["url"], PAYS)
    events = await merchant.wait(3)
    assert [event["type"] for event in events] == ["payment.failed", "payment.failed", "payment.succeeded"]
    assert len({event["id"] for event in events}) == 3
    assert (await api.standing())["status"] == "paid"


async def test_the_events_of_failures_are_limited(api: Api, merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_FAILURES", 2)
    session = await api.session()
    for _ in range(4):
        await api.pay(session["url"], DECLINED)
    assert len({event["id"] for event in await merchant.wait(4)}) == 2


@pytest.mark.parametrize(("decision", "status"), [("confirm", "succeeded"), ("deny", "failed")])
async def test_card_that_needs_confirmation(api: Api, merchant: Merchant, decision: str, status: str) -> None:
    session = await api.session()
    early = await api.call("POST", session["url"] + "/confirm", {"decision": "confirm"})
    assert early["status"] == "failed", "nothing waits for a confirmation yet"
    answer = await api.pay(session["url"], CONFIRM)
    assert answer["status"] == "requires_confirmation"
    assert not api.world.payments.webhooks.log, "nothing is decided"
    assert (await api.call("POST", answer["confirmUrl"], {"decision": "perhaps"}))["httpStatus"] == 400
    for _ in range(2):
        assert (await api.call("POST", answer["confirmUrl"], {"decision": decision}))["status"] == status
    (event,) = await merchant.wait(1)
    assert event["type"] == f"payment.{status}"
    assert (await api.pay(session["url"], PAYS))["status"] == "succeeded"


async def test_late_card(api: Api, clock: ManualClock, merchant: Merchant) -> None:
    session = await api.session()
    assert (await api.pay(session["url"], LATE))["status"] == "processing"
    clock.advance(4.9)
    assert (await api.pay(session["url"], PAYS))["status"] == "processing"
    assert (await api.standing())["status"] == "open"
    assert (await api.refund())["code"] == "payment_not_paid"
    assert not merchant.events
    clock.advance(0.1)
    (event,) = await merchant.wait(1)
    assert event["type"] == "payment.succeeded"
    assert event["created"] == int(clock.now())
    assert (await api.pay(session["url"], LATE))["status"] == "succeeded"


async def test_card_that_tells_twice(api: Api, merchant: Merchant) -> None:
    await api.paid(TWICE)
    first, second = await merchant.wait(2)
    assert first == second


async def test_card_out_of_order(api: Api, clock: ManualClock, merchant: Merchant) -> None:
    merchant.answers = [500, 200]
    await api.paid(UNORDERED)
    await merchant.wait(1)
    while len(merchant.events) < 3:
        clock.advance(0.1)
        await asyncio.sleep(0.01)
    assert [event["type"] for event in merchant.events] == ["payment.succeeded", "payment.succeeded", "payment.failed"]
    assert merchant.events[2]["created"] < merchant.events[1]["created"]


async def test_other_cards_are_refused(api: Api, merchant: Merchant) -> None:
    session = await api.session()
    for card in ("5555555555554444", "", "4242", "４２４２４２４２４２４２４２４２"):
        answer = await api.pay(session["url"], card)
        assert (answer["httpStatus"], answer["testCards"].keys()) == (400, CARDS.keys())
    assert "5555" not in str(await api.pay(session["url"], "5555555555554444")), "no card number is repeated"
    assert not merchant.events


# Refunds and look-up.


async def test_refunds_until_nothing_is_left(api: Api, merchant: Merchant) -> None:
    await api.paid()
    first = await api.refund()
    assert (first["httpStatus"], first["status"], first["id"][:8]) == (201, "succeeded", "re_fake_")
    assert (await api.refund("refund-2", amountMinor=1500))["refundableMinor"] == 1499
    assert (await api.refund("refund-2", amountMinor=1499))["httpStatus"] == 201
    assert (await api.refund("refund-3", amountMinor=1))["code"] == "amount_too_large"
    events = (await merchant.wait(3))[1:]
    assert {event["type"] for event in events} == {"payment.refunded"}
    assert {(event["data"]["refundId"], event["data"]["amountMinor"]) for event in events} == {
        ("refund-1", 500),
        ("refund-2", 1499),
    }
    standing = await api.standing()
    assert (standing["status"], standing["amountMinor"], standing["refundedMinor"]) == ("paid", 1999, 1999)
    assert [refund["refundId"] for refund in standing["refunds"]] == ["refund-1", "refund-2"]


async def test_the_same_refund_again_is_the_same(api: Api, merchant: Merchant) -> None:
    await api.paid()
    answers = await asyncio.gather(*(api.refund() for _ in range(10)))
    assert sorted(answer["httpStatus"] for answer in answers) == [200] * 9 + [201]
    assert len({answer["id"] for answer in answers}) == 1
    assert (await api.refund(key="another key"))["httpStatus"] == 200, "the refund's own id is enough"
    assert (await api.refund(amountMinor=501))["code"] == "idempotency_mismatch"
    assert (await api.refund("refund-2", key="refund-1"))["code"] == "idempotency_mismatch"
    assert (await api.standing())["refundedMinor"] == 500
    assert len(await merchant.wait(2)) == 2


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amountMinor": 0}, 400, "not_valid"),
        ({"amountMinor": 1.5}, 400, "not_valid"),
        ({"currency": "usd"}, 400, "not_valid"),
        ({"paymentId": 5}, 400, "not_valid"),
        ({"reason": ["why"]}, 400, "not_valid"),
        ({"paymentId": "another"}, 404, "payment_unknown"),
        ({"currency": "EUR"}, 409, "currency_mismatch"),
        ({"amountMinor": 2000}, 409, "amount_too_large"),
    ],
)
async def test_bad_refunds(api: Api, changes: dict[str, Any], status: int, code: str) -> None:
    await api.paid()
    answer = await api.refund(**changes)
    assert (answer["httpStatus"], answer["code"]) == (status, code)
    assert (await api.standing())["refunds"] == []


async def test_refunds_of_one_payment_are_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_REFUNDS", 1)
    await api.paid()
    await api.refund()
    assert (await api.refund("refund-2"))["code"] == "too_many_refunds"


async def test_slow_refunds(api: Api, clock: ManualClock, merchant: Merchant) -> None:
    await api.paid(SLOW_REFUNDS)
    assert (await api.refund(amountMinor=1999))["status"] == "pending"
    assert (await api.refund("refund-2"))["refundableMinor"] == 0, "what is on its way counts"
    assert (await api.standing())["refundedMinor"] == 0
    clock.advance(5)
    assert (await api.refund(amountMinor=1999))["status"] == "succeeded"
    assert (await merchant.wait(2))[1]["type"] == "payment.refunded"
    assert (await api.standing())["refundedMinor"] == 1999


async def test_refunds_that_fail_late(api: Api, clock: ManualClock, merchant: Merchant) -> None:
    await api.paid(FAILING_REFUNDS)
    assert (await api.refund(amountMinor=1999))["status"] == "pending"
    clock.advance(5)
    event = (await merchant.wait(2))[1]
    assert (event["type"], event["data"]["refundId"]) == ("payment.refund_failed", "refund-1")
    assert (await api.refund("refund-2"))["status"] == "pending", "what failed is left"
    assert (await api.standing())["refundedMinor"] == 0


async def test_memory_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_REMEMBERED", 3)
    for number in range(5):
        await api.session(f"key-{number}", paymentId=f"payment-{number}")
    assert (await api.standing("payment-0"))["httpStatus"] == 404
    assert (await api.standing("payment-4"))["status"] == "open"


@pytest.mark.parametrize(
    ("amount", "currency", "printed"),
    [
        (1999, "USD", "19.99 USD"),
        (5, "EUR", "0.05 EUR"),
        (123456789, "USD", "1,234,567.89 USD"),
        (500, "JPY", "500 JPY"),
        (1234567, "KWD", "1,234.567 KWD"),
        (12345, "CLF", "1.2345 CLF"),
    ],
)
def test_prices(amount: int, currency: str, printed: str) -> None:
    assert format_price(amount, currency) == printed


def test_every_card_can_be_told_apart() -> None:
    assert len({card.label for card in CARDS.values()}) == len(CARDS)
    assert {len(card.printed) for card in CARDS.values()} == {19}
    assert exponent("SEK") == 2
