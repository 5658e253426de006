"""Coupons on a real database: who makes them, what they take off, and limits that hold however many come at once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import UTC, timedelta
from typing import Any

import pytest

from core.call import Caller
from core.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, NotFound
from core.ids import new_id, to_bytes, to_text
from core.payments.providers import Providers
from core.payments.service import PaymentsService
from core.times import to_timestamp
from skillforge.v1 import courses_pb2, payments_pb2
from skillforge.v1.courses_pb2 import Course, Money
from skillforge.v1.payments_pb2 import (
    Coupon,
    CreateCouponRequest,
    CreatePaymentRequest,
    DeleteCouponRequest,
    GetCouponRequest,
    ListCouponsRequest,
    Payment,
)
from tests.support.classroom import refused
from tests.support.school import PRICE, PUBLIC_URL, School

PENDING, SUCCEEDED = payments_pb2.PAYMENT_STATUS_PENDING, payments_pb2.PAYMENT_STATUS_SUCCEEDED
_numbers = itertools.count(1)


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author, price=PRICE)


def fresh_code() -> str:
    return f"Code-{to_text(new_id())[-12:]}-{next(_numbers)}"


async def new_coupon(school: School, who: Caller, **terms: Any) -> Coupon:
    fields = {"code": fresh_code(), **({} if "amount_off" in terms else {"percent": 10}), **terms}
    return await school.run(CreateCouponRequest(**fields), who)  # type: ignore[no-any-return]


async def buy(school: School, who: Caller, course: Course, code: str) -> Payment:
    return await school.run(CreatePaymentRequest(course_id=course.id, coupon_code=code), who)  # type: ignore[no-any-return]


async def uses(school: School, coupon: Coupon) -> tuple[int, int]:
    """What the coupon counts, and what its students' counts add up to."""
    own = await school.value("SELECT uses FROM coupons WHERE id = %s", to_bytes(coupon.id))
    sql = "SELECT CAST(COALESCE(SUM(uses), 0) AS SIGNED) FROM coupon_students WHERE coupon_id = %s"
    return own, await school.value(sql, to_bytes(coupon.id))


# Making and ending


async def test_a_coupon_is_made_read_and_ended(school: School, author: Caller, course: Course) -> None:
    coupon = await new_coupon(school, author, course_id=course.id, max_uses=5, max_uses_per_student=1)
    assert school.status == 201
    assert (coupon.course_id, coupon.instructor_id, coupon.percent) == (course.id, to_text(author.user_id), 10)
    assert await school.run(GetCouponRequest(coupon_id=coupon.id), author) == coupon
    assert list((await school.run(ListCouponsRequest(), author)).coupons) == [coupon]
    await school.run(DeleteCouponRequest(coupon_id=coupon.id), author)
    assert school.status == 204
    await school.run(DeleteCouponRequest(coupon_id=coupon.id), author)
    assert list((await school.run(ListCouponsRequest(), author)).coupons) == []
    [ended] = (await school.run(ListCouponsRequest(include_deleted=True), author)).coupons
    assert ended.HasField("disable_time")


async def test_coupons_are_their_author_s_and_admins(school: School, author: Caller, course: Course) -> None:
    other, admin = await school.person("INSTRUCTOR"), await school.person("ADMIN")
    coupon = await new_coupon(school, author)
    await refused(NotFound, "NOT_FOUND", school.run(GetCouponRequest(coupon_id=coupon.id), other))
    await refused(NotFound, "NOT_FOUND", school.run(DeleteCouponRequest(coupon_id=coupon.id), other))
    await refused(NotFound, "NOT_FOUND", new_coupon(school, other, course_id=course.id))
    await refused(NotFound, "NOT_FOUND", new_coupon(school, other, instructor_id=to_text(author.user_id)))
    await refused(NotFound, "NOT_FOUND", new_coupon(school, admin, instructor_id=to_text(new_id())))
    assert list((await school.run(ListCouponsRequest(), other)).coupons) == []
    assert await school.run(GetCouponRequest(coupon_id=coupon.id), admin) == coupon
    own = await new_coupon(school, admin, instructor_id=to_text(author.user_id))
    assert [item.id for item in (await school.run(ListCouponsRequest(), author)).coupons] == [own.id, coupon.id]
    await school.run(DeleteCouponRequest(coupon_id=coupon.id), admin)


