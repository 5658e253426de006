"""Opening payments: the price with its coupon, the one open payment of a student and course, and where it is paid."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from core.audit.record import record
from core.call import Call
from core.courses.catalog import Outline
from core.db import Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.enrollments.access import is_enrolled
from core.enrollments.service import EnrollmentsService
from core.errors import AlreadyExists, FailedPrecondition, Unavailable
from core.ids import new_id, to_text
from core.outbox import Outbox
from core.payments import messages, queries, rules
from core.payments.coupons import uses
from core.payments.coupons.rules import CouponRow, Sale, check, to_pay
from core.payments.coupons.uses import Use
from core.payments.providers import Checkout, Providers, ProviderUnavailable
from core.payments.queries import Entry, PaymentRow
from core.payments.rules import NO_REFUND, EntryKind, State
from core.payments.settlement import UPDATED, Change, Settlement, moved

log = logging.getLogger("skillforge.payments")

PROVIDER_SECONDS = 5.0
# Stands for the provider where there is nothing to pay.
NOBODY = "none"


class Opening:
    """Opens payments and closes those that nobody paid."""

    def __init__(
        self,
        db: Database,
        enrollments: EnrollmentsService,
        outbox: Outbox,
        providers: Providers,
        settlement: Settlement,
        public_url: str,
    ) -> None:
        self._db = db
        self._enrollments = enrollments
        self._outbox = outbox
        self._providers = providers
        self._settlement = settlement
        self._public_url = public_url.rstrip("/")

    async def open(self, call: Call, outline: Outline, coupon_code: str) -> tuple[PaymentRow, bool]:
        """The payment to be paid, and whether it is new; one of nothing has succeeded at once.

        Raises what `PaymentsService.create_payment` says.
        """
        row, created = await self._db.transact(lambda tx: self._open(tx, call, outline, coupon_code.strip()))
        if row.status == rules.PENDING and not row.checkout_url:
            row = await self._start_checkout(row, outline)
        return row, created

    async def expire_overdue(self, now: datetime, limit: int) -> int:
        """Close up to `limit` payments whose time is over; how many it were. Any number of processes may do it at once."""
        count = 0
        for row in await queries.overdue(self._db, now, limit):
            count += await self.expire(row, now)
        return count

    async def expire(self, row: PaymentRow, now: datetime) -> bool:
        """Close an open payment; False: it is none any more."""
        return await self._db.transact(lambda tx: self._expire(tx, row, now))

    async def _open(self, tx: Transaction, call: Call, outline: Outline, coupon_code: str) -> tuple[PaymentRow, bool]:
        student_id, now = call.user.user_id, call.now
        if await is_enrolled(tx, student_id, outline.course_id):
            raise _already_enrolled()
        coupon = await uses.named(tx, coupon_code) if coupon_code else None
        found = await queries.open_payment(tx, student_id, outline.course_id)
        if found is not None:
            if self._fits(found, outline, coupon, now):
                call.audited = True  # nothing changes, so there is nothing to record
                return found, False
            if not await self._expire(tx, found, now):
                raise RetryScope("the open payment was closed meanwhile")
        row = await self._new_row(tx, student_id, outline, coupon, now)
        try:
            await queries.insert_payment(tx, row)
        except DuplicateKey as error:
            raise RetryScope("another call opened a payment meanwhile") from error
        after = {"courseId": to_text(row.course_id), "amountMinor": row.amount_minor, "currency": row.currency}
        if coupon is not None:
            after["couponCode"] = coupon.code
        await record(tx, call, "payment", to_text(row.payment_id), after=after)
        if row.provider == NOBODY:
            row = await self._give(tx, row, now)
        return row, True

    def _fits(self, found: PaymentRow, outline: Outline, coupon: CouponRow | None, now: datetime) -> bool:
        """Whether an open payment is what would be opened now: then it stays."""
        current = self._providers.current
        asked = (outline.price_minor, outline.currency, coupon.coupon_id if coupon else None, current.name if current else "")
        return (found.list_price_minor, found.currency, found.coupon_id, found.provider) == asked and found.expire_time > now

    async def _new_row(
        self, tx: Transaction, student_id: bytes, outline: Outline, coupon: CouponRow | None, now: datetime
    ) -> PaymentRow:
        """A payment with its price, a use of its coupon taken."""
        amount_minor = outline.price_minor
        if coupon is not None:
            sale = Sale(outline.course_id, outline.instructor_id, outline.price_minor, outline.currency)
            check(coupon.terms, sale, now)
            amount_minor = to_pay(coupon.terms, sale)
        current = self._providers.current
        if amount_minor and current is None:
            raise FailedPrecondition("PAYMENTS_NOT_CONFIGURED", "No payment provider is set up here. Set PAYMENT_PROVIDER.")
        if coupon is not None:
            await uses.take(tx, coupon, student_id)
        return PaymentRow(
            payment_id=new_id(), student_id=student_id, course_id=outline.course_id, amount_minor=amount_minor,
            currency=outline.currency, refunded_minor=0, status=rules.PENDING,
            provider=current.name if amount_minor and current else NOBODY, checkout_url="", create_time=now, update_time=now,
            expire_time=now + rules.LIFETIME, list_price_minor=outline.price_minor,
            coupon_id=coupon.coupon_id if coupon else None, coupon_code=coupon.code if coupon else "",
        )  # fmt: skip

    async def _give(self, tx: Transaction, row: PaymentRow, now: datetime) -> PaymentRow:
        """Open the course at once where there is nothing to pay."""
        # Its open slot is taken, so who does the same at the same time has waited for the end of that.
        if await self._enrollments.hold(tx, (row.student_id, row.course_id)):
            raise _already_enrolled()
        change = Change(row, State(rules.SUCCEEDED, 0))
        entry = Entry(row.payment_id, NO_REFUND, EntryKind.CHARGE, row.course_id, 0, row.currency, now)
        await self._settlement.write(tx, [change], [entry], now)
        return moved(change, now)

    async def _start_checkout(self, row: PaymentRow, outline: Outline) -> PaymentRow:
        """Ask the provider where to pay. The payment's row is there before, so whatever fails here can be repeated."""
        provider = self._providers.named(row.provider)
        assert provider is not None, "only what the current provider opens has no checkout yet"
        checkout = Checkout(
            payment_id=to_text(row.payment_id),
            amount_minor=row.amount_minor,
            currency=row.currency,
            description=outline.title,
            success_url=f"{self._public_url}/#/payments/{to_text(row.payment_id)}",
            cancel_url=f"{self._public_url}/#/courses/{to_text(row.course_id)}",
            expire_time=row.expire_time,
        )
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                session = await provider.create_checkout(checkout)
        except (ProviderUnavailable, TimeoutError) as error:
            log.warning("no checkout for payment %s: %s", checkout.payment_id, error or type(error).__name__)
            raise Unavailable(
                "PAYMENT_PROVIDER_UNAVAILABLE",
                "The payment provider cannot be reached now. Try again; nothing is paid twice.",
                retry_after=getattr(error, "retry_after", 2.0),
            ) from error
        await queries.store_checkout(self._db, row.payment_id, session.reference, session.url)
        stored = await queries.payment(self._db, row.payment_id, row.student_id)
        return stored or row

    async def _expire(self, tx: Transaction, row: PaymentRow, now: datetime) -> bool:
        if not await queries.expire(tx, row.payment_id, now):
            return False
        if row.coupon_id is not None:
            await uses.change(tx, given_back=[Use(row.coupon_id, row.student_id)])
        expired = row._replace(status=rules.EXPIRED, update_time=now)
        await self._outbox.add(tx, row.student_id, UPDATED, messages.payment(expired, (), now))
        return True


def _already_enrolled() -> AlreadyExists:
    return AlreadyExists("ALREADY_ENROLLED", "You are enrolled in the course already.")
