"""Payments as messages of the contract."""

from __future__ import annotations

from datetime import datetime

from core.ids import to_text
from core.payments.queries import PaymentRow
from core.payments.rules import PENDING
from core.times import to_timestamp
from skillforge.v1 import courses_pb2, payments_pb2


def payment(row: PaymentRow, now: datetime) -> payments_pb2.Payment:
    """A payment; where to pay it only while it can be paid."""
    payable = row.status == PENDING and row.expire_time > now
    return payments_pb2.Payment(
        id=to_text(row.payment_id),
        course_id=to_text(row.course_id),
        student_id=to_text(row.student_id),
        amount=courses_pb2.Money(amount_minor=row.amount_minor, currency=row.currency),
        status=row.status,
        checkout_url=row.checkout_url if payable else "",
        provider=row.provider,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        expire_time=to_timestamp(row.expire_time),
    )
