"""What the fake keeps: sessions, payment intents with their charge, and refunds; and the events each change sends.

https://docs.stripe.com/api/checkout/sessions/object, .../payment_intents/object, .../charges/object, .../refunds/object
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from fakes.stripe.params import RefundOrder, SessionOrder, check_steps
from fakes.stripe.wire import ApiError, new_id

API_VERSION = "2026-10-28.endive"
MAX_KEPT = 10_000
MAX_PAGE = 100

T = TypeVar("T")


class Cause(NamedTuple):
    """The request that caused an event: its id, and its idempotency key. Both empty: it came by itself."""

    request_id: str = ""
    key: str = ""

    @property
    def json(self) -> dict[str, Any]:
        return {"id": self.request_id or None, "idempotency_key": self.key or None}


BY_ITSELF = Cause()


@dataclass(eq=False)
class Refund:
    """A refund."""

    id: str
    intent: Intent
    amount: int
    reason: str
    metadata: dict[str, str]
    created: int
    status: str

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id, "object": "refund", "amount": self.amount, "charge": self.intent.charge_id, "created": self.created,
            "currency": self.intent.currency, "metadata": self.metadata, "payment_intent": self.intent.id,
            "reason": self.reason or None, "status": self.status,
        }  # fmt: skip


@dataclass(eq=False)
class Intent:
    """A payment intent with its charge."""

    id: str
    charge_id: str
    amount: int
    currency: str
    metadata: dict[str, str]
    created: int
    status: str
    refunds: list[Refund] = field(default_factory=list)

    @property
    def amount_refunded(self) -> int:
        return sum(refund.amount for refund in self.refunds if refund.status not in ("failed", "canceled"))

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id, "object": "payment_intent", "amount": self.amount, "created": self.created,
            "currency": self.currency, "latest_charge": self.charge_id, "livemode": False, "metadata": self.metadata,
            "status": self.status,
        }  # fmt: skip

    def charge_json(self) -> dict[str, Any]:
        return {
            "id": self.charge_id, "object": "charge", "amount": self.amount, "amount_refunded": self.amount_refunded,
            "created": self.created, "currency": self.currency, "livemode": False, "metadata": self.metadata,
            "paid": self.status == "succeeded", "payment_intent": self.id,
            "refunded": self.amount_refunded == self.amount, "status": self.status,
        }  # fmt: skip


@dataclass(eq=False)
class Session:
    """A Checkout Session."""

    id: str
    order: SessionOrder
    url: str
    created: int
    status: str = "open"
    payment_status: str = "unpaid"
    intent: Intent | None = None

    def json(self, expand: bool = False) -> dict[str, Any]:
        order = self.order
        intent = self.intent and (self.intent.json() if expand else self.intent.id)
        return {
            "id": self.id, "object": "checkout.session", "amount_subtotal": order.amount, "amount_total": order.amount,
            "cancel_url": order.cancel_url, "client_reference_id": order.client_reference_id, "created": self.created,
            "currency": order.currency, "expires_at": order.expires_at, "livemode": False, "metadata": order.metadata,
            "mode": "payment", "payment_intent": intent, "payment_status": self.payment_status, "status": self.status,
            "success_url": order.success_url, "url": self.url if self.status == "open" else None,
        }  # fmt: skip


class Shop:
    """`emit` takes every event; `now` tells the time in unix seconds. A refund made `pending` waits for `finish_refund`."""

    def __init__(self, emit: Callable[[dict[str, Any]], None], now: Callable[[], float]) -> None:
        self._emit = emit
        self._now = now
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._intents: OrderedDict[str, Intent] = OrderedDict()
        self._refunds: OrderedDict[str, Refund] = OrderedDict()
        self.refunds_wait = False

    # What the merchant asks for.

    def create_session(self, order: SessionOrder, base_url: str) -> Session:
        session_id = new_id("cs_test")
        session = Session(session_id, order, f"{base_url}/c/pay/{session_id}", int(self._now()))
        _keep(self._sessions, session_id, session)
        return session

    def session(self, session_id: str) -> Session:
        """Raises ApiError (404)."""
        session = self._sessions.get(session_id)
        if session is None:
            raise ApiError(404, f"No such checkout.session: {session_id}", code="resource_missing", param="session")
        if session.status == "open" and session.order.expires_at <= self._now():
            self._end(session, BY_ITSELF)
        return session

    def expire(self, session_id: str, cause: Cause) -> Session:
        """End an open session before its time. Raises ApiError."""
        session = self.session(session_id)
        if session.status != "open":
            raise ApiError(400, f"Only Checkout Sessions with a status in open can be expired; it is {session.status}.")
        self._end(session, cause)
        return session

    def create_refund(self, order: RefundOrder, cause: Cause) -> Refund:
        """Raises ApiError."""
        intent = self._intents.get(order.intent_id)
        if intent is None:
            message = f"No such payment_intent: {order.intent_id}"
            raise ApiError(404, message, code="resource_missing", param="payment_intent")
        if intent.status != "succeeded":
            raise ApiError(400, f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
        before = intent.amount_refunded
        left = intent.amount - before
        if left == 0:
            raise ApiError(400, f"Charge {intent.charge_id} has already been refunded.", code="charge_already_refunded")
        amount = left if order.amount is None else order.amount
        if amount > left:
            raise ApiError(400, f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount")
        check_steps(amount, intent.currency, "amount")
        status = "pending" if self.refunds_wait else "succeeded"
        refund = Refund(new_id("re"), intent, amount, order.reason, order.metadata, int(self._now()), status)
        intent.refunds.append(refund)
        _keep(self._refunds, refund.id, refund)
        self._tell("charge.refunded", intent.charge_json(), cause, {"amount_refunded": before})
        self._tell("refund.created", refund.json(), cause)
        return refund

    def list_refunds(self, intent_id: str, limit: int, after: str) -> tuple[list[Refund], bool]:
        """A page, newest first, and whether there is more."""
        intent = self._intents.get(intent_id)
        refunds = list(reversed(intent.refunds)) if intent else []
        if after:
            ids = [refund.id for refund in refunds]
            if after not in ids:
                raise ApiError(400, f"No such refund: {after}", code="resource_missing", param="starting_after")
            refunds = refunds[ids.index(after) + 1 :]
        return refunds[:limit], len(refunds) > limit

    # What the payer does, and what time does.

    def pay(self, session_id: str) -> None:
        """The card is charged. Raises ApiError unless the session is open."""
        session = self._complete(session_id, "succeeded")
        session.payment_status = "paid"
        self._tell("payment_intent.succeeded", self._intent(session).json())
        self._tell("checkout.session.completed", session.json())

    def decline(self, session_id: str) -> None:
        """The card is refused; the session stays open for another. Raises ApiError."""
        session = self._open(session_id)
        intent = self._new_intent(session, "requires_payment_method")
        self._tell("payment_intent.payment_failed", intent.json())

    def pay_late(self, session_id: str) -> None:
        """A method is chosen whose money comes later, or never: see `settle_late`. Raises ApiError."""
        session = self._complete(session_id, "processing")
        self._tell("checkout.session.completed", session.json())

    def settle_late(self, session_id: str, paid: bool) -> None:
        """The late money came, or will not come."""
        session = self.session(session_id)
        intent = self._intent(session)
        intent.status = "succeeded" if paid else "requires_payment_method"
        session.payment_status = "paid" if paid else "unpaid"
        self._tell(f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session.json())

    def refund_by_hand(self, session_id: str, amount: int | None = None) -> Refund:
        """Somebody refunds in Stripe's dashboard. Raises ApiError."""
        order = RefundOrder(self._intent(self.session(session_id)).id, amount, "", {})
        return self.create_refund(order, Cause(new_id("req"), new_id("dashboard")))

    def finish_refund(self, refund_id: str, succeeded: bool) -> None:
        """A pending refund is carried out, or fails; one that was made may fail after all."""
        refund = self._refunds[refund_id]
        before, refund.status = refund.status, "succeeded" if succeeded else "failed"
        self._tell("refund.updated", refund.json(), previous={"status": before})
        if not succeeded:
            self._tell("refund.failed", refund.json())

    def _open(self, session_id: str) -> Session:
        session = self.session(session_id)
        if session.status != "open":
            raise ApiError(400, f"This session is {session.status}.")
        return session

    def _complete(self, session_id: str, intent_status: str) -> Session:
        session = self._open(session_id)
        session.intent = self._new_intent(session, intent_status)
        session.status = "complete"
        return session

    def _new_intent(self, session: Session, status: str) -> Intent:
        order = session.order
        ids = new_id("pi"), new_id("ch")
        intent = Intent(*ids, order.amount, order.currency, order.intent_metadata, int(self._now()), status)
        _keep(self._intents, intent.id, intent)
        return intent

    def _intent(self, session: Session) -> Intent:
        if session.intent is None:
            raise ApiError(400, "Nothing was paid in this session.")
        return session.intent

    def _end(self, session: Session, cause: Cause) -> None:
        session.status = "expired"
        self._tell("checkout.session.expired", session.json(), cause)

    def _tell(self, kind: str, thing: dict[str, Any], cause: Cause = BY_ITSELF, previous: dict[str, Any] | None = None) -> None:
        data = {"object": thing} if previous is None else {"object": thing, "previous_attributes": previous}
        self._emit(
            {
                "id": new_id("evt"), "object": "event", "api_version": API_VERSION, "created": int(self._now()), "data": data,
                "livemode": False, "pending_webhooks": 1, "request": cause.json, "type": kind,
            }
        )  # fmt: skip


def _keep(things: OrderedDict[str, T], name: str, thing: T) -> None:
    """The oldest are forgotten beyond MAX_KEPT."""
    things[name] = thing
    if len(things) > MAX_KEPT:
        things.popitem(last=False)
