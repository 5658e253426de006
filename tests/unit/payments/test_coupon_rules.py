"""What a coupon leaves to pay, and when it is good for a course."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.courses.rules import CURRENCIES
from core.errors import InvalidArgument
from core.payments.coupons.rules import Sale, Terms, check, terms_violations, to_pay
from core.payments.currencies import charge_step, least_charge

NOON = datetime(2026, 1, 1, 12)
HOUR = timedelta(hours=1)
COURSE, TEACHER, OTHER = b"c" * 16, b"t" * 16, b"o" * 16
SALE = Sale(COURSE, TEACHER, 4900, "USD")
ANY = Terms(None, None, 10, 0, "", None, None, None)


def percent(value: int, **changes: Any) -> Terms:
    return ANY._replace(percent=value, **changes)


def fixed(amount: int, currency: str = "USD", **changes: Any) -> Terms:
    return ANY._replace(percent=0, amount_off_minor=amount, currency=currency, **changes)


@pytest.mark.parametrize(
    ("terms", "price", "currency", "left"),
    [
        (percent(10), 4900, "USD", 4410),
        (percent(33), 100, "USD", 67),
        (percent(99), 4900, "USD", 0),  # 49 cents are less than what is charged
        (percent(99), 5000, "USD", 50),
        (percent(100), 4900, "USD", 0),
        (percent(10), 999, "JPY", 899),
        (percent(50), 99, "JPY", 0),
        (percent(10), 1234, "KWD", 1110),  # in tens
        (fixed(900), 4900, "USD", 4000),
        (fixed(4900), 4900, "USD", 0),
        (fixed(9000), 4900, "USD", 0),
        (fixed(4851), 4900, "USD", 0),
        (fixed(5, "KWD"), 5000, "KWD", 4990),
        (percent(1), 2**31 - 1, "USD", 2126008810),
    ],
)
def test_what_is_left_to_pay(terms: Terms, price: int, currency: str, left: int) -> None:
    assert to_pay(terms, Sale(COURSE, TEACHER, price, currency)) == left


TERMS = st.builds(percent, st.integers(1, 100)) | st.builds(fixed, st.integers(1, 2**31 - 1))


@given(TERMS, st.integers(1, 2**31 - 1), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_left_can_be_charged_and_is_never_more_than_the_price(terms: Terms, price: int, currency: str) -> None:
    left = to_pay(terms, Sale(COURSE, TEACHER, price, currency))
    assert 0 <= left < price or (left == 0 == price)
    assert left == 0 or (left >= least_charge(currency) and left % charge_step(currency) == 0)


@pytest.mark.parametrize(
    "terms",
    [
        percent(10),
        percent(10, course_id=COURSE, instructor_id=TEACHER),
        percent(10, instructor_id=TEACHER),
        percent(10, start_time=NOON, expire_time=NOON + HOUR),
        fixed(100),
    ],
)
def test_good_coupons(terms: Terms) -> None:
    check(terms, SALE, NOON)


@pytest.mark.parametrize(
    ("terms", "detail"),
    [
        (percent(10, course_id=OTHER, instructor_id=TEACHER), "not for this course"),
        (percent(10, instructor_id=OTHER), "not for this course"),
        (percent(10, start_time=NOON + HOUR), "not valid yet"),
        (percent(10, expire_time=NOON), "has ended"),
        (percent(10, disable_time=NOON - HOUR), "has ended"),
        (fixed(100, "EUR"), "prices in EUR"),
    ],
)
def test_bad_coupons(terms: Terms, detail: str) -> None:
    with pytest.raises(InvalidArgument, match=detail) as caught:
        check(terms, SALE, NOON)
    assert caught.value.reason == "COUPON_INVALID"


@pytest.mark.parametrize(
    ("terms", "course_currency", "fields"),
    [
        (percent(10), "USD", []),
        (fixed(100), "USD", []),
        (fixed(100), None, []),
        (ANY._replace(percent=0), None, ["percent"]),
        (fixed(100)._replace(percent=10), None, ["percent"]),
        (fixed(100, "XXX"), None, ["amountOff.currency"]),
        (fixed(100, ""), None, ["amountOff.currency"]),
        (fixed(100, "EUR"), "USD", ["amountOff.currency"]),
        (percent(10, expire_time=NOON), None, ["expireTime"]),
        (percent(10, start_time=NOON + 2 * HOUR, expire_time=NOON + HOUR), None, ["expireTime"]),
    ],
)
def test_new_coupons(terms: Terms, course_currency: str | None, fields: list[str]) -> None:
    assert [item.field for item in terms_violations(terms, course_currency, NOON)] == fields