async def test_a_code_is_taken_whatever_its_case_and_for_good(school: School, author: Caller) -> None:
    coupon = await new_coupon(school, author)
    await school.run(DeleteCouponRequest(coupon_id=coupon.id), author)
    for code in (coupon.code, coupon.code.upper(), coupon.code.lower()):
        await refused(AlreadyExists, "COUPON_CODE_TAKEN", new_coupon(school, author, code=code))


async def test_one_of_many_who_want_a_code_gets_it(school: School, author: Caller) -> None:
    code = fresh_code()
    made = await asyncio.gather(*(new_coupon(school, author, code=code) for _ in range(10)), return_exceptions=True)
    assert Counter(type(item) for item in made) == {Coupon: 1, AlreadyExists: 9}


async def test_terms_that_make_no_sense(school: School, author: Caller, course: Course) -> None:
    past = to_timestamp(school.now - timedelta(minutes=1))
    for terms, field in (
        ({"percent": 0}, "percent"),
        ({"percent": 10, "amount_off": Money(amount_minor=1, currency="USD")}, "percent"),
        ({"amount_off": Money(amount_minor=100, currency="EUR"), "course_id": course.id}, "amountOff.currency"),
        ({"expire_time": past}, "expireTime"),
    ):
        found = await refused(InvalidArgument, "INVALID_ARGUMENT", new_coupon(school, author, **terms))
        assert [item.split()[0] for item in found] == [field]


async def test_lists_of_coupons_are_paged(school: School, author: Caller, course: Course) -> None:
    made = [await new_coupon(school, author, course_id=course.id if number % 2 else "") for number in range(5)]
    found, token = [], ""
    while True:
        page = await school.run(ListCouponsRequest(page_size=2, page_token=token), author)
        found += page.coupons
        token = page.next_page_token
        if not token:
            break
    assert found == made[::-1]
    only = await school.run(ListCouponsRequest(course_id=course.id), author)
    assert list(only.coupons) == [made[3], made[1]]


# Buying with one


async def test_a_coupon_takes_its_part_off_the_price(school: School, author: Caller, course: Course, student: Caller) -> None:
    coupon = await new_coupon(school, author)
    payment = await buy(school, student, course, f" {coupon.code.swapcase()} ")
    assert (payment.amount.amount_minor, payment.discount.amount_minor, payment.list_price) == (4410, 490, PRICE)
    assert payment.coupon_code == coupon.code
    assert school.provider.asked[-1].amount_minor == 4410
    assert await buy(school, student, course, coupon.code) == payment
    assert school.status == 200
    await school.settle(payment)
    read = await school.run(payments_pb2.GetPaymentRequest(payment_id=payment.id), student)
    assert (read.status, read.receipt.list_price, read.receipt.discount) == (SUCCEEDED, "49.00 USD", "4.90 USD")
    assert (read.receipt.paid, read.receipt.refunded) == ("44.10 USD", "0.00 USD")
    assert await uses(school, coupon) == (1, 1)


async def test_which_courses_a_coupon_is_for(school: School, author: Caller, course: Course, student: Caller) -> None:
    elsewhere = await school.paid_course()
    admin = await school.person("ADMIN")
    of_course = await new_coupon(school, author, course_id=(await school.course(author, price=PRICE)).id)
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, course, of_course.code))
    of_author = await new_coupon(school, author)
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, elsewhere, of_author.code))
    of_all = await new_coupon(school, admin)
    euros = await new_coupon(school, admin, amount_off=Money(amount_minor=100, currency="EUR"))
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, course, euros.code))
    for unknown in ("NO-SUCH", "x", "ünïcode", "a b", "%", "'; DROP"):
        assert await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, course, unknown)) == ["couponCode coupon"]
    assert (await buy(school, student, course, of_author.code)).amount.amount_minor == 4410
    assert (await buy(school, student, elsewhere, of_all.code)).amount.amount_minor == 4410


