"""All SQL of reconciliation: payments, entitlements and enrollments page by page, with what does not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Reader
from core.enrollments.rules import PAYMENT, Grant, Pair
from core.payments.rules import PARTIALLY_REFUNDED, SUCCEEDED, Due, EntryKind, State, Status
from skillforge.v1 import enrollments_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_ENTITLING = (int(SUCCEEDED), int(PARTIALLY_REFUNDED))


class Audited(NamedTuple):
    """A payment with all that must fit to it: whether its entitlement is active, and the sums of its ledger."""

    payment_id: bytes
    student_id: bytes
    course_id: bytes
    due: Due
    state: State
    provider: str
    reference: str
    create_time: datetime
    entitled: bool
    charged_minor: int | None
    returned_minor: int


class Held(NamedTuple):
    """An active entitlement that should not be, or whose enrollment has ended."""

    grant: Grant
    paid: bool
    enrolled: bool


async def totals(db: Reader) -> int:
    """How many payments, entitlements and enrollments there are."""
    sql = "SELECT (SELECT COUNT(*) FROM payments) + (SELECT COUNT(*) FROM entitlements) + (SELECT COUNT(*) FROM enrollments)"
    row = await db.fetch_one(sql)
    return int(row[0]) if row else 0


async def payments(db: Reader, after: bytes, limit: int) -> list[Audited]:
    """The next payments behind an id."""
    return await _audited(db, "p.id > %s ORDER BY p.id LIMIT %s", (after, limit))


async def payment(db: Reader, payment_id: bytes) -> Audited | None:
    """One payment."""
    found = await _audited(db, "p.id = %s", (payment_id,))
    return found[0] if found else None


async def _audited(db: Reader, which: str, params: Sequence[object]) -> list[Audited]:
    sql = f"""
        SELECT p.id, p.student_id, p.course_id, p.amount_minor, p.currency, p.status, p.refunded_minor, p.reserved_minor,
          p.found_minor, p.provider, p.provider_reference, p.create_time, t.student_id IS NOT NULL,
          (SELECT CAST(SUM(l.amount_minor) AS SIGNED) FROM payment_ledger l WHERE l.payment_id = p.id AND l.kind = %s),
          (SELECT CAST(COALESCE(SUM(l.amount_minor), 0) AS SIGNED) FROM payment_ledger l
           WHERE l.payment_id = p.id AND l.kind = %s)
        FROM payments p LEFT JOIN entitlements t ON t.student_id = p.student_id AND t.course_id = p.course_id
          AND t.source_kind = %s AND t.source_id = p.id AND t.end_time IS NULL
        WHERE {which}
    """
    rows = await db.fetch_all(sql, (int(EntryKind.CHARGE), int(EntryKind.REFUNDED), PAYMENT, *params))
    return [
        Audited(
            row[0], row[1], row[2], Due(row[3], row[4]), State(row[5], row[6], row[7], row[8]), row[9], row[10], row[11],
            bool(row[12]), row[13], row[14],
        )
        for row in rows
    ]  # fmt: skip


async def entitlements(db: Reader, after: Grant, limit: int) -> tuple[list[Held], Grant | None]:
    """Of the next entitlements those that do not fit; and the last one read, None: it was the end."""
    sql = """
        SELECT t.student_id, t.course_id, t.source_kind, t.source_id, t.end_time IS NULL,
          t.source_kind <> %s OR COALESCE(p.status IN %s, FALSE), e.status = %s
        FROM entitlements t LEFT JOIN payments p ON t.source_kind = %s AND p.id = t.source_id
          JOIN enrollments e ON e.student_id = t.student_id AND e.course_id = t.course_id
        WHERE t.student_id >= %s AND (t.student_id, t.course_id, t.source_kind, t.source_id) > (%s, %s, %s, %s)
        ORDER BY t.student_id, t.course_id, t.source_kind, t.source_id LIMIT %s
    """
    rows = await db.fetch_all(sql, (PAYMENT, _ENTITLING, _ACTIVE, PAYMENT, after[0], *after, limit))
    held = [Held(Grant(*row[:4]), bool(row[5]), bool(row[6])) for row in rows if row[4]]
    return [item for item in held if not (item.paid and item.enrolled)], Grant(*rows[-1][:4]) if rows else None


async def enrollments(db: Reader, after: Pair, limit: int) -> tuple[list[Pair], Pair | None]:
    """Of the next enrollments the active ones without any entitlement; and the last one read, None: it was the end."""
    sql = """
        SELECT e.student_id, e.course_id, e.status = %s AND NOT EXISTS (
          SELECT 1 FROM entitlements t WHERE t.student_id = e.student_id AND t.course_id = e.course_id AND t.end_time IS NULL)
        FROM enrollments e WHERE e.student_id >= %s AND (e.student_id, e.course_id) > (%s, %s)
        ORDER BY e.student_id, e.course_id LIMIT %s
    """
    rows = await db.fetch_all(sql, (_ACTIVE, after[0], *after, limit))
    return [(row[0], row[1]) for row in rows if row[2]], (rows[-1][0], rows[-1][1]) if rows else None


async def status_held(db: Reader, payment_id: bytes) -> Status | None:
    """A payment's status, which does not change until the transaction's end."""
    row = await db.fetch_one("SELECT status FROM payments WHERE id = %s FOR UPDATE", (payment_id,))
    return row[0] if row else None


async def open_refunds(db: Reader, after: bytes, limit: int) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """The next refunds that are not settled, behind an id: their own, payment, student and course."""
    sql = """
        SELECT o.refund_id, o.payment_id, p.student_id, p.course_id FROM refund_orders o JOIN payments p ON p.id = o.payment_id
        WHERE o.try_time IS NOT NULL AND o.refund_id > %s ORDER BY o.refund_id LIMIT %s
    """
    return [(row[0], row[1], row[2], row[3]) for row in await db.fetch_all(sql, (after, limit))]
