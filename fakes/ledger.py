"""What the fake payment provider knows of payments and refunds, and how they change. It lives as long as the process."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from fakes.checkout import Card, Outcome, Refunding, RefundOrder, Session, make_event
from fakes.web import Problem
from fakes.webhooks import DELIVERED, Delivery, QueueFull, WebhookSender

MAX_REMEMBERED = 10_000
MAX_REFUNDS = 100  # of one payment
MAX_FAILURES = 20  # of one payment; later ones repeat the event of the last
STALE_SECONDS = 60  # how much older the failure of the out-of-order card is than its success

T = TypeVar("T")


class Memory(OrderedDict[str, T], Generic[T]):
    """A dictionary that forgets its oldest entries beyond MAX_REMEMBERED."""

    def remember(self, key: str, value: T) -> None:
        self[key] = value
        if len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back. It is pending until `done_time` (Unix seconds)."""

    id: str
    order: RefundOrder
    done_time: float
    fails: bool

    def status(self, now: float) -> str:
        if now < self.done_time:
            return "pending"
        return "failed" if self.fails else "succeeded"

    def summary(self, now: float) -> dict[str, Any]:
        order = self.order
        return {
            "id": self.id,
            "status": self.status(now),
            "refundId": order.refund_id,
            "paymentId": order.payment_id,
            "amountMinor": order.amount_minor,
            "currency": order.currency,
            "fake": True,
        }


class Stage(Enum):
    """How far a payment is."""

    OPEN = "open"
    UNCONFIRMED = "unconfirmed"
    PROCESSING = "processing"
    PAID = "paid"
    EXPIRED = "expired"


@dataclass(slots=True)
class Payment:
    """How one checkout session stands. `paid_time` (Unix seconds) is ahead while the payment is processed."""

    token: str
    session: Session
    card: Card | None = None  # which paid, or waits to be confirmed
    paid_time: float | None = None
    refusal: str = ""  # what the latest card was refused with
    failures: int = 0
    success: Delivery | None = None
    refunds: list[Refund] = field(default_factory=list)

    def stage(self, now: float) -> Stage:
        if self.paid_time is not None:
            return Stage.PAID if self.paid_time <= now else Stage.PROCESSING
        if self.session.expires_at <= now:
            return Stage.EXPIRED
        return Stage.UNCONFIRMED if self.card is not None else Stage.OPEN

    @property
    def told(self) -> bool:
        """Whether the merchant knows that it is paid."""
        return self.success is not None and self.success.state == DELIVERED

    def refunded(self, now: float, *states: str) -> int:
        """The sum of its refunds in these states, in minor units."""
        return sum(refund.order.amount_minor for refund in self.refunds if refund.status(now) in states)

    def summary(self, now: float) -> dict[str, Any]:
        stage = self.stage(now)
        status = {Stage.PAID: "paid", Stage.EXPIRED: "expired"}.get(stage, "failed" if self.refusal else "open")
        return {
            "paymentId": self.session.payment_id,
            "status": status,
            "amountMinor": self.session.amount_minor,
            "currency": self.session.currency,
            "refundedMinor": self.refunded(now, "succeeded"),
            "refunds": [refund.summary(now) for refund in self.refunds],
            "fake": True,
        }


