"""The payment's state machine. Pure: what an event makes of a payment, and what the ledger says of it.

PENDING → SUCCEEDED, FAILED, EXPIRED; FAILED and EXPIRED → SUCCEEDED (the money was taken after all); SUCCEEDED →
PARTIALLY_REFUNDED, REFUNDED; PARTIALLY_REFUNDED → REFUNDED. Anything else changes nothing.

Events may come in any order. A refund that comes before the success it belongs to is noted, and counts as soon as
the success is there: wherever the success is in the order, the same state comes out in the end.

A refund of ours is first ordered, which reserves its amount, and then made or not. One made at the provider without us
comes as an event, or is found when the provider is asked how much it gave back. What was found that way is remembered
(`found_minor`): the event that comes after all is about the same money.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, IntEnum
from typing import Final, NamedTuple, TypeAlias

from skillforge.v1 import payments_pb2

Status: TypeAlias = payments_pb2.PaymentStatus.ValueType

PENDING: Final = payments_pb2.PAYMENT_STATUS_PENDING
SUCCEEDED: Final = payments_pb2.PAYMENT_STATUS_SUCCEEDED
FAILED: Final = payments_pb2.PAYMENT_STATUS_FAILED
REFUNDED: Final = payments_pb2.PAYMENT_STATUS_REFUNDED
PARTIALLY_REFUNDED: Final = payments_pb2.PAYMENT_STATUS_PARTIALLY_REFUNDED
EXPIRED: Final = payments_pb2.PAYMENT_STATUS_EXPIRED

# What stands for a refund's id in the ledger's entry of a charge.
NO_REFUND: Final = bytes(16)
# How long a payment may be paid.
LIFETIME = timedelta(minutes=30)

_PAID = frozenset({SUCCEEDED, PARTIALLY_REFUNDED, REFUNDED})
_ENTITLING = frozenset({SUCCEEDED, PARTIALLY_REFUNDED})
_LOST = frozenset({FAILED, EXPIRED})


class EventType(Enum):
    """The events that mean something here; the value is the name in our own form of webhooks."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"
    REFUNDED = "payment.refunded"
    # A refund that the provider had taken on, and could not carry out after all.
    REFUND_FAILED = "payment.refund_failed"
    # No webhook's: the provider was asked, and its amount is all that it gave back of the payment.
    REFUNDS_FOUND = "found.refunds"


class Outcome(Enum):
    """What became of an event. NOTED: a refund whose success is still to come. MISMATCH: not of this payment."""

    APPLIED = "applied"
    NOTED = "noted"
    IGNORED = "ignored"
    MISMATCH = "mismatch"


class EntryKind(IntEnum):
    """The ledger's rows. A refund is ORDERED, and then REFUNDED or RELEASED; one made at the provider is REFUNDED only."""

    CHARGE = 1
    ORDERED = 2
    REFUNDED = 3
    RELEASED = 4


class Due(NamedTuple):
    """What a payment is about; amounts are in the currency's minor unit."""

    amount_minor: int
    currency: str


class State(NamedTuple):
    """What becomes of a payment. `refunded_minor` is the sum of its refunds, `reserved_minor` of those ordered and still
    open, `found_minor` of those found by asking the provider whose events have not come."""

    status: Status
    refunded_minor: int
    reserved_minor: int = 0
    found_minor: int = 0


class RefundState(NamedTuple):
    """What the ledger says of one refund; without `ordered` it is none of ours."""

    amount_minor: int
    ordered: bool = False
    made: bool = False
    released: bool = False

    @property
    def open(self) -> bool:
        return self.ordered and not self.made and not self.released


class Happening(NamedTuple):
    """What an event says. Its amount is the payment's, or the refund's; for REFUNDS_FOUND that of all refunds.
    `refund` is what the ledger says of the refund it names; None: it names none, or one unknown here."""

    kind: EventType
    amount_minor: int
    currency: str
    refund: RefundState | None = None


class Step(NamedTuple):
    """The state after an event, what became of the event, and the rows it adds to the ledger (kind, amount)."""

    state: State
    outcome: Outcome
    entries: tuple[tuple[EntryKind, int], ...] = ()


def apply_event(due: Due, state: State, event: Happening) -> Step:
    """What an event makes of a payment."""
    match event.kind:
        case EventType.SUCCEEDED:
            return _succeed(due, state, event)
        case EventType.FAILED:
            if (event.amount_minor, event.currency) != due:
                return Step(state, Outcome.MISMATCH)
            if state.status != PENDING:
                return Step(state, Outcome.IGNORED)
            return Step(state._replace(status=FAILED), Outcome.APPLIED)
        case EventType.REFUND_FAILED:
            return _release(state, event)
        case EventType.REFUNDS_FOUND:
            return _find(due, state, event)
        case _:
            if event.currency != due.currency:
                return Step(state, Outcome.MISMATCH)
            if event.refund is not None:
                return _refund_known(due, state, event.refund, event.amount_minor)
            return _refund(due, state, event.amount_minor)


