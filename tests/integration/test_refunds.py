"""Refunds on a real database: never more than was paid, never twice, never forgotten, and what they do to access."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.call import Caller
from core.enrollments.rules import GRANT
from core.errors import AlreadyExists, DomainError, FailedPrecondition, NotFound
from core.ids import new_id, to_bytes, to_text
from core.payments import queries, refunds
from core.payments.providers import RefundOrder, RefundRefused, RefundStatus
from skillforge.v1 import payments_pb2
from skillforge.v1.courses_pb2 import Course, Money
from skillforge.v1.payments_pb2 import GetPaymentRequest, Payment, Refund
from tests.support.classroom import refused
from tests.support.school import School

SUCCEEDED = payments_pb2.PAYMENT_STATUS_SUCCEEDED
REFUNDED = payments_pb2.PAYMENT_STATUS_REFUNDED
PARTIALLY_REFUNDED = payments_pb2.PAYMENT_STATUS_PARTIALLY_REFUNDED
OPEN, MADE, LOST = (
    payments_pb2.REFUND_STATUS_PENDING,
    payments_pb2.REFUND_STATUS_SUCCEEDED,
    payments_pb2.REFUND_STATUS_FAILED,
)
CHARGE, ORDER, BACK, RELEASE = 1, 2, 3, 4


@pytest.fixture
async def admin(school: School) -> Caller:
    return await school.person("ADMIN")


@pytest.fixture
async def course(school: School) -> Course:
    return await school.paid_course((1,))


@pytest.fixture
async def payment(school: School, student: Caller, course: Course) -> Payment:
    return await school.paid(student, course)


async def read(school: School, payment: Payment, who: Caller) -> Payment:
    return await school.run(GetPaymentRequest(payment_id=payment.id), who)  # type: ignore[no-any-return]


async def has_access(school: School, payment: Payment) -> bool:
    sql = "SELECT 1 FROM enrollments WHERE student_id = %s AND course_id = %s AND status = 1"
    return await school.value(sql, to_bytes(payment.student_id), to_bytes(payment.course_id)) is not None


async def reserved(school: School, payment: Payment) -> int:
    return int(await school.value("SELECT reserved_minor FROM payments WHERE id = %s", to_bytes(payment.id)))


# Making one


async def test_parts_then_all_of_a_payment_go_back(school: School, admin: Caller, student: Caller, payment: Payment) -> None:
    first = await school.give_back(admin, payment, 900)
    assert school.status == 201
    assert (first.status, first.amount.amount_minor, first.payment_id) == (MADE, 900, payment.id)
    assert first.reason == "It was not for me."
    now = await read(school, payment, student)
    assert (now.status, now.refunded_minor, now.receipt.refunded) == (PARTIALLY_REFUNDED, 900, "9.00 USD")
    assert await has_access(school, payment)
    rest = await school.give_back(admin, payment)
    assert rest.amount.amount_minor == 4000
    now = await read(school, payment, student)
    assert (now.status, now.refunded_minor, list(now.refunds)) == (REFUNDED, 4900, [first, rest])
    assert not await has_access(school, payment)
    assert Counter(await school.ledger(payment)) == Counter(
        [(CHARGE, 4900), (ORDER, 900), (BACK, 900), (ORDER, 4000), (BACK, 4000)]
    )
    [asked, _] = school.provider.orders
    assert (asked.payment_id, asked.amount_minor, asked.reference) == (payment.id, 900, f"cs_{payment.id}")
    await refused(FailedPrecondition, "PAYMENT_NOT_REFUNDABLE", school.give_back(admin, payment))


async def test_what_cannot_be_refunded(school: School, admin: Caller, student: Caller, course: Course) -> None:
    unpaid = await school.open_payment(student, course)
    await refused(FailedPrecondition, "PAYMENT_NOT_REFUNDABLE", school.give_back(admin, unpaid))
    await school.settle(unpaid)
    assert await refused(FailedPrecondition, "REFUND_TOO_LARGE", school.give_back(admin, unpaid, 4901)) == ["amountMinor range"]
    await refused(NotFound, "NOT_FOUND", school.give_back(admin, Payment(id=to_text(new_id()))))
    assert school.provider.orders == []


async def test_access_stays_for_who_has_it_otherwise_too(school: School, admin: Caller, payment: Payment) -> None:
    ids = (to_bytes(payment.student_id), to_bytes(payment.course_id))
    await school.db.transact(lambda tx: school.enrollments.grant(tx, *ids, GRANT, ids[1], school.now))
    await school.give_back(admin, payment)
    assert await has_access(school, payment)
    sql = "SELECT COUNT(*) FROM entitlements WHERE source_id = %s AND end_time IS NULL"
    assert await school.value(sql, to_bytes(payment.id)) == 0


async def test_who_paid_twice_keeps_access_until_both_are_given_back(school: School, admin: Caller, payment: Payment) -> None:
    second = await school.another_payment(payment)
    await school.settle(second)
    await school.give_back(admin, payment)
    assert await has_access(school, payment)
    await school.give_back(admin, second)
    assert not await has_access(school, payment)


# At once


async def test_the_same_full_refund_ten_times_at_once_is_made_once(school: School, admin: Caller, payment: Payment) -> None:
    answers = await asyncio.gather(*(school.give_back(admin, payment) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(item, Refund) for item in answers) == 1
    assert {item.reason for item in answers if isinstance(item, DomainError)} == {"PAYMENT_NOT_REFUNDABLE"}
    assert len(school.provider.refunds) == 1


async def test_parts_at_once_never_exceed_what_was_paid(school: School, admin: Caller, payment: Payment) -> None:
    answers = await asyncio.gather(*(school.give_back(admin, payment, 1500) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(item, Refund) for item in answers) == 3
    assert sum(order.amount_minor for order in school.provider.refunds.values()) == 4500
    assert (await read(school, payment, admin)).refunded_minor == 4500
    assert await reserved(school, payment) == 0


async def test_a_key_names_one_refund_even_where_its_first_answer_is_lost(
    school: School, admin: Caller, payment: Payment
) -> None:
    answers = await asyncio.gather(*(school.give_back(admin, payment, 500, key="once") for _ in range(5)))
    assert len({item.id for item in answers}) == 1
    again = await school.give_back(admin, payment, 500, key="once")
    assert again == answers[0]
    assert (await read(school, payment, admin)).refunded_minor == 500
    await refused(AlreadyExists, "IDEMPOTENCY_KEY_REUSED", school.give_back(admin, payment, 600, key="once"))
    assert (await school.give_back(admin, payment, 500, key="twice")).id != again.id
    other = await school.person("ADMIN")
    assert (await school.give_back(other, payment, 500, key="once")).id != again.id


# What the provider says


async def test_a_provider_that_is_away_is_asked_again(school: School, admin: Caller, student: Caller, payment: Payment) -> None:
    school.provider.down = True
    refund = await school.give_back(admin, payment, 900)
    assert (school.status, refund.status) == (202, OPEN)
    assert (await read(school, payment, student)).status == SUCCEEDED
    await refused(FailedPrecondition, "REFUND_TOO_LARGE", school.give_back(admin, payment, 4001))
    school.later(seconds=31)
    await school.payments.complete_refunds(school.now, 1000)
    assert (await read(school, payment, student)).refunds[0].status == OPEN
    school.provider.down = False
    school.later(seconds=61)
    await school.payments.complete_refunds(school.now, 1000)
    now = await read(school, payment, student)
    assert (now.status, now.refunded_minor, now.refunds[0].status) == (PARTIALLY_REFUNDED, 900, MADE)
    assert {order.refund_id for order in school.provider.orders} == {refund.id}
    assert await school.payments.complete_refunds(school.now, 1000) == 0


async def test_a_process_that_dies_between_order_and_answer(
    school: School, admin: Caller, payment: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped with all it knows: once before the provider was asked, once after."""
    for asked in (False, True):

        async def die(self: refunds.Refunds, order: queries.OrderRow, asked: bool = asked) -> None:
            if asked:
                provider = self._providers.named(order.provider)
                assert provider is not None
                ids = (to_text(order.refund_id), to_text(order.payment_id), order.provider_reference)
                await provider.refund(RefundOrder(*ids, order.amount_minor, order.currency, order.reason))
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(refunds.Refunds, "_ask", die)
            with pytest.raises(asyncio.CancelledError):
                await school.give_back(admin, payment, 700)
        assert await reserved(school, payment) == 700
        school.later(seconds=31)
        before = len(school.provider.orders)
        await asyncio.gather(*(school.payments.complete_refunds(school.now, 1000) for _ in range(3)))
        assert await reserved(school, payment) == 0
        assert len(school.provider.orders) == before + 1, "one of those who sweep asks"
    assert sum(order.amount_minor for order in school.provider.refunds.values()) == 1400
    assert (await read(school, payment, admin)).refunded_minor == 1400


