"""Buying and giving back through the public door, with Stripe as the provider: the whole way, and whatever may go wrong on it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest

from core.payments.providers import stripe as ours
from core.times import utc_now
from fakes.stripe.server import SECRET_KEY, StripeFake
from fakes.stripe.shop import Session
from fakes.stripe.wire import Fault
from skillforge.v1 import enrollments_pb2, payments_pb2
from tests.support.polling import eventually
from tests.support.webhooks import ACTIVE, ENDED, PATH, Answer, deliver, event, open_payment, standing
from tests.support.world import Person, World, running_world

SECRETS = ("whsec_stripe_new", "whsec_stripe_old")


@dataclass
class Shop:
    """A world that sells by Stripe."""

    world: World
    stripe: StripeFake

    async def sale(self, price: int = 4900) -> Sale:
        """An open payment of a new student for a new course."""
        course = await self.world.course(await self.world.person("INSTRUCTOR"), price=price, lectures=1, exam=False)
        student = await self.world.person()
        payment = await open_payment(self.world, course, student)
        session_id = payment.checkout_url.rpartition("/")[2]
        return Sale(self, student, payment, self.stripe.shop.session(session_id))

    async def deliver(self, body: bytes, header: str | None = None, url: str = "") -> Answer:
        """A webhook by hand, signed as Stripe does unless a header is given."""
        signed = {"Stripe-Signature": self.stripe.webhooks.signature(body) if header is None else header}
        status, _, answer = await self.world.request("POST", PATH, data=body, headers=signed, url=url)
        return Answer(status, answer.get("reason", ""))

    def events(self) -> list[bytes]:
        """What Stripe told since it was asked last, to be delivered by hand."""
        found = [orjson.dumps(item) for item in self.stripe.webhooks.events]
        self.stripe.webhooks.events.clear()
        return found


@dataclass
class Sale:
    """One payment, with its session at Stripe."""

    shop: Shop
    student: Person
    payment: payments_pb2.Payment
    session: Session

    async def standing(self) -> tuple[str, int, int]:
        """The payment's status, what was refunded of it, and the enrollment's status."""
        found = await standing(self.shop.world, self.payment)
        return found.payment, found.refunded, found.enrollment

    async def becomes(self, status: str, refunded: int, enrollment: int) -> None:
        await eventually(self.standing, lambda found: found == (status, refunded, enrollment))

    async def refund(self, admin: Person, amount: int | None = None) -> tuple[int, Any]:
        body: dict[str, Any] = {"reason": "Asked for"} | ({} if amount is None else {"amountMinor": amount})
        status, _, answer = await self.shop.world.request("POST", f"/payments/{self.payment.id}/refund", person=admin, json=body)
        return status, answer


@pytest.fixture(scope="module")
async def running(database_url: str, redis_url: str) -> AsyncIterator[Shop]:
    stripe = StripeFake(webhook_secrets=SECRETS[:1])
    await stripe.listen()
    given = {"STRIPE_SECRET_KEY": SECRET_KEY, "STRIPE_WEBHOOK_SECRETS": ",".join(SECRETS), "STRIPE_API_URL": stripe.url}
    try:
        async with running_world(database_url, redis_url, PAYMENT_PROVIDER="stripe", **given) as world:
            yield Shop(world, stripe)
    finally:
        await stripe.close()


@pytest.fixture
def shop(running: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Stripe sends its webhooks itself."""
    stripe = running.stripe
    monkeypatch.setattr(ours, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(stripe.webhooks, "url", running.world.url + PATH)
    monkeypatch.setattr(stripe.webhooks, "secrets", list(SECRETS[:1]))
    monkeypatch.setattr(stripe, "broken", None)
    monkeypatch.setattr(stripe.shop, "refunds_wait", False)
    stripe.webhooks.events.clear()
    return running


@pytest.fixture
def quiet(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Stripe's webhooks wait for the test to deliver them."""
    monkeypatch.setattr(shop.stripe.webhooks, "url", "")
    return shop


@pytest.fixture
async def admin(running: Shop) -> Person:
    return await running.world.person("ADMIN")


async def test_from_buying_to_giving_back(shop: Shop, admin: Person) -> None:
    sale = await shop.sale()
    assert sale.payment.provider == "stripe"
    async with shop.world.session.post(sale.payment.checkout_url, data={"outcome": "pay"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, sale.session.order.success_url)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)
    enrolled = await shop.world.call("ListEnrollments", enrollments_pb2.ListEnrollmentsRequest(), sale.student)
    assert [item.course_id for item in enrolled.enrollments] == [sale.payment.course_id]
    status, refund = await sale.refund(admin, 1900)
    assert (status, refund["status"]) == (201, "REFUND_STATUS_SUCCEEDED")
    await sale.becomes("PARTIALLY_REFUNDED", 1900, ACTIVE)
    assert (await sale.refund(admin))[0] == 201
    await sale.becomes("REFUNDED", 4900, ENDED)
    await told_everything(shop)
    assert await sale.standing() == ("REFUNDED", 4900, ENDED)
    assert (await standing(shop.world, sale.payment)).entitlements == 0
    assert (await sale.refund(admin))[1]["reason"] == "PAYMENT_NOT_REFUNDABLE"


async def told_everything(shop: Shop) -> None:
    """Until every webhook was taken."""

    async def waiting() -> int:
        return shop.stripe.webhooks.waiting

    await eventually(waiting, lambda count: count == 0)
    assert {answer for _, answer in shop.stripe.webhooks.answers} == {"200"}
    shop.stripe.webhooks.answers.clear()


async def test_a_declined_card_leaves_the_checkout_open(shop: Shop) -> None:
    sale = await shop.sale()
    shop.stripe.shop.decline(sale.session.id)
    await told_everything(shop)
    assert await sale.standing() == ("PENDING", 0, 0)
    shop.stripe.shop.pay(sale.session.id)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)


@pytest.mark.parametrize(("paid", "becomes"), [(True, ("SUCCEEDED", 0, ACTIVE)), (False, ("FAILED", 0, 0))])
async def test_a_method_that_pays_late(shop: Shop, paid: bool, becomes: tuple[str, int, int]) -> None:
    sale = await shop.sale()
    shop.stripe.shop.pay_late(sale.session.id)
    await told_everything(shop)
    assert await sale.standing() == ("PENDING", 0, 0)
    shop.stripe.shop.settle_late(sale.session.id, paid)
    await sale.becomes(*becomes)


async def test_money_that_comes_after_the_payment_expired_counts(shop: Shop) -> None:
    sale = await shop.sale()
    shop.stripe.shop.pay_late(sale.session.id)
    sql = "UPDATE payments SET expire_time = %s WHERE provider_reference = %s"
    await shop.world.core.resources.db.execute(sql, (utc_now() - timedelta(seconds=1), sale.session.id))
    await shop.world.core._payments.expire_overdue(utc_now(), 1000)
    assert await sale.standing() == ("EXPIRED", 0, 0)
    shop.stripe.shop.settle_late(sale.session.id, paid=True)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)


