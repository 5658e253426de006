"""Pure decisions about coupons: what is a coupon, whether it is good for a course now, and what it leaves to pay."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from contract.errors import Violation
from core.courses.rules import CURRENCIES
from core.errors import InvalidArgument
from core.payments.currencies import charge_step, least_charge


class Terms(NamedTuple):
    """What a coupon is worth, and for what. `percent` 0: the fixed amount. Without a course: every one of the instructor;
    without an instructor: everybody's."""

    course_id: bytes | None
    instructor_id: bytes | None
    percent: int
    amount_off_minor: int
    currency: str
    start_time: datetime | None
    expire_time: datetime | None
    disable_time: datetime | None


class CouponRow(NamedTuple):
    """A coupon. Limits of 0 are none."""

    coupon_id: bytes
    code: str
    terms: Terms
    max_uses: int
    max_uses_per_student: int
    uses: int
    create_time: datetime


class Sale(NamedTuple):
    """A course that is about to be paid for; the price is in the currency's minor unit."""

    course_id: bytes
    instructor_id: bytes
    price_minor: int
    currency: str


def terms_violations(terms: Terms, course_currency: str | None, now: datetime) -> list[Violation]:
    """What is wrong with a new coupon; `course_currency`: that of the only course it is for."""
    found = []
    if bool(terms.percent) == bool(terms.amount_off_minor):
        found.append(Violation("percent", "one_of", "must be given, or else amountOff"))
    if terms.amount_off_minor and terms.currency not in CURRENCIES:
        found.append(Violation("amountOff.currency", "iso4217", "must be an active ISO 4217 code, such as USD"))
    elif terms.amount_off_minor and course_currency not in (None, terms.currency):
        found.append(Violation("amountOff.currency", "currency", f"must be {course_currency}, as the course's price"))
    if terms.expire_time is not None and terms.expire_time <= max(now, terms.start_time or now):
        found.append(Violation("expireTime", "range", "must be in the future, and after startTime"))
    return found


def check(terms: Terms, sale: Sale, now: datetime) -> None:
    """Raise InvalidArgument (COUPON_INVALID) unless the coupon is good for this course now."""
    if terms.course_id not in (None, sale.course_id) or terms.instructor_id not in (None, sale.instructor_id):
        raise invalid("The coupon is not for this course.")
    if terms.disable_time is not None or (terms.expire_time is not None and terms.expire_time <= now):
        raise invalid("The coupon has ended.")
    if terms.start_time is not None and now < terms.start_time:
        raise invalid("The coupon is not valid yet.")
    if terms.amount_off_minor and terms.currency != sale.currency:
        raise invalid(f"The coupon is for prices in {terms.currency}; this course's is in {sale.currency}.")


def to_pay(terms: Terms, sale: Sale) -> int:
    """What is left to pay, in the minor unit: rounded down to what can be charged, and nothing where that is too little to
    charge."""
    share, off = (100 - terms.percent, 0) if terms.percent else (100, terms.amount_off_minor)
    left = max(0, sale.price_minor * share // 100 - off)
    left -= left % charge_step(sale.currency)
    return left if left >= least_charge(sale.currency) else 0


def invalid(detail: str) -> InvalidArgument:
    """The error for a coupon that cannot be used."""
    violation = Violation("couponCode", "coupon", "must be a coupon that is valid for this course")
    return InvalidArgument("COUPON_INVALID", detail, violations=[violation])