async def test_a_refund_that_is_refused_reserves_nothing(
    school: School, admin: Caller, student: Caller, payment: Payment
) -> None:
    school.provider.refusal = RefundRefused("The card was closed.")
    with pytest.raises(FailedPrecondition, match="The card was closed") as caught:
        await school.give_back(admin, payment, key="k")
    assert caught.value.reason == "REFUND_REFUSED"
    now = await read(school, payment, student)
    assert (now.status, now.refunded_minor) == (SUCCEEDED, 0)
    [failed] = now.refunds
    assert (failed.status, failed.failure) == (LOST, "The card was closed.")
    assert Counter(await school.ledger(payment)) == Counter([(CHARGE, 4900), (ORDER, 4900), (RELEASE, 4900)])
    school.provider.refusal = None
    await refused(FailedPrecondition, "REFUND_REFUSED", school.give_back(admin, payment, key="k"))
    assert (await school.give_back(admin, payment)).status == MADE


@pytest.mark.parametrize("end", ["refunded", "refund_failed"])
async def test_a_refund_that_takes_its_time(school: School, admin: Caller, student: Caller, payment: Payment, end: str) -> None:
    school.provider.refund_status = RefundStatus.PENDING
    refund = await school.give_back(admin, payment, 900)
    assert (school.status, refund.status) == (202, OPEN)
    school.later(minutes=5)
    await school.payments.complete_refunds(school.now, 1000)
    assert len(school.provider.orders) == 1, "the provider said that it would tell"
    body = school.event(payment, end, amountMinor=900, refundId=refund.id)
    await asyncio.gather(*(school.deliver(body) for _ in range(5)))
    await school.deliver(school.event(payment, end, amountMinor=900, refundId=refund.id))
    now = await read(school, payment, student)
    if end == "refunded":
        assert (now.status, now.refunded_minor, now.refunds[0].status) == (PARTIALLY_REFUNDED, 900, MADE)
    else:
        assert (now.status, now.refunded_minor, now.refunds[0].status) == (SUCCEEDED, 0, LOST)
    assert await reserved(school, payment) == 0


