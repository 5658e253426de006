"""All SQL of payments and their events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader, Transaction
from core.payments.events import PaymentEvent
from core.payments.rules import EXPIRED, PENDING, Due, Outcome, State, Status


class PaymentRow(NamedTuple):
    """A payment."""

    payment_id: bytes
    student_id: bytes
    course_id: bytes
    amount_minor: int
    currency: str
    refunded_minor: int
    status: Status
    provider: str
    checkout_url: str
    create_time: datetime
    update_time: datetime
    expire_time: datetime

    @property
    def due(self) -> Due:
        return Due(self.amount_minor, self.currency)

    @property
    def state(self) -> State:
        return State(self.status, self.refunded_minor)


class EventRow(NamedTuple):
    """An event to be remembered, with the provider whose event it is and what became of it."""

    provider: str
    event: PaymentEvent
    outcome: Outcome


# The creation order of payments is that of their ids (UUIDv7), so an id is a whole keyset.
_COLUMNS = """
id, student_id, course_id, amount_minor, currency, refunded_minor, status, provider, checkout_url,
create_time, update_time, expire_time
"""
_SELECT = f"SELECT {_COLUMNS} FROM payments"


async def open_payment(db: Reader, student_id: bytes, course_id: bytes) -> PaymentRow | None:
    """The student's payment for the course that may still be paid, overdue or not."""
    row = await db.fetch_one(f"{_SELECT} WHERE student_id = %s AND course_id = %s AND open_slot = 1", (student_id, course_id))
    return PaymentRow(*row) if row else None


async def payment(db: Reader, payment_id: bytes, student_id: bytes | None) -> PaymentRow | None:
    """One payment, if it is this student's; None: whoever's."""
    row = await db.fetch_one(
        f"{_SELECT} WHERE id = %s AND (%s OR student_id = %s)", (payment_id, student_id is None, student_id or b"")
    )
    return PaymentRow(*row) if row else None


async def list_payments(db: Reader, student_id: bytes | None, before: bytes | None, limit: int) -> list[PaymentRow]:
    """Payments, newest first: this student's, or everybody's."""
    conditions, params = ["TRUE"], []  # type: tuple[list[str], list[object]]
    if student_id is not None:
        conditions.append("student_id = %s")
        params.append(student_id)
    if before is not None:
        conditions.append("id < %s")
        params.append(before)
    sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT %s"
    return [PaymentRow(*row) for row in await db.fetch_all(sql, (*params, limit))]


async def insert_open(tx: Transaction, row: PaymentRow) -> None:
    """A new payment that may be paid. Raises DuplicateKey when the student has one open for the course."""
    sql = f"""
        INSERT INTO payments ({_COLUMNS}, open_slot, provider_reference)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, '')
    """
    await tx.execute(sql, (*row[:6], int(row.status), *row[7:]))


async def store_checkout(db: Database, payment_id: bytes, reference: str, url: str) -> None:
    """Keep where the payment is paid; the first answer of the provider stays."""
    sql = "UPDATE payments SET provider_reference = %s, checkout_url = %s WHERE id = %s AND checkout_url = ''"
    await db.execute(sql, (reference, url, payment_id))


async def expire(tx: Transaction, payment_id: bytes, now: datetime) -> bool:
    """Close an open payment; False: it is none any more."""
    sql = "UPDATE payments SET status = %s, open_slot = NULL, update_time = %s WHERE id = %s AND status = %s"
    return await tx.execute(sql, (int(EXPIRED), now, payment_id, int(PENDING))) == 1


async def overdue(db: Reader, now: datetime, limit: int) -> list[PaymentRow]:
    """Open payments whose time is over."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE status = %s AND expire_time <= %s ORDER BY expire_time LIMIT %s", (int(PENDING), now, limit)
    )
    return [PaymentRow(*row) for row in rows]


# Settling events. The locks only spare work: what decides is the events' key and the count of the rows moved.


async def lock_payments(tx: Transaction, payment_ids: Sequence[bytes]) -> dict[bytes, PaymentRow]:
    """These payments; none of them changes until the end."""
    rows = await tx.fetch_all(f"{_SELECT} WHERE id IN %s ORDER BY id FOR UPDATE", (payment_ids,))
    return {row[0]: PaymentRow(*row) for row in rows}


async def known_events(tx: Transaction, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these events (provider, id) are remembered."""
    rows = await tx.fetch_all("SELECT provider, event_id FROM payment_events WHERE (provider, event_id) IN %s", (keys,))
    return {(row[0], row[1]) for row in rows}


async def insert_events(tx: Transaction, rows: Sequence[EventRow], now: datetime) -> None:
    """Remember events. Raises DuplicateKey, and remembers none, when one of them is remembered already."""
    sql = """
        INSERT INTO payment_events
          (provider, event_id, payment_id, type, amount_minor, currency, event_time, receive_time, outcome)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    """
    await tx.insert_many(
        sql,
        [
            (
                provider, event.event_id, event.payment_id, event.kind.value, event.amount_minor, event.currency,
                event.event_time, now, outcome.value,
            )
            for provider, event, outcome in rows
        ],
    )  # fmt: skip


async def move(tx: Transaction, payment_ids: Sequence[bytes], before: State, after: State, now: datetime) -> int:
    """Bring payments from one state into another; how many were in it."""
    sql = """
        UPDATE payments SET status = %s, refunded_minor = %s, open_slot = %s, update_time = %s
        WHERE id IN %s AND status = %s AND refunded_minor = %s
    """
    slot = 1 if after.status == PENDING else None
    params = (int(after.status), after.refunded_minor, slot, now, payment_ids, int(before.status), before.refunded_minor)
    return await tx.execute(sql, params)