async def test_when_a_coupon_is_valid(school: School, author: Caller, course: Course, student: Caller) -> None:
    start, end = (to_timestamp(school.now + timedelta(hours=hours)) for hours in (1, 2))
    coupon = await new_coupon(school, author, start_time=start, expire_time=end)
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, course, coupon.code))
    school.later(hours=1)
    payment = await buy(school, student, course, coupon.code)
    school.later(hours=1)
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, await school.person(), course, coupon.code))
    # The promise of an open payment outlives the coupon.
    await school.settle(payment)
    assert coupon.expire_time.ToDatetime(UTC) == end.ToDatetime(UTC)  # type: ignore[union-attr]


async def test_another_coupon_opens_another_payment(school: School, author: Caller, course: Course, student: Caller) -> None:
    first, second = await new_coupon(school, author), await new_coupon(school, author, percent=50)
    opened = await buy(school, student, course, first.code)
    other = await buy(school, student, course, second.code)
    assert (other.amount.amount_minor, other.id != opened.id) == (2450, True)
    assert (await uses(school, first), await uses(school, second)) == ((0, 0), (1, 1))
    plain = await school.open_payment(student, course)
    assert (plain.amount, plain.coupon_code) == (PRICE, "")
    assert await uses(school, second) == (0, 0)


# Uses


@pytest.mark.parametrize("lost", ["expired", "failed"])
async def test_a_lost_payment_gives_its_use_back(
    school: School, author: Caller, course: Course, student: Caller, lost: str
) -> None:
    coupon = await new_coupon(school, author, max_uses=1, max_uses_per_student=1)
    payment = await buy(school, student, course, coupon.code)
    await refused(FailedPrecondition, "COUPON_USED_UP", buy(school, await school.person(), course, coupon.code))
    if lost == "failed":
        await school.settle(payment, "failed")
    else:
        school.later(minutes=31)
        await school.payments.expire_overdue(school.now, 1000)
    assert await uses(school, coupon) == (0, 0)
    other = await school.paid(await school.person(), course, coupon_code=coupon.code)
    assert other.coupon_code == coupon.code
    # The first one's money was taken after all: the price was promised, whatever the limit.
    await school.settle(payment)
    assert await uses(school, coupon) == (2, 2)


async def test_a_refund_gives_no_use_back(school: School, author: Caller, course: Course, student: Caller) -> None:
    coupon = await new_coupon(school, author, max_uses=1)
    payment = await school.paid(student, course, coupon_code=coupon.code)
    await school.give_back(await school.person("ADMIN"), payment)
    assert await uses(school, coupon) == (1, 1)


async def test_fifty_at_once_share_one_last_use(school: School, author: Caller, course: Course) -> None:
    coupon = await new_coupon(school, author, max_uses=3)
    students = [await school.person() for _ in range(50)]
    answers = await asyncio.gather(*(buy(school, who, course, coupon.code) for who in students), return_exceptions=True)
    reasons = Counter(item.reason if isinstance(item, DomainError) else item.status for item in answers)  # type: ignore[union-attr]
    assert reasons == {PENDING: 3, "COUPON_USED_UP": 47}
    assert await uses(school, coupon) == (3, 3)


async def test_a_student_s_limit_holds_for_many_courses_at_once(school: School, author: Caller, student: Caller) -> None:
    coupon = await new_coupon(school, author, max_uses_per_student=2)
    courses = [await school.course(author, (1,), price=PRICE) for _ in range(8)]
    answers = await asyncio.gather(*(buy(school, student, item, coupon.code) for item in courses), return_exceptions=True)
    assert sum(isinstance(item, Payment) for item in answers) == 2
    assert {item.reason for item in answers if isinstance(item, DomainError)} == {"COUPON_USED_UP"}
    assert await uses(school, coupon) == (2, 2)
    assert await buy(school, await school.person(), courses[0], coupon.code)


# Nothing left to pay


