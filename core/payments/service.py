"""Opening payments, and taking the provider's word that they are paid."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from google.api.httpbody_pb2 import HttpBody

from contract.errors import Violation
from core.audit.record import record
from core.call import Call
from core.courses.catalog import CourseCatalog, Outline
from core.db import Batcher, Database, DuplicateKey, Transaction
from core.db.errors import RetryScope
from core.enrollments.access import is_enrolled, require_open
from core.enrollments.service import EnrollmentsService
from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Unavailable, missing
from core.ids import new_id, to_bytes, to_text
from core.isolated import isolated
from core.outbox import Outbox
from core.pages import Pages
from core.payments import messages, queries, rules, signatures
from core.payments.events import PaymentEvent, read_event
from core.payments.providers import Checkout, PaymentProvider, ProviderUnavailable
from core.payments.queries import PaymentRow
from core.payments.settlement import UPDATED, Result, Settlement
from core.times import Clock, to_unix
from skillforge.v1 import payments_pb2

log = logging.getLogger("skillforge.payments")

PROVIDER_SECONDS = 5.0
_RECEIVED = payments_pb2.ReceivePaymentWebhookResponse(received=True)


class PaymentsService:
    """Implements skillforge.v1.PaymentsService. Without a `provider` nothing can be bought."""

    def __init__(
        self,
        db: Database,
        catalog: CourseCatalog,
        enrollments: EnrollmentsService,
        outbox: Outbox,
        pages: Pages,
        provider: PaymentProvider | None,
        webhook_secrets: Sequence[str],
        clock: Clock,
        public_url: str,
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._outbox = outbox
        self._pages = pages
        self._provider = provider
        self._webhook_secrets = tuple(webhook_secrets)
        self._clock = clock
        self._public_url = public_url.rstrip("/")
        settlement = Settlement(db, enrollments, outbox, clock)
        self._settling: Batcher[PaymentEvent, Result] = Batcher(isolated(settlement.run))

    # The RPCs.

    async def create_payment(self, call: Call, request: payments_pb2.CreatePaymentRequest) -> payments_pb2.Payment:
        """Open a payment for a course, or find the open one again (200).

        Raises NotFound, FailedPrecondition (PAYMENTS_NOT_CONFIGURED, COURSE_FREE), AlreadyExists (ALREADY_ENROLLED),
        InvalidArgument (COUPON_INVALID), Unavailable (PAYMENT_PROVIDER_UNAVAILABLE: a repeat goes on with the same payment).
        """
        _refuse_coupon(request.coupon_code)
        if self._provider is None:
            raise FailedPrecondition("PAYMENTS_NOT_CONFIGURED", "No payment provider is set up here. Set PAYMENT_PROVIDER.")
        provider = self._provider
        outline = require_open(call, await self._catalog.outline(to_bytes(request.course_id)))
        if outline.price_minor == 0:
            raise FailedPrecondition("COURSE_FREE", "The course is free: POST /courses/{courseId}/enroll enters it.")
        row, created = await self._db.transact(lambda tx: self._open(tx, call, outline, provider.name))
        if not created:
            call.answer_with(200)
        if not row.checkout_url:
            row = await self._start_checkout(provider, row, outline)
        return messages.payment(row, call.now)

    async def receive_payment_webhook(self, call: Call, request: HttpBody) -> payments_pb2.ReceivePaymentWebhookResponse:
        """Settle a signed event: once, whatever the order and number of its arrivals.

        Raises InvalidArgument: SIGNATURE_INVALID, SIGNATURE_EXPIRED, MALFORMED_JSON, INVALID_ARGUMENT, PAYMENT_UNKNOWN,
        PAYMENT_MISMATCH.
        """
        header = call.metadata.get(signatures.HEADER)
        signatures.verify(header, request.data, self._webhook_secrets, to_unix(self._clock()))
        event = read_event(request.data)
        if event is not None:
            refusal = await self._settling.submit(event)
            if refusal is not None:
                raise refusal
        call.shared_reply = True
        return _RECEIVED

    async def get_payment(self, call: Call, request: payments_pb2.GetPaymentRequest) -> payments_pb2.Payment:
        """One payment: the caller's own; any, for an admin. Raises NotFound."""
        owner = None if call.user.is_admin else call.user.user_id
        row = await queries.payment(self._db, to_bytes(request.payment_id), owner)
        if row is None:
            raise missing("payment")
        return messages.payment(row, call.now)

    async def list_payments(self, call: Call, request: payments_pb2.ListPaymentsRequest) -> payments_pb2.ListPaymentsResponse:
        """Payments, newest first: the caller's own; everybody's or one student's, for an admin. Raises NotFound."""
        student_id = to_bytes(request.student_id) if request.student_id else None
        if not call.user.is_admin:
            if student_id not in (None, call.user.user_id):
                raise missing("student")
            student_id = call.user.user_id
        page = self._pages.open(call, request, scope=(student_id,))
        before = bytes.fromhex(str(page.after[0])) if page.after else None
        rows = await queries.list_payments(self._db, student_id, before, page.size + 1)
        kept, token = page.close(rows, lambda row: (row.payment_id.hex(),))
        return payments_pb2.ListPaymentsResponse(
            payments=[messages.payment(row, call.now) for row in kept], next_page_token=token
        )

    # Background work.

    async def expire_overdue(self, now: datetime, limit: int) -> int:
        """Close up to `limit` payments whose time is over; how many it were. Any number of processes may do it at once."""
        count = 0
        for row in await queries.overdue(self._db, now, limit):
            count += await self._db.transact(lambda tx, row=row: self._expire(tx, row, now))  # type: ignore[misc]
        return count

    async def _open(self, tx: Transaction, call: Call, outline: Outline, provider: str) -> tuple[PaymentRow, bool]:
        """The payment to be paid, and whether it is new: the open one stays while it fits."""
        student_id, now = call.user.user_id, call.now
        if await is_enrolled(tx, student_id, outline.course_id):
            raise AlreadyExists("ALREADY_ENROLLED", "You are enrolled in the course already.")
        found = await queries.open_payment(tx, student_id, outline.course_id)
        if found is not None:
            price = (outline.price_minor, outline.currency, provider)
            if (found.amount_minor, found.currency, found.provider) == price and found.expire_time > now:
                call.audited = True  # nothing changes, so there is nothing to record
                return found, False
            if not await self._expire(tx, found, now):
                raise RetryScope("the open payment was closed meanwhile")
        row = PaymentRow(
            payment_id=new_id(), student_id=student_id, course_id=outline.course_id, amount_minor=outline.price_minor,
            currency=outline.currency, refunded_minor=0, status=rules.PENDING, provider=provider, checkout_url="",
            create_time=now, update_time=now, expire_time=now + rules.LIFETIME,
        )  # fmt: skip
        try:
            await queries.insert_open(tx, row)
        except DuplicateKey as error:
            raise RetryScope("another call opened a payment meanwhile") from error
        after = {"courseId": to_text(row.course_id), "amountMinor": row.amount_minor, "currency": row.currency}
        await record(tx, call, "payment", to_text(row.payment_id), after=after)
        return row, True

    async def _start_checkout(self, provider: PaymentProvider, row: PaymentRow, outline: Outline) -> PaymentRow:
        """Ask the provider where to pay. The payment's row is there before, so whatever fails here can be repeated."""
        course = f"{self._public_url}/courses/{to_text(row.course_id)}"
        checkout = Checkout(
            payment_id=to_text(row.payment_id),
            amount_minor=row.amount_minor,
            currency=row.currency,
            description=outline.title,
            success_url=course,
            cancel_url=course,
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
        expired = row._replace(status=rules.EXPIRED, update_time=now)
        await self._outbox.add(tx, row.student_id, UPDATED, messages.payment(expired, now))
        return True


def _refuse_coupon(code: str) -> None:
    if code.strip():
        raise InvalidArgument(
            "COUPON_INVALID",
            "There is no such coupon.",
            violations=[Violation("couponCode", "coupon", "must be a coupon that is valid for this course")],
        )
