"""Coupons as messages of the contract."""

from __future__ import annotations

from core.ids import to_text
from core.payments.coupons.rules import CouponRow
from core.times import to_timestamp
from skillforge.v1 import courses_pb2, payments_pb2


def coupon(row: CouponRow) -> payments_pb2.Coupon:
    """A coupon."""
    terms = row.terms
    off = courses_pb2.Money(amount_minor=terms.amount_off_minor, currency=terms.currency) if terms.amount_off_minor else None
    return payments_pb2.Coupon(
        id=to_text(row.coupon_id),
        code=row.code,
        course_id=to_text(terms.course_id),
        instructor_id=to_text(terms.instructor_id),
        percent=terms.percent,
        amount_off=off,
        max_uses=row.max_uses,
        max_uses_per_student=row.max_uses_per_student,
        uses=row.uses,
        start_time=to_timestamp(terms.start_time),
        expire_time=to_timestamp(terms.expire_time),
        create_time=to_timestamp(row.create_time),
        disable_time=to_timestamp(terms.disable_time),
    )
