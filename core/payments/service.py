"""Payments: opened by students, settled by their provider's word, given back by admins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.api.httpbody_pb2 import HttpBody

from core.call import Call
from core.courses.catalog import CourseCatalog
from core.db import Batcher, Database
from core.enrollments.access import require_open
from core.enrollments.service import EnrollmentsService
from core.errors import FailedPrecondition, InvalidArgument, missing
from core.ids import to_bytes
from core.isolated import isolated
from core.outbox import Outbox
from core.pages import Pages
from core.payments import messages, queries
from core.payments.events import PaymentEvent
from core.payments.opening import Opening
from core.payments.providers import Providers
from core.payments.queries import PaymentRow
from core.payments.refunds import Refunds
from core.payments.settlement import Result, Settlement
from core.times import Clock, to_unix
from skillforge.v1 import payments_pb2

# Beside a batch of events another is settled only for so many: halves of few events cost far more CPU an event.
CROWD = 24
_RECEIVED = payments_pb2.ReceivePaymentWebhookResponse(received=True)


class PaymentsService:
    """Implements skillforge.v1.PaymentsService. Without a current provider nothing can be bought."""

    def __init__(
        self,
        db: Database,
        catalog: CourseCatalog,
        enrollments: EnrollmentsService,
        outbox: Outbox,
        pages: Pages,
        providers: Providers,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._pages = pages
        self._providers = providers
        self._clock = clock
        settlement = Settlement(db, enrollments, outbox, clock)
        self._settling: Batcher[PaymentEvent, Result] = Batcher(isolated(settlement.run), in_flight=2, crowd=CROWD)
        self._opening = Opening(db, enrollments, outbox, providers, settlement, public_url)
        self._refunds = Refunds(db, providers, settlement, self._settling.submit, clock)

    # The RPCs.

    async def create_payment(self, call: Call, request: payments_pb2.CreatePaymentRequest) -> payments_pb2.Payment:
        """Open a payment for a course, or find the open one again (200).

        Raises NotFound, FailedPrecondition (PAYMENTS_NOT_CONFIGURED, COURSE_FREE, COUPON_USED_UP), AlreadyExists
        (ALREADY_ENROLLED), InvalidArgument (COUPON_INVALID), Unavailable (PAYMENT_PROVIDER_UNAVAILABLE: a repeat goes on
        with the same payment).
        """
        outline = require_open(call, await self._catalog.outline(to_bytes(request.course_id)))
        if outline.price_minor == 0:
            raise FailedPrecondition("COURSE_FREE", "The course is free: POST /courses/{courseId}/enroll enters it.")
        row, created = await self._opening.open(call, outline, request.coupon_code)
        if not created:
            call.answer_with(200)
        return messages.payment(row, (), call.now)

    async def receive_payment_webhook(self, call: Call, request: HttpBody) -> payments_pb2.ReceivePaymentWebhookResponse:
        """Settle a signed event: once, whatever the order and number of its arrivals.

        Raises InvalidArgument: SIGNATURE_INVALID, SIGNATURE_EXPIRED, MALFORMED_JSON, INVALID_ARGUMENT, PAYMENT_UNKNOWN,
        PAYMENT_MISMATCH.
        """
        provider = self._providers.of_webhook(call.metadata)
        if provider is None:
            raise InvalidArgument("SIGNATURE_INVALID", "The webhook carries no signature of a payment provider known here.")
        event = provider.read_event(request.data, call.metadata[provider.signature_header], to_unix(self._clock()))
        if event is not None:
            refusal = await self._settling.submit(event)
            if refusal is not None:
                raise refusal
        call.shared_reply = True
        return _RECEIVED

    async def refund_payment(self, call: Call, request: payments_pb2.RefundPaymentRequest) -> payments_pb2.Refund:
        """Give back a payment or a part of it; 202 while the provider has not made it.

        Raises NotFound, FailedPrecondition (PAYMENT_NOT_REFUNDABLE, REFUND_TOO_LARGE, REFUND_REFUSED), AlreadyExists
        (IDEMPOTENCY_KEY_REUSED).
        """
        return await self._refunds.refund(call, request)

    async def get_payment(self, call: Call, request: payments_pb2.GetPaymentRequest) -> payments_pb2.Payment:
        """One payment: the caller's own; any, for an admin. Raises NotFound."""
        owner = None if call.user.is_admin else call.user.user_id
        row = await queries.payment(self._db, to_bytes(request.payment_id), owner)
        if row is None:
            raise missing("payment")
        [message] = await self._messages([row], call.now)
        return message

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
        return payments_pb2.ListPaymentsResponse(payments=await self._messages(kept, call.now), next_page_token=token)

    # Background work.

    async def expire_overdue(self, now: datetime, limit: int) -> int:
        """Close up to `limit` payments whose time is over; how many it were. Any number of processes may do it at once."""
        return await self._opening.expire_overdue(now, limit)

    async def complete_refunds(self, now: datetime, limit: int) -> int:
        """Ask providers about up to `limit` refunds that are not settled; how many it were. Any number of processes may
        do it at once."""
        return await self._refunds.complete(now, limit)

    # For reconciliation.

    async def settle(self, event: PaymentEvent) -> Result:
        """Settle an event that did not come by a webhook; the refusal, if it is refused."""
        return await self._settling.submit(event)

    async def expire(self, payment_id: bytes) -> bool:
        """Close an open payment before its time; False: it is none any more."""
        row = await queries.payment(self._db, payment_id, None)
        return row is not None and await self._opening.expire(row, self._clock())

    async def _messages(self, rows: Sequence[PaymentRow], now: datetime) -> list[payments_pb2.Payment]:
        # A payment that was never paid has no refunds to show.
        paid = [row.payment_id for row in rows if row.pay_time is not None]
        refunds = await queries.refunds(self._db, paid) if paid else {}
        return [messages.payment(row, refunds.get(row.payment_id, ()), now) for row in rows]
