"""Payments and refunds as messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.ids import to_text
from core.payments.currencies import display
from core.payments.queries import PaymentRow, RefundRow
from core.payments.rules import PENDING, is_paid
from core.times import to_timestamp
from skillforge.v1 import courses_pb2, payments_pb2


def payment(row: PaymentRow, refunds: Sequence[RefundRow], now: datetime) -> payments_pb2.Payment:
    """A payment; where to pay it only while it can be paid."""
    payable = row.status == PENDING and row.expire_time > now
    paid = is_paid(row.status)
    return payments_pb2.Payment(
        id=to_text(row.payment_id),
        course_id=to_text(row.course_id),
        student_id=to_text(row.student_id),
        amount=_money(row.amount_minor, row.currency),
        status=row.status,
        checkout_url=row.checkout_url if payable else "",
        provider=row.provider,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        expire_time=to_timestamp(row.expire_time),
        list_price=_money(row.list_price_minor, row.currency),
        discount=_money(max(0, row.list_price_minor - row.amount_minor), row.currency),
        coupon_code=row.coupon_code,
        refunded_minor=row.refunded_minor if paid else 0,
        refunds=[refund(item) for item in refunds],
        receipt=_receipt(row) if paid else None,
    )


def refund(row: RefundRow) -> payments_pb2.Refund:
    """A refund."""
    status = payments_pb2.REFUND_STATUS_PENDING
    if row.state.made:
        status = payments_pb2.REFUND_STATUS_SUCCEEDED
    elif row.state.released:
        status = payments_pb2.REFUND_STATUS_FAILED
    return payments_pb2.Refund(
        id=to_text(row.refund_id),
        payment_id=to_text(row.payment_id),
        amount=_money(row.state.amount_minor, row.currency),
        status=status,
        reason=row.reason,
        failure=row.failure if status == payments_pb2.REFUND_STATUS_FAILED else "",
        by_provider=not row.state.ordered,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
    )


def _receipt(row: PaymentRow) -> payments_pb2.Receipt:
    # The last 12 digits of the id are random.
    time = row.pay_time or row.update_time
    return payments_pb2.Receipt(
        number=f"SF-{time.year:04}{time.month:02}{time.day:02}-{row.payment_id.hex()[-12:].upper()}",
        pay_time=to_timestamp(time),
        list_price=display(row.list_price_minor, row.currency),
        discount=display(max(0, row.list_price_minor - row.amount_minor), row.currency),
        paid=display(row.amount_minor, row.currency),
        refunded=display(row.refunded_minor, row.currency),
    )


def _money(amount_minor: int, currency: str) -> courses_pb2.Money:
    return courses_pb2.Money(amount_minor=amount_minor, currency=currency)
