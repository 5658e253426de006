"""Refunds: ordered in the ledger first, then asked for at the provider, as often as it takes, and settled like its events.

The order reserves the amount and is committed before the provider is asked, so that what is given back never exceeds
what was paid, and what a process that died left is completed by the next sweep: the provider knows a refund by our id.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from contract.errors import Violation
from contract.metadata import IDEMPOTENCY_KEY
from core.audit.record import record
from core.call import Call
from core.db import Database, Transaction
from core.errors import AlreadyExists, FailedPrecondition, missing
from core.ids import new_id, to_bytes, to_text
from core.payments import messages, queries, rules
from core.payments.currencies import display
from core.payments.events import PaymentEvent
from core.payments.opening import PROVIDER_SECONDS
from core.payments.providers import Providers, ProviderUnavailable, RefundOrder, RefundReceipt, RefundRefused, RefundStatus
from core.payments.queries import Entry, OrderRow, PaymentRow, RefundRow
from core.payments.rules import EntryKind, EventType, refundable
from core.payments.settlement import Change, Result, Settlement
from core.times import Clock
from skillforge.v1 import payments_pb2

log = logging.getLogger("skillforge.payments")

# How long who orders a refund has for asking the provider, before anybody may; doubled with every try.
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
# Refunds that are asked for at once.
_AT_ONCE = 8
_MAX_FAILURE = 500


class Refunds:
    """Orders refunds and sees them through. `settle` settles one event."""

    def __init__(
        self,
        db: Database,
        providers: Providers,
        settlement: Settlement,
        settle: Callable[[PaymentEvent], Awaitable[Result]],
        clock: Clock,
    ) -> None:
        self._db = db
        self._providers = providers
        self._settlement = settlement
        self._settle = settle
        self._clock = clock

    async def refund(self, call: Call, request: payments_pb2.RefundPaymentRequest) -> payments_pb2.Refund:
        """Order a refund and ask for it. Raises what `PaymentsService.refund_payment` says."""
        refund_id = _refund_id(call, request.payment_id)
        order = await self._db.transact(lambda tx: self._order(tx, call, request, refund_id))
        if order.try_time is not None:
            await self._ask(order)
        row = await self._read(order)
        if row.state.released:
            detail = row.failure or "The payment provider did not make the refund."
            raise FailedPrecondition("REFUND_REFUSED", f"{detail} Nothing was given back.")
        if not row.state.made:
            call.answer_with(202)
        return messages.refund(row)

    async def complete(self, now: datetime, limit: int) -> int:
        """Ask the provider about up to `limit` refunds that are not settled; how many it were. Any number of processes
        may do it at once."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(order: OrderRow) -> bool:
            async with gate:
                if not await queries.claim_order(self._db, order, now + pause(order.tries + 1)):
                    return False
                await self._ask(order)
                return True

        return sum(await asyncio.gather(*(ask(order) for order in await queries.orders_to_try(self._db, now, limit))))

    async def _order(self, tx: Transaction, call: Call, request: payments_pb2.RefundPaymentRequest, refund_id: bytes) -> OrderRow:
        locked = await queries.lock_payments(tx, [to_bytes(request.payment_id)])
        row = locked.payments.get(to_bytes(request.payment_id))
        if row is None:
            raise missing("payment")
        known = await queries.order(tx, refund_id)
        if known is not None:
            _require_same(known, request)
            call.audited = True  # by the call that ordered it
            return known
        amount = request.amount_minor if request.HasField("amount_minor") else refundable(row.due, row.state)
        step = rules.order(row.due, row.state, amount)
        if step is None:
            raise _refusal(row)
        order = OrderRow(
            refund_id, row.payment_id, amount, request.reason, 0, call.now + FIRST_PAUSE,
            row.currency, row.provider, row.provider_reference,
        )  # fmt: skip
        await queries.insert_order(tx, order, call.now)
        entry = Entry(row.payment_id, refund_id, EntryKind.ORDERED, row.course_id, amount, row.currency, call.now)
        await self._settlement.write(tx, [Change(row, step.state)], [entry], call.now)
        before = {"status": payments_pb2.PaymentStatus.Name(row.status), "refundedMinor": row.refunded_minor}
        after = {"refundId": to_text(refund_id), "amountMinor": amount, "currency": row.currency}
        await record(tx, call, "payment", to_text(row.payment_id), before=before, after=after)
        return order

    async def _ask(self, order: OrderRow) -> None:
        """Have the provider make a refund, and settle what it says; whatever fails here is done again by a sweep."""
        provider = self._providers.named(order.provider)
        if order.amount_minor == 0:
            return await self._conclude(order, EventType.REFUNDED)
        if provider is None:
            log.error("refund %s waits: the provider %s is not configured", to_text(order.refund_id), order.provider)
            return None
        asked = RefundOrder(
            to_text(order.refund_id), to_text(order.payment_id), order.provider_reference,
            order.amount_minor, order.currency, order.reason,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                receipt = await provider.refund(asked)
        except RefundRefused as refusal:
            return await self._conclude(order, EventType.REFUND_FAILED, refusal.detail or "The payment provider refused it.")
        except (ProviderUnavailable, TimeoutError) as error:
            log.warning("refund %s is asked for again later: %s", asked.refund_id, error or type(error).__name__)
            return None
        return await self._receive(order, receipt)

    async def _receive(self, order: OrderRow, receipt: RefundReceipt) -> None:
        if receipt.status is RefundStatus.SUCCEEDED:
            await self._conclude(order, EventType.REFUNDED)
        elif receipt.status is RefundStatus.FAILED:
            await self._conclude(order, EventType.REFUND_FAILED, "The payment provider could not make the refund.")
        else:  # an event will tell; the question is for when that is lost
            await queries.postpone_order(self._db, order.refund_id, self._clock() + LONGEST_PAUSE)

    async def _conclude(self, order: OrderRow, kind: EventType, failure: str = "") -> None:
        """Settle what the provider answered as if it had told it by an event."""
        if failure:
            await queries.note_failure(self._db, order.refund_id, failure[:_MAX_FAILURE])
        refund_id = to_text(order.refund_id)
        event = PaymentEvent(
            order.provider, f"answer.{refund_id}", kind, self._clock(), order.payment_id,
            order.amount_minor, order.currency, order.refund_id,
        )  # fmt: skip
        refusal = await self._settle(event)
        if refusal is not None:
            log.error("refund %s cannot be settled: %s", refund_id, refusal.detail)

    async def _read(self, order: OrderRow) -> RefundRow:
        rows = (await queries.refunds(self._db, [order.payment_id])).get(order.payment_id, [])
        return next(row for row in rows if row.refund_id == order.refund_id)


def pause(tries: int) -> timedelta:
    """How long after a try the next one may follow."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(tries, 10)))


def _refund_id(call: Call, payment_id: str) -> bytes:
    """The id of a refund. The same for the same caller and Idempotency-Key, so that a repeat never orders another, even
    where the first call's answer is lost. In the form of a UUIDv8 (RFC 9562)."""
    key = call.metadata.get(IDEMPOTENCY_KEY)
    if not key:
        return new_id()
    digest = bytearray(hashlib.sha256(b"\0".join((call.user.user_id, to_bytes(payment_id), key.encode()))).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return bytes(digest)


def _require_same(known: OrderRow, request: payments_pb2.RefundPaymentRequest) -> None:
    amount = request.amount_minor if request.HasField("amount_minor") else known.amount_minor
    if (known.amount_minor, known.reason) != (amount, request.reason):
        raise AlreadyExists("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request. Take a new key.")


def _refusal(row: PaymentRow) -> FailedPrecondition:
    """Why a refund cannot be ordered."""
    remaining = refundable(row.due, row.state)
    if not rules.is_paid(row.status):
        return FailedPrecondition("PAYMENT_NOT_REFUNDABLE", "The payment was not paid, so there is nothing to give back.")
    if not remaining:
        return FailedPrecondition("PAYMENT_NOT_REFUNDABLE", "All of the payment was given back already, or is on its way.")
    detail = f"No more than {display(remaining, row.currency)} of the payment can be given back."
    violation = Violation("amountMinor", "range", f"must be at most {remaining}")
    return FailedPrecondition("REFUND_TOO_LARGE", detail, violations=[violation])