async def test_a_session_ended_at_stripe_makes_way_for_another(shop: Shop) -> None:
    sale = await shop.sale()
    async with shop.world.session.post(
        f"{shop.stripe.url}/v1/checkout/sessions/{sale.session.id}/expire", headers={"Authorization": f"Bearer {SECRET_KEY}"}
    ) as answer:
        assert answer.status == 200
    await sale.becomes("FAILED", 0, 0)
    request = payments_pb2.CreatePaymentRequest(course_id=sale.payment.course_id)
    again = await shop.world.call("CreatePayment", request, sale.student)
    assert again.id != sale.payment.id
    assert again.checkout_url != sale.payment.checkout_url


@pytest.mark.parametrize("seed", range(6))
async def test_events_in_any_order_and_number_come_to_the_same(quiet: Shop, admin: Person, seed: int) -> None:
    sale = await quiet.sale()
    order = random.Random(seed)
    quiet.stripe.shop.pay(sale.session.id)
    if seed % 2:  # a refund of ours needs the success before; those made at Stripe may come before it
        for body in quiet.events():
            assert await quiet.deliver(body) == Answer(200)
        assert (await sale.refund(admin, 1000))[0] == 201
    quiet.stripe.shop.refund_by_hand(sale.session.id, 900)
    quiet.stripe.shop.refund_by_hand(sale.session.id)
    bodies = quiet.events() * 2
    order.shuffle(bodies)
    assert set(await asyncio.gather(*(quiet.deliver(body) for body in bodies))) == {Answer(200)}
    found = await standing(quiet.world, sale.payment)
    assert (found.payment, found.refunded, found.entitlements) == ("REFUNDED", 4900, 0)
    assert found.enrollment != ACTIVE  # there never was one where the refunds came first


# Refunds