def entitles(status: Status) -> bool:
    """Whether a payment in this state gives access to its course."""
    return status in _ENTITLING


def is_paid(status: Status) -> bool:
    """Whether money came in for a payment in this state, whatever of it went back."""
    return status in _PAID


def holds_coupon(status: Status) -> bool:
    """Whether a payment in this state counts as a use of its coupon."""
    return status not in _LOST


def refundable(due: Due, state: State) -> int:
    """How much of a paid payment may still be given back."""
    return max(0, due.amount_minor - state.refunded_minor - state.reserved_minor)


def order(due: Due, state: State, amount_minor: int) -> Step | None:
    """The state after a refund of ours was ordered; None: there is not so much left, or nothing was paid.

    A payment of nothing can be refunded once, in full: that ends its access.
    """
    if not entitles(state.status) or amount_minor > refundable(due, state) or (amount_minor == 0) != (due.amount_minor == 0):
        return None
    reserved = state.reserved_minor + amount_minor
    return Step(state._replace(reserved_minor=reserved), Outcome.APPLIED, ((EntryKind.ORDERED, amount_minor),))


def _succeed(due: Due, state: State, event: Happening) -> Step:
    if (event.amount_minor, event.currency) != due:
        return Step(state, Outcome.MISMATCH)
    if state.status in _PAID:
        return Step(state, Outcome.IGNORED)
    entries = [(EntryKind.CHARGE, due.amount_minor)]
    status = SUCCEEDED
    if state.refunded_minor:
        entries.append((EntryKind.REFUNDED, state.refunded_minor))
        status = _refunded_status(due, state.refunded_minor)
    return Step(state._replace(status=status), Outcome.APPLIED, tuple(entries))


def _refund(due: Due, state: State, amount_minor: int) -> Step:
    """A refund made at the provider. What was found before is not counted again."""
    covered = min(amount_minor, state.found_minor)
    rest = amount_minor - covered
    if not covered and state.refunded_minor >= due.amount_minor:
        return Step(state, Outcome.IGNORED)
    if amount_minor <= 0 or state.refunded_minor + rest > due.amount_minor:
        return Step(state, Outcome.MISMATCH)
    return _give_back(due, state._replace(found_minor=state.found_minor - covered), rest)


def _refund_known(due: Due, state: State, refund: RefundState, amount_minor: int) -> Step:
    """A refund the ledger knows: one of ours, or one of the provider's that it tells of again."""
    if amount_minor != refund.amount_minor:
        return Step(state, Outcome.MISMATCH)
    if refund.made:
        return Step(state, Outcome.IGNORED)
    if not refund.open:  # it was taken for lost, and made all the same
        return _refund(due, state, amount_minor)
    if state.refunded_minor + amount_minor > due.amount_minor:
        return Step(state, Outcome.MISMATCH)
    return _give_back(due, state._replace(reserved_minor=state.reserved_minor - amount_minor), amount_minor)


def _find(due: Due, state: State, event: Happening) -> Step:
    """All that the provider gave back: what is more than is known, open orders among it, was made there."""
    if event.currency != due.currency or event.amount_minor > due.amount_minor:
        return Step(state, Outcome.MISMATCH)
    more = event.amount_minor - state.refunded_minor - state.reserved_minor
    if more <= 0 or state.status not in _PAID:
        return Step(state, Outcome.IGNORED)
    return _give_back(due, state._replace(found_minor=state.found_minor + more), more)


def _release(state: State, event: Happening) -> Step:
    if event.refund is None or not event.refund.open:
        return Step(state, Outcome.IGNORED)
    amount = event.refund.amount_minor
    after = state._replace(reserved_minor=state.reserved_minor - amount)
    return Step(after, Outcome.APPLIED, ((EntryKind.RELEASED, amount),))


def _give_back(due: Due, state: State, amount_minor: int) -> Step:
    refunded = state.refunded_minor + amount_minor
    after = state._replace(refunded_minor=refunded)
    if state.status not in _PAID:
        return Step(after, Outcome.NOTED)
    if not amount_minor and due.amount_minor:  # found before, to the last cent
        return Step(after, Outcome.APPLIED)
    return Step(after._replace(status=_refunded_status(due, refunded)), Outcome.APPLIED, ((EntryKind.REFUNDED, amount_minor),))


def _refunded_status(due: Due, refunded_minor: int) -> Status:
    return PARTIALLY_REFUNDED if refunded_minor < due.amount_minor else REFUNDED
