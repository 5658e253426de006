"""All SQL of coupons and their uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import Reader, Transaction
from core.payments.coupons.rules import CouponRow, Terms

_COLUMNS = """
id, code, course_id, instructor_id, percent, amount_off_minor, currency, start_time, expire_time, disable_time,
max_uses, max_uses_per_student, uses, create_time
"""
_SELECT = f"SELECT {_COLUMNS} FROM coupons"


def _coupon(row: Sequence[object]) -> CouponRow:
    return CouponRow(row[0], row[1], Terms(*row[2:10]), *row[10:])  # type: ignore[arg-type]


async def insert(tx: Transaction, row: CouponRow) -> None:
    """A new coupon. Raises DuplicateKey when there is one with the code, MissingParent without such an instructor."""
    sql = f"INSERT INTO coupons ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    await tx.execute(sql, (row.coupon_id, row.code, *row.terms, *row[3:]))


async def coupon(db: Reader, coupon_id: bytes, instructor_id: bytes | None) -> CouponRow | None:
    """One coupon, if it is this instructor's; None: whoever's."""
    sql = f"{_SELECT} WHERE id = %s AND (%s OR instructor_id = %s)"
    row = await db.fetch_one(sql, (coupon_id, instructor_id is None, instructor_id or b""))
    return _coupon(row) if row else None


async def by_code(db: Reader, code: str) -> CouponRow | None:
    """The coupon with a code (ASCII), whatever the case of its letters."""
    row = await db.fetch_one(f"{_SELECT} WHERE code = %s", (code,))
    return _coupon(row) if row else None


async def list_coupons(
    db: Reader, instructor_id: bytes | None, course_id: bytes | None, disabled: bool, before: bytes | None, limit: int
) -> list[CouponRow]:
    """Coupons, newest first: this instructor's or everybody's, for one course alone or all; disabled ones too or not."""
    conditions, params = ["TRUE" if disabled else "disable_time IS NULL"], []  # type: tuple[list[str], list[object]]
    for condition, value in (("instructor_id = %s", instructor_id), ("course_id = %s", course_id), ("id < %s", before)):
        if value is not None:
            conditions.append(condition)
            params.append(value)
    sql = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT %s"
    return [_coupon(row) for row in await db.fetch_all(sql, (*params, limit))]


async def disable(tx: Transaction, coupon_id: bytes, instructor_id: bytes | None, now: datetime) -> bool:
    """End a coupon, if it is this instructor's (None: whoever's); False: it is ended, not theirs, or not there."""
    sql = "UPDATE coupons SET disable_time = %s WHERE id = %s AND (%s OR instructor_id = %s) AND disable_time IS NULL"
    return await tx.execute(sql, (now, coupon_id, instructor_id is None, instructor_id or b"")) == 1


async def disable_all_of(tx: Transaction, instructor_id: bytes, now: datetime) -> int:
    """End all coupons of an instructor; how many that were."""
    sql = "UPDATE coupons SET disable_time = %s WHERE instructor_id = %s AND disable_time IS NULL"
    return await tx.execute(sql, (now, instructor_id))


async def is_author(db: Reader, user_id: bytes, roles: Sequence[int]) -> bool:
    """Whether there is such an account in one of these roles."""
    return await db.fetch_one("SELECT 1 FROM users WHERE id = %s AND role IN %s", (user_id, list(roles))) is not None


# Uses. The coupon's row is written first: who uses the same coupon waits there.


async def take_use(tx: Transaction, coupon_id: bytes) -> bool:
    """Count one use more; False: the limit is reached, or the coupon has ended."""
    sql = """
        UPDATE coupons SET uses = uses + 1 WHERE id = %s AND disable_time IS NULL AND (max_uses = 0 OR uses < max_uses)
    """
    return await tx.execute(sql, (coupon_id,)) == 1


async def take_student_use(tx: Transaction, coupon_id: bytes, student_id: bytes, limit: int) -> bool:
    """Count one use more of a student; False: the limit (0: none) is reached."""
    sql = "INSERT IGNORE INTO coupon_students (coupon_id, student_id, uses) VALUES (%s, %s, 0)"
    await tx.execute(sql, (coupon_id, student_id))
    sql = "UPDATE coupon_students SET uses = uses + 1 WHERE coupon_id = %s AND student_id = %s AND (%s = 0 OR uses < %s)"
    return await tx.execute(sql, (coupon_id, student_id, limit, limit)) == 1


async def change_uses(tx: Transaction, coupon_id: bytes, by: int) -> None:
    """Count so many uses more (fewer: negative), whatever the limit."""
    await tx.execute("UPDATE coupons SET uses = uses + %s WHERE id = %s", (by, coupon_id))


async def change_student_uses(tx: Transaction, coupon_id: bytes, student_id: bytes, by: int) -> None:
    """Count so many uses more of a student (fewer: negative), whatever the limit."""
    sql = "UPDATE coupon_students SET uses = uses + %s WHERE coupon_id = %s AND student_id = %s"
    await tx.execute(sql, (by, coupon_id, student_id))
