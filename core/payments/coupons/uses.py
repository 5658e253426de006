"""The uses of coupons, as payments take them and give them back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from core.db import Reader, Transaction
from core.errors import FailedPrecondition
from core.payments.coupons import queries
from core.payments.coupons.rules import CouponRow, invalid

_CODE = re.compile(r"[A-Za-z0-9_-]{3,50}", re.ASCII)


class Use(NamedTuple):
    """A student's use of a coupon."""

    coupon_id: bytes
    student_id: bytes


async def named(db: Reader, code: str) -> CouponRow:
    """The coupon somebody typed. Raises InvalidArgument (COUPON_INVALID) when there is none."""
    found = await queries.by_code(db, code.strip()) if _CODE.fullmatch(code.strip()) else None
    if found is None:
        raise invalid("There is no such coupon.")
    return found


async def take(tx: Transaction, coupon: CouponRow, student_id: bytes) -> None:
    """Reserve a use for a payment that is about to be opened. Raises FailedPrecondition (COUPON_USED_UP)."""
    if not await queries.take_use(tx, coupon.coupon_id):
        raise FailedPrecondition("COUPON_USED_UP", "The coupon has been used as often as it can be.")
    if not await queries.take_student_use(tx, coupon.coupon_id, student_id, coupon.max_uses_per_student):
        raise FailedPrecondition("COUPON_USED_UP", "You have used the coupon as often as you can.")


async def change(tx: Transaction, given_back: Iterable[Use], taken: Iterable[Use] = ()) -> None:
    """Give back the uses of payments that were lost, and take those of lost ones that were paid after all, beyond any
    limit: the price with the coupon was promised."""
    by_student: Counter[Use] = Counter(taken)
    by_student.subtract(given_back)
    by_coupon: Counter[bytes] = Counter()
    for use, by in by_student.items():
        by_coupon[use.coupon_id] += by
    for coupon_id, by in sorted(by_coupon.items()):
        if by:
            await queries.change_uses(tx, coupon_id, by)
    for use, by in sorted(by_student.items()):
        if by:
            await queries.change_student_uses(tx, *use, by)
