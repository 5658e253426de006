"""Payments as a service on a real database: opening, settling, and what floods and races may not break."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.call import Caller
from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from core.ids import new_id, to_bytes, to_text
from core.payments.providers import Providers
from core.payments.service import PaymentsService
from skillforge.v1 import courses_pb2, payments_pb2
from skillforge.v1.courses_pb2 import Course
from skillforge.v1.payments_pb2 import CreatePaymentRequest, GetPaymentRequest, ListPaymentsRequest, Payment
from tests.support.classroom import refused
from tests.support.school import PRICE, PUBLIC_URL, SECRETS, School, open_school

PENDING = payments_pb2.PAYMENT_STATUS_PENDING
SUCCEEDED = payments_pb2.PAYMENT_STATUS_SUCCEEDED
FAILED = payments_pb2.PAYMENT_STATUS_FAILED
REFUNDED = payments_pb2.PAYMENT_STATUS_REFUNDED
PARTIALLY_REFUNDED = payments_pb2.PAYMENT_STATUS_PARTIALLY_REFUNDED
EXPIRED = payments_pb2.PAYMENT_STATUS_EXPIRED


@pytest.fixture
async def course(school: School) -> Course:
    return await school.paid_course()


async def status(school: School, payment: Payment, who: Caller) -> int:
    read = await school.run(GetPaymentRequest(payment_id=payment.id), who)
    return int(read.status)


async def standing(school: School, who: Caller, course: Course) -> tuple[int | None, int, int]:
    """The enrollment's status, active entitlements, and the course's count."""
    pair = (who.user_id, to_bytes(course.id))
    return (
        await school.value("SELECT status FROM enrollments WHERE student_id = %s AND course_id = %s", *pair),
        await school.value(
            "SELECT COUNT(*) FROM entitlements WHERE student_id = %s AND course_id = %s AND end_time IS NULL", *pair
        ),
        await school.value("SELECT enrollment_count FROM courses WHERE id = %s", pair[1]),
    )


# Opening


async def test_a_payment_is_opened_once_and_found_again(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    assert school.status == 201
    assert (payment.status, payment.amount, payment.course_id) == (PENDING, PRICE, course.id)
    assert payment.checkout_url == f"https://pay.example.com/{payment.id}"
    assert payment.expire_time.seconds - payment.create_time.seconds == 1800
    assert await school.open_payment(student, course) == payment
    assert school.status == 200
    [asked] = school.provider.asked
    assert asked.success_url.startswith(PUBLIC_URL)
    assert (asked.amount_minor, asked.currency, asked.description) == (4900, "USD", course.title)
    audited = "SELECT COUNT(*) FROM audit_events WHERE actor_id = %s AND action = 'payment.create'"
    assert await school.value(audited, student.user_id) == 1


async def test_many_calls_at_once_open_one(school: School, student: Caller, course: Course) -> None:
    payments = await asyncio.gather(*(school.open_payment(student, course) for _ in range(20)))
    assert len({payment.id for payment in payments}) == 1
    assert all(payment.checkout_url for payment in payments)
    assert await school.value("SELECT COUNT(*) FROM payments WHERE student_id = %s", student.user_id) == 1


async def test_what_cannot_be_bought(school: School, student: Caller, course: Course) -> None:
    author = await school.person("INSTRUCTOR")
    draft = await school.course(author, publish=False, price=PRICE)
    free = await school.course(author)
    await refused(NotFound, "NOT_FOUND", school.run(CreatePaymentRequest(course_id=to_text(new_id())), student))
    await refused(NotFound, "NOT_FOUND", school.run(CreatePaymentRequest(course_id=draft.id), student))
    await refused(FailedPrecondition, "COURSE_FREE", school.run(CreatePaymentRequest(course_id=free.id), student))
    request = CreatePaymentRequest(course_id=course.id, coupon_code="SUMMER")
    assert await refused(InvalidArgument, "COUPON_INVALID", school.run(request, student)) == ["couponCode coupon"]
    await school.settle(await school.open_payment(student, course))
    await refused(AlreadyExists, "ALREADY_ENROLLED", school.open_payment(student, course))


async def test_without_a_provider_nothing_is_sold(school: School, student: Caller, course: Course) -> None:
    school._services["PaymentsService"] = PaymentsService(
        school.db, school.catalog, school.enrollments, None, None, Providers([]), lambda: school.now, PUBLIC_URL  # type: ignore[arg-type]
    )  # fmt: skip
    await refused(FailedPrecondition, "PAYMENTS_NOT_CONFIGURED", school.open_payment(student, course))


async def test_a_provider_that_is_down_is_asked_again_about_the_same_payment(
    school: School, student: Caller, course: Course
) -> None:
    school.provider.down = True
    with pytest.raises(Unavailable) as caught:
        await school.open_payment(student, course)
    assert (caught.value.reason, caught.value.retry_after) == ("PAYMENT_PROVIDER_UNAVAILABLE", 3.0)
    [kept] = (await school.run(ListPaymentsRequest(), student)).payments
    assert (kept.status, kept.checkout_url) == (PENDING, "")
    school.provider.down = False
    payment = await school.open_payment(student, course)
    assert payment.id == kept.id
    assert payment.checkout_url
    assert {checkout.payment_id for checkout in school.provider.asked} == {kept.id}


async def test_an_overdue_or_outdated_payment_gives_way(school: School, student: Caller) -> None:
    author = await school.person("INSTRUCTOR")
    course = await school.course(author, price=PRICE)
    first = await school.open_payment(student, course)
    school.later(minutes=30)
    second = await school.open_payment(student, course)
    assert second.id != first.id
    dearer = courses_pb2.Money(amount_minor=5900, currency="USD")
    update = courses_pb2.UpdateCourseRequest(course_id=course.id, title="Course", description="About it", price=dearer)
    await school.run(update, author)
    third = await school.open_payment(student, course)
    assert third.amount == dearer
    assert [await status(school, item, student) for item in (first, second, third)] == [EXPIRED, EXPIRED, PENDING]
    assert await school.events_of(student, "payment.updated") == 2


async def test_the_sweep_expires_what_is_overdue_once(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    school.later(minutes=31)
    assert (await school.run(GetPaymentRequest(payment_id=payment.id), student)).checkout_url == ""
    counts = await asyncio.gather(*(school.payments.expire_overdue(school.now, 100) for _ in range(4)))
    assert sum(counts) >= 1  # other tests leave open payments too
    assert await status(school, payment, student) == EXPIRED
    assert await school.events_of(student, "payment.updated") == 1


# Settling


async def test_a_success_unlocks_the_course(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment)
    read = await school.run(GetPaymentRequest(payment_id=payment.id), student)
    assert (read.status, read.checkout_url) == (SUCCEEDED, "")
    assert await standing(school, student, course) == (1, 1, 1)
    assert await school.events_of(student, "payment.updated") == 1
    assert await school.events_of(student, "enrollment.unlocked") == 1


@pytest.mark.parametrize("copies", [2, 50])
async def test_the_same_event_many_times_at_once(school: School, student: Caller, course: Course, copies: int) -> None:
    payment = await school.open_payment(student, course)
    body = school.event(payment)
    await asyncio.gather(*(school.deliver(body) for _ in range(copies)))
    await school.deliver(body)
    assert await standing(school, student, course) == (1, 1, 1)
    assert await school.value("SELECT COUNT(*) FROM payment_events WHERE payment_id = %s", to_bytes(payment.id)) == 1
    assert await school.events_of(student, "enrollment.unlocked") == 1
    assert await school.events_of(student, "payment.updated") == 1


async def test_the_same_events_in_several_processes_at_once(
    school: School, database_url: str, redis_url: str, course: Course
) -> None:
    """Each service here has its own pool and batches, as each process has."""
    async with open_school(database_url, redis_url) as second, open_school(database_url, redis_url) as third:
        schools = [school, second, third]
        second.now = third.now = school.now
        students = [await school.person() for _ in range(15)]
        payments = [await school.open_payment(who, course) for who in students]
        bodies = [school.event(payment) for payment in payments]
        await asyncio.gather(*(one.deliver(body) for body in bodies for one in schools))
    for who in students:
        assert await standing(school, who, course) == (1, 1, 15)
        assert await school.events_of(who, "enrollment.unlocked") == 1
        assert await school.events_of(who, "payment.updated") == 1


async def test_many_students_pay_at_once(school: School, course: Course) -> None:
    students = [await school.person() for _ in range(40)]
    payments = [await school.open_payment(who, course) for who in students]
    await asyncio.gather(*(school.settle(payment) for payment in payments))
    assert {await standing(school, who, course) for who in students} == {(1, 1, 40)}


async def test_two_payments_for_one_course_make_one_enrollment(school: School, student: Caller, course: Course) -> None:
    first = await school.open_payment(student, course)
    second = await school.another_payment(first)
    await asyncio.gather(school.settle(first), school.settle(second))
    assert await standing(school, student, course) == (1, 2, 1)
    await school.settle(first, "refunded")
    assert await standing(school, student, course) == (1, 1, 1)
    await school.settle(second, "refunded")
    assert await standing(school, student, course) == (2, 0, 0)
    assert await school.events_of(student, "enrollment.unlocked") == 1


async def test_a_success_after_a_failure_counts(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment, "failed")
    assert await status(school, payment, student) == FAILED
    assert (await standing(school, student, course))[0] is None
    retry = await school.open_payment(student, course)
    assert retry.id != payment.id
    await school.settle(payment)
    assert await status(school, payment, student) == SUCCEEDED
    assert await standing(school, student, course) == (1, 1, 1)


async def test_a_failure_after_a_success_changes_nothing(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment)
    await school.settle(payment, "failed")
    assert await status(school, payment, student) == SUCCEEDED
    assert await standing(school, student, course) == (1, 1, 1)


async def test_a_late_success_counts(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    school.later(hours=1)
    await school.payments.expire_overdue(school.now, 1000)
    await school.settle(payment)
    assert await status(school, payment, student) == SUCCEEDED
    assert await standing(school, student, course) == (1, 1, 1)


async def test_refunds_end_the_access_when_all_is_refunded(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment)
    await school.settle(payment, "refunded", amountMinor=4000)
    assert await status(school, payment, student) == PARTIALLY_REFUNDED
    assert await standing(school, student, course) == (1, 1, 1)
    await school.settle(payment, "refunded", amountMinor=900)
    assert await status(school, payment, student) == REFUNDED
    assert await standing(school, student, course) == (2, 0, 0)
    again = await school.open_payment(student, course)
    await school.settle(again)
    assert await standing(school, student, course) == (1, 1, 1)


async def test_a_refund_before_its_success_counts_too(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment, "refunded")
    assert await status(school, payment, student) == PENDING
    await school.settle(payment)
    assert await status(school, payment, student) == REFUNDED
    assert await standing(school, student, course) == (None, 0, 0)


async def test_everything_at_once_ends_the_same(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    bodies = [school.event(payment, kind) for kind in ("refunded", "failed", "succeeded", "succeeded")]
    await asyncio.gather(*(school.deliver(body) for body in bodies * 5))
    assert await status(school, payment, student) == REFUNDED
    active = "SELECT COUNT(*) FROM entitlements WHERE source_id = %s AND end_time IS NULL"
    assert await school.value(active, to_bytes(payment.id)) == 0


@pytest.mark.parametrize("wrong", [{"amountMinor": 4899}, {"currency": "EUR"}])
async def test_a_mismatch_changes_nothing_and_can_be_corrected(
    school: School, student: Caller, course: Course, wrong: dict[str, Any]
) -> None:
    payment = await school.open_payment(student, course)
    event_id = f"evt_{payment.id}"
    await refused(InvalidArgument, "PAYMENT_MISMATCH", school.settle(payment, id=event_id, **wrong))
    assert await status(school, payment, student) == PENDING
    assert await school.value("SELECT COUNT(*) FROM payment_events WHERE event_id = %s", event_id) == 0
    await school.settle(payment, id=event_id)
    assert await status(school, payment, student) == SUCCEEDED


async def test_an_unknown_payment_stores_nothing(school: School) -> None:
    stranger = Payment(id=to_text(new_id()), amount=PRICE)
    await refused(InvalidArgument, "PAYMENT_UNKNOWN", school.settle(stranger, id="evt_unknown"))
    assert await school.value("SELECT COUNT(*) FROM payment_events WHERE event_id = 'evt_unknown'") == 0


async def test_one_bad_event_spoils_no_other(school: School, course: Course) -> None:
    students = [await school.person() for _ in range(6)]
    payments = [await school.open_payment(who, course) for who in students]
    stranger = Payment(id=to_text(new_id()), amount=PRICE)
    results = await asyncio.gather(*(school.settle(item) for item in [*payments, stranger]), return_exceptions=True)
    assert results[:-1] == [None] * 6
    assert isinstance(results[-1], InvalidArgument)
    assert {await standing(school, who, course) for who in students} == {(1, 1, 6)}


async def test_signatures(school: School, student: Caller, course: Course) -> None:
    body = school.event(await school.open_payment(student, course))
    for wrong in ({"header": ""}, {"header": "t=1,v1=x"}, {"secret": "whsec_other"}):
        await refused(InvalidArgument, "SIGNATURE_INVALID", school.deliver(body, **wrong))  # type: ignore[arg-type]
    await refused(InvalidArgument, "SIGNATURE_EXPIRED", school.deliver(body, age=301))
    assert await standing(school, student, course) == (None, 0, 0)
    await school.deliver(body, secret=SECRETS[1], age=299)
    assert await standing(school, student, course) == (1, 1, 1)


async def test_events_that_mean_nothing_are_acknowledged(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    await school.settle(payment, "disputed", id="evt_strange")
    assert await school.value("SELECT COUNT(*) FROM payment_events WHERE event_id = 'evt_strange'") == 0
    assert await status(school, payment, student) == PENDING


# Reading


async def test_payments_are_their_student_s_and_admins(school: School, student: Caller, course: Course) -> None:
    payment = await school.open_payment(student, course)
    other, admin = await school.person(), await school.person("ADMIN")
    request = GetPaymentRequest(payment_id=payment.id)
    assert await school.run(request, student) == await school.run(request, admin) == payment
    await refused(NotFound, "NOT_FOUND", school.run(request, other))
    await refused(NotFound, "NOT_FOUND", school.run(ListPaymentsRequest(student_id=payment.student_id), other))
    assert list((await school.run(ListPaymentsRequest(), other)).payments) == []
    listed = await school.run(ListPaymentsRequest(student_id=payment.student_id), admin)
    assert list(listed.payments) == [payment]


async def test_lists_are_paged_newest_first(school: School, student: Caller) -> None:
    payments = [await school.open_payment(student, await school.paid_course((1,))) for _ in range(5)]
    found, token = [], ""
    while True:
        page = await school.run(ListPaymentsRequest(page_size=2, page_token=token), student)
        found += page.payments
        token = page.next_page_token
        if not token:
            break
    assert found == payments[::-1]