async def test_refunds_at_once_stay_within_what_was_paid(shop: Shop, admin: Person) -> None:
    sale = await shop.sale()
    shop.stripe.shop.pay(sale.session.id)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)
    answers = await asyncio.gather(*(sale.refund(admin, 1500) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [201] * 3 + [400] * 7
    assert {answer["reason"] for status, answer in answers if status == 400} == {"REFUND_TOO_LARGE"}
    await told_everything(shop)
    assert await sale.standing() == ("PARTIALLY_REFUNDED", 4500, ACTIVE)
    assert sale.session.intent is not None
    assert sale.session.intent.amount_refunded == 4500


@pytest.mark.parametrize("succeeded", [True, False])
async def test_a_refund_that_takes_its_time(shop: Shop, admin: Person, succeeded: bool) -> None:
    sale = await shop.sale()
    shop.stripe.shop.pay(sale.session.id)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)
    shop.stripe.shop.refunds_wait = True
    status, refund = await sale.refund(admin)
    assert (status, refund["status"]) == (202, "REFUND_STATUS_PENDING")
    await told_everything(shop)
    assert await sale.standing() == ("SUCCEEDED", 0, ACTIVE)
    assert sale.session.intent is not None
    shop.stripe.shop.finish_refund(sale.session.intent.refunds[0].id, succeeded)
    await told_everything(shop)
    assert await sale.standing() == (("REFUNDED", 4900, ENDED) if succeeded else ("SUCCEEDED", 0, ACTIVE))
    request = payments_pb2.GetPaymentRequest(payment_id=sale.payment.id)
    [found] = (await shop.world.call("GetPayment", request, admin)).refunds
    assert payments_pb2.RefundStatus.Name(found.status) == f"REFUND_STATUS_{'SUCCEEDED' if succeeded else 'FAILED'}"


async def test_a_refund_made_in_the_dashboard_ends_the_access(shop: Shop) -> None:
    sale = await shop.sale()
    shop.stripe.shop.pay(sale.session.id)
    await sale.becomes("SUCCEEDED", 0, ACTIVE)
    shop.stripe.shop.refund_by_hand(sale.session.id)
    await sale.becomes("REFUNDED", 4900, ENDED)


async def test_a_refund_whose_answer_is_lost_is_made_once(quiet: Shop, admin: Person) -> None:
    sale = await quiet.sale()
    quiet.stripe.shop.pay(sale.session.id)
    for body in quiet.events():
        await quiet.deliver(body)
    # The session and the list of refunds are read before; then the answer is lost, and Stripe with it.
    quiet.stripe.faults.extend([Fault.SLOW, Fault.SLOW, Fault.CUT, Fault.UNAVAILABLE, Fault.UNAVAILABLE])
    status, refund = await sale.refund(admin, 1000)
    assert (status, refund["status"]) == (202, "REFUND_STATUS_PENDING")
    assert sale.session.intent is not None
    assert sale.session.intent.amount_refunded == 1000
    await quiet.world.core._payments.complete_refunds(utc_now() + timedelta(hours=2), 1000)
    assert await sale.standing() == ("PARTIALLY_REFUNDED", 1000, ACTIVE)
    assert sale.session.intent.amount_refunded == 1000
    assert {await quiet.deliver(body) for body in quiet.events()} == {Answer(200)}
    assert await sale.standing() == ("PARTIALLY_REFUNDED", 1000, ACTIVE)


# Webhooks


async def paid(shop: Shop) -> tuple[Sale, bytes]:
    """A sale that was paid, and the event that tells so."""
    sale = await shop.sale()
    shop.stripe.shop.pay(sale.session.id)
    return sale, shop.events()[-1]


async def test_what_is_not_signed_rightly_is_refused(quiet: Shop) -> None:
    sale, body = await paid(quiet)
    sender = quiet.stripe.webhooks
    good = sender.signature(body)
    old = sender.signature(body, int(time.time()) - 301)
    for tampered, header, reason in (
        (body.replace(b'"paid"', b'"PAID"'), good, "SIGNATURE_INVALID"),
        (body + b" ", good, "SIGNATURE_INVALID"),
        (body, good.replace("v1=", "v0="), "SIGNATURE_INVALID"),
        (body, "", "SIGNATURE_INVALID"),
        (body, "t=1,v1=" + "0" * 64, "SIGNATURE_INVALID"),
        (body, old, "SIGNATURE_EXPIRED"),
    ):
        assert await quiet.deliver(tampered, header) == Answer(400, reason)
    # Our own header does not open the door to Stripe's events, nor the other way.
    assert (await deliver(quiet.world, body, header=good)).status == 400
    assert await sale.standing() == ("PENDING", 0, 0)
    assert await quiet.deliver(body, good) == Answer(200)
    assert await sale.standing() == ("SUCCEEDED", 0, ACTIVE)


async def test_a_gateway_apart_from_the_core_passes_the_signature_on(quiet: Shop) -> None:
    sale, body = await paid(quiet)
    assert await quiet.deliver(body, url=quiet.world.remote_url) == Answer(200)
    assert await sale.standing() == ("SUCCEEDED", 0, ACTIVE)


@pytest.mark.parametrize("secrets", [SECRETS[1:], SECRETS, ("whsec_unknown", *SECRETS[:1])])
async def test_secrets_are_rotated_without_a_gap(quiet: Shop, secrets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    sale, body = await paid(quiet)
    monkeypatch.setattr(quiet.stripe.webhooks, "secrets", list(secrets))
    assert await quiet.deliver(body) == Answer(200)
    assert await sale.standing() == ("SUCCEEDED", 0, ACTIVE)


async def test_one_provider_cannot_settle_another_s_payments(quiet: Shop) -> None:
    sale = await quiet.sale()
    assert await deliver(quiet.world, event(sale.payment)) == Answer(400, "PAYMENT_UNKNOWN")
    assert await sale.standing() == ("PENDING", 0, 0)


async def test_what_is_not_ours_is_taken_and_changes_nothing(quiet: Shop) -> None:
    sale, body = await paid(quiet)
    told = orjson.loads(body)
    changes: list[dict[str, Any]] = [{"type": "customer.created"}, {"livemode": True}, {"account": "acct_1"}]
    strangers = [orjson.dumps(told | change) for change in changes]
    told["data"]["object"]["metadata"] = {"order": "5"}
    for stranger in (*strangers, orjson.dumps(told)):
        assert await quiet.deliver(stranger) == Answer(200)
    assert await sale.standing() == ("PENDING", 0, 0)


@pytest.mark.parametrize("changes", [{"amount_total": 4899}, {"currency": "eur"}])
async def test_another_amount_than_the_price_is_refused(quiet: Shop, changes: dict[str, Any]) -> None:
    sale, body = await paid(quiet)
    told = orjson.loads(body)
    told["data"]["object"] |= changes
    assert await quiet.deliver(orjson.dumps(told)) == Answer(400, "PAYMENT_MISMATCH")
    assert await sale.standing() == ("PENDING", 0, 0)


@pytest.mark.parametrize(("body", "reason"), [(b"{", "MALFORMED_JSON"), (b'"x"', "INVALID_ARGUMENT")])
async def test_what_is_signed_and_no_event_is_refused(quiet: Shop, body: bytes, reason: str) -> None:
    assert await quiet.deliver(body) == Answer(400, reason)


async def test_a_webhook_that_was_lost_is_found_by_reconciliation(quiet: Shop) -> None:
    sale, _ = await paid(quiet)
    findings: list[Any] = []
    await quiet.world.core.reconciliation(dry_run=False, found=findings.append, progress=lambda _: None).run(
        utc_now() - timedelta(minutes=5)
    )
    assert await sale.standing() == ("SUCCEEDED", 0, ACTIVE)
    assert "MISSED_SUCCESS" in {finding.problem.name for finding in findings}
    quiet.stripe.shop.refund_by_hand(sale.session.id)
    await quiet.world.core.reconciliation(dry_run=False, found=findings.append, progress=lambda _: None).run(
        utc_now() - timedelta(minutes=5)
    )
    assert await sale.standing() == ("REFUNDED", 4900, ENDED)
    assert {await quiet.deliver(body) for body in quiet.events()} == {Answer(200)}
    assert await sale.standing() == ("REFUNDED", 4900, ENDED)


# Opening a payment while Stripe fails


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LIMITED, Fault.GARBAGE, Fault.SILENT])
async def test_while_stripe_is_away_a_payment_waits_for_it(shop: Shop, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 0.3)
    course = await shop.world.course(await shop.world.person("INSTRUCTOR"), price=4900, lectures=1, exam=False)
    student = await shop.world.person()
    shop.stripe.broken = fault
    body = {"courseId": course.id}
    status, headers, answer = await shop.world.request("POST", "/payments/create", person=student, json=body)
    assert (status, answer["reason"]) == (503, "PAYMENT_PROVIDER_UNAVAILABLE")
    assert int(headers["retry-after"]) >= 1
    shop.stripe.broken = None
    monkeypatch.setattr(ours, "DEADLINE_SECONDS", 5.0)
    status, _, answer = await shop.world.request("POST", "/payments/create", person=student, json=body)
    assert status == 200
    assert answer["checkoutUrl"].startswith(shop.stripe.url)


async def test_many_who_ask_at_once_are_sent_to_one_checkout(shop: Shop) -> None:
    course = await shop.world.course(await shop.world.person("INSTRUCTOR"), price=4900, lectures=1, exam=False)
    student = await shop.world.person()
    payments = await asyncio.gather(*(open_payment(shop.world, course, student) for _ in range(8)))
    assert len({(payment.id, payment.checkout_url) for payment in payments}) == 1


async def test_a_price_that_stripe_cannot_charge_is_refused_with_the_reason(shop: Shop) -> None:
    course = await shop.world.course(await shop.world.person("INSTRUCTOR"), price=20, lectures=1, exam=False)
    body = {"courseId": course.id}
    student = await shop.world.person()
    status, _, answer = await shop.world.request("POST", "/payments/create", person=student, json=body)
    assert (status, answer["reason"]) == (400, "PRICE_NOT_PAYABLE")
    assert "$0.50" in answer["detail"]