async def test_the_event_may_come_before_the_answer(
    school: School, admin: Caller, payment: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = school.provider.refund

    async def tell_first(order: Any) -> Any:
        await school.deliver(school.event(payment, "refunded", amountMinor=order.amount_minor, refundId=order.refund_id))
        return await whole(order)

    monkeypatch.setattr(school.provider, "refund", tell_first)
    refund = await school.give_back(admin, payment, 900)
    assert (refund.status, (await read(school, payment, admin)).refunded_minor) == (MADE, 900)


async def test_a_refund_made_at_the_provider_counts_beside_ours(school: School, admin: Caller, payment: Payment) -> None:
    await school.give_back(admin, payment, 900)
    await school.settle(payment, "refunded", amountMinor=900)
    now = await read(school, payment, admin)
    assert now.refunded_minor == 1800
    assert [item.by_provider for item in now.refunds] == [False, True]


async def test_a_repeat_that_would_not_fit_any_more_is_a_repeat(school: School, admin: Caller, payment: Payment) -> None:
    first, second = (school.event(payment, "refunded", amountMinor=amount) for amount in (2450, 1))
    for body in (first, second, first, second, first):
        await school.deliver(body)
    assert (await read(school, payment, admin)).refunded_minor == 2451


async def test_an_event_of_another_amount_than_ordered_is_refused(school: School, admin: Caller, payment: Payment) -> None:
    school.provider.refund_status = RefundStatus.PENDING
    refund = await school.give_back(admin, payment, 900)
    wrong = school.settle(payment, "refunded", amountMinor=901, refundId=refund.id)
    await refused(DomainError, "PAYMENT_MISMATCH", wrong)
    assert await reserved(school, payment) == 900


async def test_a_provider_that_is_not_set_up_any_more_keeps_the_refund_waiting(
    school: School, admin: Caller, payment: Payment
) -> None:
    await school.db.execute("UPDATE payments SET provider = 'gone' WHERE id = %s", (to_bytes(payment.id),))
    assert (await school.give_back(admin, payment, 100)).status == OPEN
    assert school.status == 202


# Around it


async def test_the_student_hears_of_every_step(school: School, admin: Caller, student: Caller, payment: Payment) -> None:
    await school.give_back(admin, payment, 900)
    told = [Payment.FromString(payload) for payload in await school.payloads(student, "payment.updated")]
    assert [(item.status, [refund.status for refund in item.refunds]) for item in told] == [
        (SUCCEEDED, []), (SUCCEEDED, [OPEN]), (PARTIALLY_REFUNDED, [MADE]),
    ]  # fmt: skip


@pytest.mark.parametrize(("currency", "text"), [("JPY", "900 JPY"), ("KWD", "0.900 KWD")])
async def test_currencies_without_and_with_three_decimals(
    school: School, admin: Caller, student: Caller, currency: str, text: str
) -> None:
    author = await school.person("INSTRUCTOR")
    payment = await school.paid(student, await school.course(author, price=Money(amount_minor=4900, currency=currency)))
    await school.give_back(admin, payment, 900)
    assert (await read(school, payment, student)).receipt.refunded == text
    assert school.provider.orders[0][3:5] == (900, currency)


def test_nothing_but_an_insert_writes_to_the_ledger() -> None:
    """No statement of the core changes or deletes an entry."""
    writing = re.compile(r"(UPDATE|DELETE\s+FROM|REPLACE\s+INTO|TRUNCATE(\s+TABLE)?)\s+payment_ledger", re.IGNORECASE)
    root = Path(__file__).resolve().parents[2]
    assert [str(path) for path in (root / "core").rglob("*.py") if writing.search(path.read_text())] == []
