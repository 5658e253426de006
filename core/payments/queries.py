"""All SQL of payments, their events, the ledger and the orders of refunds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader, Transaction
from core.enrollments.rules import Pair, Sight
from core.payments.events import PaymentEvent
from core.payments.rules import EXPIRED, PENDING, Due, EntryKind, Outcome, RefundState, State, Status
from skillforge.v1 import enrollments_pb2


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
    list_price_minor: int
    coupon_id: bytes | None = None
    coupon_code: str = ""
    reserved_minor: int = 0
    found_minor: int = 0
    pay_time: datetime | None = None
    provider_reference: str = ""

    @property
    def due(self) -> Due:
        return Due(self.amount_minor, self.currency)

    @property
    def state(self) -> State:
        return State(self.status, self.refunded_minor, self.reserved_minor, self.found_minor)


class EventRow(NamedTuple):
    """An event to be remembered, with what became of it."""

    event: PaymentEvent
    outcome: Outcome


class Entry(NamedTuple):
    """A row of the ledger."""

    payment_id: bytes
    refund_id: bytes
    kind: EntryKind
    course_id: bytes
    amount_minor: int
    currency: str
    entry_time: datetime


class RefundRow(NamedTuple):
    """A refund as its rows of the ledger tell, and its order."""

    refund_id: bytes
    payment_id: bytes
    currency: str
    state: RefundState
    reason: str
    failure: str
    create_time: datetime
    update_time: datetime


class OrderRow(NamedTuple):
    """A refund to be asked for at the provider, with what of its payment that takes."""

    refund_id: bytes
    payment_id: bytes
    amount_minor: int
    reason: str
    tries: int
    try_time: datetime | None
    currency: str
    provider: str
    provider_reference: str


# The creation order of payments is that of their ids (UUIDv7), so an id is a whole keyset.
_COLUMNS = """
id, student_id, course_id, amount_minor, currency, refunded_minor, status, provider, checkout_url,
create_time, update_time, expire_time, list_price_minor, coupon_id, coupon_code, reserved_minor, found_minor, pay_time,
provider_reference
"""
_SELECT = f"SELECT {_COLUMNS} FROM payments"


async def open_payment(db: Reader, student_id: bytes, course_id: bytes) -> PaymentRow | None:
    """The student's payment for the course that may still be paid, overdue or not."""
    sql = f"{_SELECT} WHERE student_id = %s AND course_id = %s AND open_slot = 1"
    row = await db.fetch_one(sql, (student_id, course_id))
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


async def insert_payment(tx: Transaction, row: PaymentRow) -> None:
    """A new payment. Raises DuplicateKey when it may be paid, and the student has another such for the course."""
    sql = f"""
        INSERT INTO payments ({_COLUMNS}, open_slot)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    """
    slot = 1 if row.status == PENDING else None
    await tx.execute(sql, (*row[:6], int(row.status), *row[7:], slot))


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


# Settling events. The locks only spare work: what decides is the events' key, the ledger's, and the count of the rows moved.
# Writes are posted; where another transaction was before this one, all of it runs again.


class Locked(NamedTuple):
    """Payments by their ids, none of which changes until the end, and what was seen of the students and courses."""

    payments: dict[bytes, PaymentRow]
    sights: dict[Pair, Sight]


async def lock_payments(tx: Transaction, payment_ids: Sequence[bytes]) -> Locked:
    """Lock these payments, and look at the students and courses, which are not locked."""
    sql = f"""
        SELECT {_COLUMNS},
          (SELECT e.status = %s FROM enrollments e WHERE e.student_id = p.student_id AND e.course_id = p.course_id),
          (SELECT u.display_name FROM users u WHERE u.id = p.student_id),
          (SELECT c.title FROM courses c WHERE c.id = p.course_id),
          (SELECT c.lecture_count FROM courses c WHERE c.id = p.course_id)
        FROM payments p WHERE id IN %s ORDER BY id FOR UPDATE
    """
    locked = Locked({}, {})
    for row in await tx.fetch_all(sql, (int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE), payment_ids)):
        payment = PaymentRow(*row[:-4])
        locked.payments[payment.payment_id] = payment
        locked.sights[payment.student_id, payment.course_id] = Sight(*row[-4:])
    return locked


