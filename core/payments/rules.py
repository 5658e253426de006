"""The payment's state machine. Pure: what an event makes of a payment.

PENDING → SUCCEEDED, FAILED, EXPIRED; FAILED and EXPIRED → SUCCEEDED (the money was taken after all); SUCCEEDED →
PARTIALLY_REFUNDED, REFUNDED; PARTIALLY_REFUNDED → REFUNDED. Anything else changes nothing.

Events may come in any order. A refund that comes before the success it belongs to is noted, and counts as soon as
the success is there: wherever the success is in the order, the same state comes out in the end.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from skillforge.v1 import payments_pb2

Status: TypeAlias = payments_pb2.PaymentStatus.ValueType

PENDING: Final = payments_pb2.PAYMENT_STATUS_PENDING
SUCCEEDED: Final = payments_pb2.PAYMENT_STATUS_SUCCEEDED
FAILED: Final = payments_pb2.PAYMENT_STATUS_FAILED
REFUNDED: Final = payments_pb2.PAYMENT_STATUS_REFUNDED
PARTIALLY_REFUNDED: Final = payments_pb2.PAYMENT_STATUS_PARTIALLY_REFUNDED
EXPIRED: Final = payments_pb2.PAYMENT_STATUS_EXPIRED

# How long a payment may be paid.
LIFETIME = timedelta(minutes=30)

_PAID = frozenset({SUCCEEDED, PARTIALLY_REFUNDED, REFUNDED})
_ENTITLING = frozenset({SUCCEEDED, PARTIALLY_REFUNDED})


class EventType(Enum):
    """The events that mean something here; the value is the provider's name."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"
    REFUNDED = "payment.refunded"


class Outcome(Enum):
    """What became of an event. NOTED: a refund whose success is still to come. MISMATCH: not of this payment."""

    APPLIED = "applied"
    NOTED = "noted"
    IGNORED = "ignored"
    MISMATCH = "mismatch"


class Due(NamedTuple):
    """What a payment is about; amounts are in the currency's minor unit."""

    amount_minor: int
    currency: str


class State(NamedTuple):
    """What becomes of a payment; `refunded_minor` is the sum of its refunds."""

    status: Status
    refunded_minor: int


class Step(NamedTuple):
    """The state after an event, and what became of the event."""

    state: State
    outcome: Outcome


def apply_event(due: Due, state: State, kind: EventType, amount_minor: int, currency: str) -> Step:
    """What an event makes of a payment. The amount of a refund is its own, every other's is the payment's."""
    if kind is EventType.REFUNDED:
        return _refund(due, state, amount_minor, currency)
    if (amount_minor, currency) != due:
        return Step(state, Outcome.MISMATCH)
    if kind is EventType.FAILED:
        if state.status != PENDING:
            return Step(state, Outcome.IGNORED)
        return Step(State(FAILED, state.refunded_minor), Outcome.APPLIED)
    if state.status in _PAID:
        return Step(state, Outcome.IGNORED)
    return Step(State(_paid_status(due, state.refunded_minor), state.refunded_minor), Outcome.APPLIED)


def entitles(status: Status) -> bool:
    """Whether a payment in this state gives access to its course."""
    return status in _ENTITLING


def money(amount_minor: int, state: State) -> tuple[int, int]:
    """What came in for a payment of this amount, and what of it went back; a refund only noted is no money yet."""
    return (amount_minor, state.refunded_minor) if state.status in _PAID else (0, 0)


def _refund(due: Due, state: State, amount_minor: int, currency: str) -> Step:
    if state.refunded_minor >= due.amount_minor:
        return Step(state, Outcome.IGNORED)
    refunded = state.refunded_minor + amount_minor
    if currency != due.currency or not state.refunded_minor < refunded <= due.amount_minor:
        return Step(state, Outcome.MISMATCH)
    if state.status not in _PAID:
        return Step(State(state.status, refunded), Outcome.NOTED)
    return Step(State(_paid_status(due, refunded), refunded), Outcome.APPLIED)


def _paid_status(due: Due, refunded_minor: int) -> Status:
    if not refunded_minor:
        return SUCCEEDED
    return PARTIALLY_REFUNDED if refunded_minor < due.amount_minor else REFUNDED