class Ledger:
    """The payments and refunds. Every change is made at once, so that two requests never meet in the middle of one."""

    def __init__(self, webhooks: WebhookSender, late_seconds: float) -> None:
        """`late_seconds`: how late what is late is. The webhooks' clock tells the time."""
        self.late_seconds = late_seconds
        self._webhooks = webhooks
        self._sessions: Memory[Payment] = Memory()  # by session id
        self._payments: Memory[Payment] = Memory()  # by payment id: the paid session's, else the latest's
        self._refunds: Memory[Refund] = Memory()  # by refund id
        self._refund_keys: Memory[RefundOrder] = Memory()  # by idempotency key

    def now(self) -> float:
        """Unix seconds."""
        return self._webhooks.clock.now()

    def payment(self, token: str, session: Session) -> Payment:
        """How a session stands; an unknown one is open."""
        found = self._sessions.get(token)
        if found is None:
            found = Payment(token, session)
            self._sessions.remember(token, found)
            earlier = self._payments.get(session.payment_id)
            if earlier is None or earlier.paid_time is None:
                self._payments.remember(session.payment_id, found)
        return found

    def find(self, payment_id: str) -> Payment | None:
        return self._payments.get(payment_id)

    def charge(self, payment: Payment, card: Card) -> None:
        """Lets the card do what it does, and tells the merchant. A refused card leaves the checkout open.

        Raises Problem (503) when too many webhooks wait; nothing has changed then.
        """
        if card.outcome is Outcome.FAILED:
            self._fail(payment, card.message)
        elif card.outcome is Outcome.UNCONFIRMED:
            payment.card, payment.refusal = card, ""
        else:
            self._take(payment, card)

    def confirm(self, payment: Payment, yes: bool) -> None:
        """The payer's word on a payment that waits for it. Raises Problem (503)."""
        assert payment.card is not None
        if yes:
            self._take(payment, payment.card)
        else:
            self._fail(payment, "You denied the payment.")

    def refund(self, order: RefundOrder, key: str) -> tuple[Refund, bool]:
        """Gives money back, and whether that is new: the same order again is the same refund.

        Raises Problem: 404 for an unknown payment, 409 for what will never be given back, 503.
        """
        refund = self._refunds.get(order.refund_id)
        if self._refund_keys.get(key, order) != order or (refund is not None and refund.order != order):
            raise Problem(409, "This refund was ordered before, with other content.", code="idempotency_mismatch")
        if refund is not None:
            return refund, False
        payment = self._refundable(order)
        refund = self._make_refund(payment, order)
        payment.refunds.append(refund)
        self._refunds.remember(order.refund_id, refund)
        self._refund_keys.remember(key, order)
        return refund, True

    def _refundable(self, order: RefundOrder) -> Payment:
        payment, now = self._payments.get(order.payment_id), self.now()
        if payment is None:
            detail = "There is no such payment. This fake forgets its payments when it stops."
            raise Problem(404, detail, code="payment_unknown")
        if payment.stage(now) is not Stage.PAID:
            raise Problem(409, "The payment is not paid.", code="payment_not_paid")
        if payment.session.currency != order.currency:
            raise Problem(409, f"The payment is in {payment.session.currency}.", code="currency_mismatch")
        left = payment.session.amount_minor - payment.refunded(now, "succeeded", "pending")
        if order.amount_minor > left:
            detail = "This is more than is left of the payment."
            raise Problem(409, detail, code="amount_too_large", refundableMinor=left)
        if len(payment.refunds) >= MAX_REFUNDS:
            raise Problem(409, f"A payment has at most {MAX_REFUNDS} refunds.", code="too_many_refunds")
        return payment

    def _make_refund(self, payment: Payment, order: RefundOrder) -> Refund:
        assert payment.card is not None
        refunding = payment.card.refunding
        delay = 0.0 if refunding is Refunding.AT_ONCE else self.late_seconds
        refund_id = "re_fake_" + hashlib.sha256(f"{payment.token}:{order.refund_id}".encode()).hexdigest()[:24]
        refund = Refund(refund_id, order, self.now() + delay, refunding is Refunding.FAILS)
        data = {
            "paymentId": order.payment_id,
            "amountMinor": order.amount_minor,
            "currency": order.currency,
            "refundId": order.refund_id,
        }
        kind = "payment.refund_failed" if refund.fails else "payment.refunded"
        self._send([make_event(kind, refund.done_time, refund_id, data)], delay)
        return refund

    def _take(self, payment: Payment, card: Card) -> None:
        """The money comes, at once or late."""
        delay = self.late_seconds if card.outcome is Outcome.PROCESSING else 0.0
        paid_time = self.now() + delay
        events = [_event(payment, "succeeded", paid_time, 0)]
        if card.twice:
            events *= 2
        if card.stale_failure:
            events.append(_event(payment, "failed", paid_time - STALE_SECONDS, payment.failures + 1))
        payment.success = self._send(events, delay)[0]
        payment.card, payment.paid_time, payment.refusal = card, paid_time, ""
        self._payments.remember(payment.session.payment_id, payment)

    def _fail(self, payment: Payment, refusal: str) -> None:
        failures = min(payment.failures + 1, MAX_FAILURES)
        self._send([_event(payment, "failed", self.now(), failures)], 0.0)
        payment.card, payment.refusal, payment.failures = None, refusal, failures

    def _send(self, events: list[dict[str, Any]], delay: float) -> list[Delivery]:
        try:
            return self._webhooks.send(events, delay)
        except QueueFull:
            raise Problem(503, "Too many webhooks wait to be delivered. Try again later.") from None


def _event(payment: Payment, kind: str, created: float, number: int) -> dict[str, Any]:
    session = payment.session
    data = {"paymentId": session.payment_id, "amountMinor": session.amount_minor, "currency": session.currency}
    return make_event(f"payment.{kind}", created, f"{payment.token}:{number}", data)