async def known_events(tx: Transaction, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these events (provider, id) are remembered."""
    rows = await tx.fetch_all("SELECT provider, event_id FROM payment_events WHERE (provider, event_id) IN %s", (keys,))
    return {(row[0], row[1]) for row in rows}


def insert_events(tx: Transaction, rows: Sequence[EventRow], now: datetime) -> None:
    """Remember events."""
    sql = """
        INSERT INTO payment_events
          (provider, event_id, payment_id, type, amount_minor, currency, event_time, receive_time, outcome)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    """
    tx.post_many(
        sql,
        [
            (
                event.provider, event.event_id, event.payment_id, event.kind.value, event.amount_minor, event.currency,
                event.event_time, now, outcome.value,
            )
            for event, outcome in rows
        ],
    )  # fmt: skip


def move(tx: Transaction, payment_ids: Sequence[bytes], before: State, after: State, now: datetime, *, pays: bool) -> None:
    """Bring payments from one state into another, which `pays` them or not."""
    sql = """
        UPDATE payments SET status = %s, refunded_minor = %s, reserved_minor = %s, found_minor = %s, open_slot = %s,
          update_time = %s, pay_time = IF(%s, %s, pay_time)
        WHERE id IN %s AND status = %s AND refunded_minor = %s AND reserved_minor = %s AND found_minor = %s
    """
    slot = 1 if after.status == PENDING else None
    params = (int(after.status), *after[1:], slot, now, pays, now, payment_ids, int(before.status), *before[1:])
    tx.post(sql, params, rows=len(payment_ids))


# The ledger, and the orders of refunds. A payment's row is locked by whoever adds to its ledger.


def add_entries(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Add to the ledger."""
    sql = """
        INSERT INTO payment_ledger (payment_id, refund_id, kind, course_id, amount_minor, currency, entry_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
    """
    tx.post_many(sql, [(entry.payment_id, entry.refund_id, int(entry.kind), *entry[3:]) for entry in sorted(entries)])


async def refunds(db: Reader, payment_ids: Iterable[bytes]) -> dict[bytes, list[RefundRow]]:
    """The refunds of these payments, open, made and failed ones, by payment and the oldest first."""
    sql = """
        SELECT l.refund_id, l.payment_id, MIN(l.currency), MIN(l.amount_minor), CAST(SUM(l.kind = %s) AS SIGNED),
          CAST(SUM(l.kind = %s) AS SIGNED), CAST(SUM(l.kind = %s) AS SIGNED), COALESCE(MIN(o.reason), ''),
          COALESCE(MIN(o.failure), ''), MIN(l.entry_time) AS start_time, MAX(l.entry_time)
        FROM payment_ledger l LEFT JOIN refund_orders o ON o.refund_id = l.refund_id
        WHERE l.payment_id IN %s AND l.kind <> %s
        GROUP BY l.payment_id, l.refund_id ORDER BY start_time, l.refund_id
    """
    kinds = (int(EntryKind.ORDERED), int(EntryKind.REFUNDED), int(EntryKind.RELEASED))
    found: dict[bytes, list[RefundRow]] = {}
    for row in await db.fetch_all(sql, (*kinds, list(payment_ids), int(EntryKind.CHARGE))):
        refund_id, payment_id, currency, amount, ordered, made, released, *rest = row
        state = RefundState(amount, bool(ordered), bool(made), bool(released))
        found.setdefault(payment_id, []).append(RefundRow(refund_id, payment_id, currency, state, *rest))
    return found


async def insert_order(tx: Transaction, row: OrderRow, now: datetime) -> None:
    """A refund to ask for, at `try_time` at the earliest but for who orders it. Raises DuplicateKey."""
    sql = """
        INSERT INTO refund_orders (refund_id, payment_id, amount_minor, reason, failure, tries, try_time, create_time)
        VALUES (%s, %s, %s, %s, '', 0, %s, %s)
    """
    await tx.execute(sql, (row.refund_id, row.payment_id, row.amount_minor, row.reason, row.try_time, now))


_SELECT_ORDERS = """
SELECT o.refund_id, o.payment_id, o.amount_minor, o.reason, o.tries, o.try_time, p.currency, p.provider, p.provider_reference
FROM refund_orders o JOIN payments p ON p.id = o.payment_id
"""


async def order(db: Reader, refund_id: bytes) -> OrderRow | None:
    """The order of a refund."""
    row = await db.fetch_one(f"{_SELECT_ORDERS} WHERE o.refund_id = %s", (refund_id,))
    return OrderRow(*row) if row else None


async def orders_to_try(db: Reader, before: datetime, limit: int) -> list[OrderRow]:
    """Orders to ask the provider about, the longest waiting first."""
    sql = f"{_SELECT_ORDERS} WHERE o.try_time <= %s ORDER BY o.try_time LIMIT %s"
    return [OrderRow(*row) for row in await db.fetch_all(sql, (before, limit))]


async def claim_order(db: Database, row: OrderRow, until: datetime) -> bool:
    """Take an order for oneself until a time; False: another did."""
    sql = "UPDATE refund_orders SET try_time = %s, tries = tries + 1 WHERE refund_id = %s AND tries = %s AND try_time IS NOT NULL"
    return await db.execute(sql, (until, row.refund_id, row.tries)) == 1


async def postpone_order(db: Database, refund_id: bytes, until: datetime) -> None:
    """Ask about an order again at a time, unless it is settled."""
    sql = "UPDATE refund_orders SET try_time = %s WHERE refund_id = %s AND try_time IS NOT NULL"
    await db.execute(sql, (until, refund_id))


def close_orders(tx: Transaction, refund_ids: Sequence[bytes]) -> None:
    """Ask about these no more: they are settled."""
    tx.post("UPDATE refund_orders SET try_time = NULL WHERE refund_id IN %s", (refund_ids,))


async def note_failure(db: Database, refund_id: bytes, failure: str) -> None:
    """Keep why a refund was not made, unless that is known."""
    await db.execute("UPDATE refund_orders SET failure = %s WHERE refund_id = %s AND failure = ''", (failure, refund_id))
