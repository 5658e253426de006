"""The payment's state machine, and what a batch of events comes to."""

from __future__ import annotations

from datetime import datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.payments.events import PaymentEvent
from core.payments.queries import PaymentRow
from core.payments.rules import (
    EXPIRED,
    FAILED,
    PARTIALLY_REFUNDED,
    PENDING,
    REFUNDED,
    SUCCEEDED,
    Due,
    EventType,
    Outcome,
    State,
    Status,
    apply_event,
    entitles,
)
from core.payments.settlement import make_plan

DUE = Due(4900, "USD")
SUCCESS, FAILURE, REFUND = EventType.SUCCEEDED, EventType.FAILED, EventType.REFUNDED
NOON = datetime(2026, 1, 1, 12)


def run(state: State, *events: tuple[EventType, int]) -> State:
    for kind, amount in events:
        state = apply_event(DUE, state, kind, amount, "USD").state
    return state


@pytest.mark.parametrize(
    ("before", "kind", "amount", "after"),
    [
        (PENDING, SUCCESS, 4900, SUCCEEDED),
        (PENDING, FAILURE, 4900, FAILED),
        (FAILED, SUCCESS, 4900, SUCCEEDED),
        (EXPIRED, SUCCESS, 4900, SUCCEEDED),
        (EXPIRED, FAILURE, 4900, EXPIRED),
        (SUCCEEDED, FAILURE, 4900, SUCCEEDED),
        (SUCCEEDED, SUCCESS, 4900, SUCCEEDED),
        (SUCCEEDED, REFUND, 1, PARTIALLY_REFUNDED),
        (SUCCEEDED, REFUND, 4900, REFUNDED),
        (REFUNDED, SUCCESS, 4900, REFUNDED),
        (REFUNDED, FAILURE, 4900, REFUNDED),
    ],
)
def test_moves(before: Status, kind: EventType, amount: int, after: Status) -> None:
    refunded = 4900 if before == REFUNDED else 0
    assert apply_event(DUE, State(before, refunded), kind, amount, "USD").state.status == after


def test_refunds_add_up() -> None:
    assert run(State(SUCCEEDED, 0), (REFUND, 4000)) == State(PARTIALLY_REFUNDED, 4000)
    assert run(State(SUCCEEDED, 0), (REFUND, 4000), (REFUND, 900)) == State(REFUNDED, 4900)


@pytest.mark.parametrize(
    ("state", "kind", "amount", "currency"),
    [
        (State(PENDING, 0), SUCCESS, 4899, "USD"),
        (State(PENDING, 0), SUCCESS, 4900, "EUR"),
        (State(PENDING, 0), FAILURE, 0, "USD"),
        (State(SUCCEEDED, 0), SUCCESS, 1, "USD"),
        (State(SUCCEEDED, 0), REFUND, 4901, "USD"),
        (State(SUCCEEDED, 0), REFUND, 0, "USD"),
        (State(SUCCEEDED, 0), REFUND, 100, "EUR"),
        (State(PARTIALLY_REFUNDED, 4000), REFUND, 901, "USD"),
    ],
)
def test_another_amount_or_currency_is_a_mismatch(state: State, kind: EventType, amount: int, currency: str) -> None:
    step = apply_event(DUE, state, kind, amount, currency)
    assert step.outcome is Outcome.MISMATCH
    assert step.state == state


STATES = (
    st.builds(State, st.sampled_from([PENDING, SUCCEEDED, FAILED, EXPIRED]), st.just(0))
    | st.builds(State, st.just(PARTIALLY_REFUNDED), st.integers(1, 4899))
    | st.just(State(REFUNDED, 4900))
)
EVENTS = st.tuples(st.sampled_from(EventType), st.integers(0, 6000), st.sampled_from(["USD", "EUR"]))


@given(STATES, st.lists(EVENTS, max_size=12))
def test_invariants(state: State, events: list[tuple[EventType, int, str]]) -> None:
    for kind, amount, currency in events:
        step = apply_event(DUE, state, kind, amount, currency)
        if step.outcome in (Outcome.MISMATCH, Outcome.IGNORED):
            assert step.state == state
        # What is paid never becomes unpaid, refunds never shrink nor exceed what was paid.
        if entitles(state.status) or state.status == REFUNDED:
            assert step.state.status in (SUCCEEDED, PARTIALLY_REFUNDED, REFUNDED)
        assert state.refunded_minor <= step.state.refunded_minor <= DUE.amount_minor
        if step.state.status == REFUNDED:
            assert step.state.refunded_minor == DUE.amount_minor
        assert step.state.status != PENDING or state.status == PENDING
        state = step.state


@pytest.mark.parametrize("refunds", [[], [900], [4000, 900], [4900]])
@pytest.mark.parametrize("first", [PENDING, FAILED, EXPIRED])
def test_the_order_of_events_does_not_matter(first: Status, refunds: list[int]) -> None:
    events = [(SUCCESS, 4900), (FAILURE, 4900), *((REFUND, amount) for amount in refunds)]
    assert len({run(State(first, 0), *order) for order in permutations(events)}) == 1


def payment(number: int, status: Status = PENDING) -> PaymentRow:
    return PaymentRow(bytes([number]) * 16, b"s" * 16, b"c" * 16, 4900, "USD", 0, status, "fake", "", NOON, NOON, NOON)


def event(event_id: str, number: int, kind: EventType = SUCCESS, amount: int = 4900) -> PaymentEvent:
    return PaymentEvent(event_id, kind, NOON, bytes([number]) * 16, amount, "USD")


def test_plan_settles_each_event_once() -> None:
    rows = {row.payment_id: row for row in (payment(1), payment(2))}
    plan = make_plan([event("a", 1), event("a", 1), event("b", 2), event("old", 2, FAILURE)], rows, {("fake", "old")})
    assert plan.results == [None] * 4
    assert [(row.event.event_id, row.outcome) for row in plan.events] == [("a", Outcome.APPLIED), ("b", Outcome.APPLIED)]
    assert {state.status for state in plan.states.values()} == {SUCCEEDED}


def test_plan_refuses_without_remembering() -> None:
    rows = {payment(1).payment_id: payment(1)}
    plan = make_plan([event("a", 1, amount=1), event("b", 9), event("a", 1)], rows, set())
    assert [getattr(result, "reason", None) for result in plan.results] == ["PAYMENT_MISMATCH", "PAYMENT_UNKNOWN", None]
    assert [row.event.event_id for row in plan.events] == ["a"]
    assert plan.states == {payment(1).payment_id: State(SUCCEEDED, 0)}


def test_plan_counts_all_events_of_a_payment_together() -> None:
    rows = {payment(1).payment_id: payment(1)}
    plan = make_plan([event("r", 1, REFUND, 4900), event("f", 1, FAILURE), event("s", 1)], rows, set())
    assert [row.outcome for row in plan.events] == [Outcome.NOTED, Outcome.APPLIED, Outcome.APPLIED]
    assert plan.states == {payment(1).payment_id: State(REFUNDED, 4900)}
