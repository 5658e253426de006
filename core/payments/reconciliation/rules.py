"""Pure: what can be wrong, and what a provider's word about a payment means."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from core.payments.currencies import display
from core.payments.providers import ProviderPayment
from core.payments.rules import PENDING, Due, State, is_paid


class Problem(Enum):
    """What is wrong; the value is for people."""

    PAID_NOT_ENTITLED = "paid, but not enrolled"
    ENTITLED_NOT_PAID = "enrolled by a payment that is not paid"
    ENTITLED_NOT_ENROLLED = "entitled, but the enrollment has ended"
    ENROLLED_NOT_ENTITLED = "enrolled without any entitlement"
    MISSED_SUCCESS = "paid at the provider, not here"
    MISSED_FAILURE = "failed at the provider, open here"
    MISSED_EXPIRY = "expired at the provider, open here"
    MISSED_REFUND = "more was given back at the provider than here"
    REFUND_OPEN = "a refund is not settled yet"
    REFUND_MISSING = "less was given back at the provider than here"
    OTHER_AMOUNT = "another amount at the provider"
    NOT_PAID_THERE = "paid here, not at the provider"
    LEDGER_DIFFERS = "the ledger does not add up to the payment"
    NO_ANSWER = "the provider could not be asked"


# What a person must decide about, or a later run: nothing here could mend it.
OPEN: Final = frozenset({
    Problem.REFUND_OPEN, Problem.REFUND_MISSING, Problem.OTHER_AMOUNT, Problem.NOT_PAID_THERE, Problem.LEDGER_DIFFERS,
    Problem.NO_ANSWER,
})  # fmt: skip


class Finding(NamedTuple):
    """Something wrong, about whom and what; ids are empty where they do not apply."""

    problem: Problem
    payment_id: bytes
    student_id: bytes
    course_id: bytes
    detail: str = ""
    mended: bool = False


def compare(due: Due, state: State, said: ProviderPayment | None) -> list[tuple[Problem, str]]:
    """What differs between a payment here and at its provider (None: it knows nothing of it), with a word on it."""
    paid = is_paid(state.status)
    if said is None:
        return [(Problem.NOT_PAID_THERE, "it is not known there")] if paid else []
    if (said.amount_minor, said.currency) != due:
        there, here = display(said.amount_minor, said.currency), display(*due)
        return [(Problem.OTHER_AMOUNT, f"{there}, not {here}")]
    if said.status != "paid":
        if paid:
            return [(Problem.NOT_PAID_THERE, f"it is {said.status} there")]
        missed = {"failed": Problem.MISSED_FAILURE, "expired": Problem.MISSED_EXPIRY}.get(said.status)
        return [(missed, "")] if missed and state.status == PENDING else []
    found = [] if paid else [(Problem.MISSED_SUCCESS, "")]
    refunds = f"{display(said.refunded_minor, said.currency)} there, {display(state.refunded_minor, said.currency)} here"
    if said.refunded_minor > state.refunded_minor + state.reserved_minor:
        found.append((Problem.MISSED_REFUND, refunds))
    elif said.refunded_minor < state.refunded_minor:
        found.append((Problem.REFUND_MISSING, refunds))
    return found


def ledger_fault(due: Due, state: State, charged: int | None, refunded: int) -> str:
    """What the ledger's sums (no charge: None) say otherwise than the payment; empty: nothing."""
    if is_paid(state.status) != (charged is not None):
        return "there is no charge" if charged is None else "there is a charge, but it is not paid"
    if charged is not None and (charged, refunded) != (due.amount_minor, state.refunded_minor):
        return f"{display(charged, due.currency)} came in and {display(refunded, due.currency)} went back"
    return ""