async def test_a_coupon_for_everything_opens_the_course_at_once(
    school: School, author: Caller, course: Course, student: Caller
) -> None:
    coupon = await new_coupon(school, author, percent=100)
    payment = await buy(school, student, course, coupon.code)
    assert (payment.status, payment.amount.amount_minor, payment.provider, payment.checkout_url) == (SUCCEEDED, 0, "none", "")
    assert payment.receipt.paid == "0.00 USD"
    assert school.provider.asked == []
    assert await school.ledger(payment) == [(1, 0)]
    assert await school.events_of(student, "enrollment.unlocked") == 1
    await refused(AlreadyExists, "ALREADY_ENROLLED", buy(school, student, course, coupon.code))
    assert await uses(school, coupon) == (1, 1)


async def test_too_little_to_charge_is_nothing(school: School, author: Caller, course: Course, student: Caller) -> None:
    coupon = await new_coupon(school, author, amount_off=Money(amount_minor=4860, currency="USD"))
    payment = await buy(school, student, course, coupon.code)
    assert (payment.status, payment.amount.amount_minor, payment.discount.amount_minor) == (SUCCEEDED, 0, 4900)


async def test_what_costs_nothing_needs_no_provider(school: School, author: Caller, course: Course, student: Caller) -> None:
    coupon, half = await new_coupon(school, author, percent=100), await new_coupon(school, author, percent=50)
    school._services["PaymentsService"] = PaymentsService(
        school.db, school.catalog, school.enrollments, school.outbox, None, Providers([]),  # type: ignore[arg-type]
        lambda: school.now, PUBLIC_URL,
    )  # fmt: skip
    await refused(FailedPrecondition, "PAYMENTS_NOT_CONFIGURED", buy(school, student, course, half.code))
    assert (await buy(school, student, course, coupon.code)).status == SUCCEEDED
    assert await uses(school, half) == (0, 0)


async def test_many_at_once_get_one_course_for_nothing_once(school: School, author: Caller, course: Course) -> None:
    coupon = await new_coupon(school, author, percent=100)
    student = await school.person()
    answers = await asyncio.gather(*(buy(school, student, course, coupon.code) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(item, Payment) for item in answers) == 1
    assert {item.reason for item in answers if isinstance(item, DomainError)} == {"ALREADY_ENROLLED"}
    assert await uses(school, coupon) == (1, 1)
    assert await school.value("SELECT COUNT(*) FROM payments WHERE student_id = %s", student.user_id) == 1


async def test_a_gift_can_be_taken_back(school: School, author: Caller, course: Course, student: Caller) -> None:
    admin = await school.person("ADMIN")
    coupon = await new_coupon(school, author, percent=100)
    payment = await buy(school, student, course, coupon.code)
    refund = await school.give_back(admin, payment)
    assert (refund.status, refund.amount.amount_minor) == (payments_pb2.REFUND_STATUS_SUCCEEDED, 0)
    assert school.provider.orders == []
    sql = "SELECT COUNT(*) FROM entitlements WHERE student_id = %s AND end_time IS NULL"
    assert await school.value(sql, student.user_id) == 0
    await refused(FailedPrecondition, "PAYMENT_NOT_REFUNDABLE", school.give_back(admin, payment))


@pytest.mark.parametrize(
    ("currency", "price", "left", "text"), [("JPY", 999, 899, "899 JPY"), ("KWD", 12345, 11110, "11.110 KWD")]
)
async def test_currencies_without_and_with_three_decimals(
    school: School, author: Caller, student: Caller, currency: str, price: int, left: int, text: str
) -> None:
    course = await school.course(author, price=courses_pb2.Money(amount_minor=price, currency=currency))
    coupon = await new_coupon(school, author)
    payment = await school.paid(student, course, coupon_code=coupon.code)
    read = await school.run(payments_pb2.GetPaymentRequest(payment_id=payment.id), student)
    assert (read.amount.amount_minor, read.receipt.paid, read.status) == (left, text, SUCCEEDED)


async def test_who_leaves_ends_their_coupons(school: School, author: Caller, course: Course, student: Caller) -> None:
    coupon = await new_coupon(school, author)
    service: Any = school._services["CouponsService"]
    assert await school.db.transact(lambda tx: service.leave(tx, author.user_id)) == {"endedCoupons": 1}
    await refused(InvalidArgument, "COUPON_INVALID", buy(school, student, course, coupon.code))
