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
    EntryKind,
    EventType,
    Happening,
    Outcome,
    RefundState,
    State,
    Status,
    Step,
    entitles,
    order,
)
from core.payments.rules import apply_event as apply
from core.payments.settlement import make_plan

DUE = Due(4900, "USD")
SUCCESS, FAILURE, REFUND = EventType.SUCCEEDED, EventType.FAILED, EventType.REFUNDED
LOST, FOUND = EventType.REFUND_FAILED, EventType.REFUNDS_FOUND
NOON = datetime(2026, 1, 1, 12)


def apply_event(due: Due, state: State, kind: EventType, amount: int, currency: str, refund: RefundState | None = None) -> Step:
    return apply(due, state, Happening(kind, amount, currency, refund))


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


NONE = st.just(0)
STATES = (
    st.builds(State, st.sampled_from([PENDING, SUCCEEDED, FAILED, EXPIRED]), NONE, NONE, NONE)
    | st.integers(1, 4899).flatmap(
        lambda refunded: st.builds(
            State, st.just(PARTIALLY_REFUNDED), st.just(refunded), st.integers(0, 4900 - refunded), st.integers(0, refunded)
        )
    )
    | st.builds(State, st.just(REFUNDED), st.just(4900), NONE, st.integers(0, 4900))
)
EVENTS = st.tuples(st.sampled_from(EventType), st.integers(0, 6000), st.sampled_from(["USD", "EUR"]))
ORDERED = RefundState(900, ordered=True)


@given(STATES, st.lists(EVENTS, max_size=12))
def test_invariants(state: State, events: list[tuple[EventType, int, str]]) -> None:
    for kind, amount, currency in events:
        step = apply_event(DUE, state, kind, amount, currency)
        if step.outcome in (Outcome.MISMATCH, Outcome.IGNORED):
            assert step.state == state
        returned = sum(entry for entry_kind, entry in step.entries if entry_kind is EntryKind.REFUNDED)
        if state.status not in (SUCCEEDED, PARTIALLY_REFUNDED, REFUNDED) and step.state.status in (SUCCEEDED, PARTIALLY_REFUNDED):
            assert (EntryKind.CHARGE, DUE.amount_minor) in step.entries
        elif entitles(state.status):
            assert returned == step.state.refunded_minor - state.refunded_minor
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


def test_an_order_reserves_what_no_other_can_have() -> None:
    first = order(DUE, State(SUCCEEDED, 0), 4000)
    assert first is not None
    assert first.state == State(SUCCEEDED, 0, reserved_minor=4000)
    assert order(DUE, first.state, 901) is None
    second = order(DUE, first.state, 900)
    assert second is not None
    assert second.state.reserved_minor == 4900
    for status in (PENDING, FAILED, EXPIRED, REFUNDED):
        assert order(DUE, State(status, 0), 1) is None
    assert order(DUE, State(SUCCEEDED, 0), 0) is None
    assert order(Due(0, "USD"), State(SUCCEEDED, 0), 0) is not None


def test_an_ordered_refund_is_made_once_or_released_once() -> None:
    before = State(SUCCEEDED, 0, reserved_minor=900)
    made = apply_event(DUE, before, REFUND, 900, "USD", ORDERED)
    assert made == Step(State(PARTIALLY_REFUNDED, 900), Outcome.APPLIED, ((EntryKind.REFUNDED, 900),))
    again = apply_event(DUE, made.state, REFUND, 900, "USD", ORDERED._replace(made=True))
    assert again == Step(made.state, Outcome.IGNORED)
    released = apply_event(DUE, before, LOST, 900, "USD", ORDERED)
    assert released == Step(State(SUCCEEDED, 0), Outcome.APPLIED, ((EntryKind.RELEASED, 900),))
    assert apply_event(DUE, released.state, LOST, 900, "USD", ORDERED._replace(released=True)).outcome is Outcome.IGNORED
    assert apply_event(DUE, made.state, LOST, 900, "USD", ORDERED._replace(made=True)).outcome is Outcome.IGNORED
    assert apply_event(DUE, before, REFUND, 901, "USD", ORDERED).outcome is Outcome.MISMATCH


def test_a_refund_taken_for_lost_and_made_all_the_same_counts() -> None:
    step = apply_event(DUE, State(SUCCEEDED, 0), REFUND, 900, "USD", ORDERED._replace(released=True))
    assert step == Step(State(PARTIALLY_REFUNDED, 900), Outcome.APPLIED, ((EntryKind.REFUNDED, 900),))


def test_what_was_found_is_not_counted_again_when_its_event_comes() -> None:
    found = apply_event(DUE, State(SUCCEEDED, 0), FOUND, 1000, "USD")
    assert found.state == State(PARTIALLY_REFUNDED, 1000, found_minor=1000)
    assert apply_event(DUE, found.state, FOUND, 1000, "USD").outcome is Outcome.IGNORED
    late = apply_event(DUE, found.state, REFUND, 1000, "USD")
    assert late == Step(State(PARTIALLY_REFUNDED, 1000), Outcome.APPLIED)
    beyond = apply_event(DUE, found.state, REFUND, 1500, "USD")
    assert beyond == Step(State(PARTIALLY_REFUNDED, 1500), Outcome.APPLIED, ((EntryKind.REFUNDED, 500),))


def test_open_orders_may_be_in_what_is_found() -> None:
    before = State(SUCCEEDED, 0, reserved_minor=900)
    assert apply_event(DUE, before, FOUND, 900, "USD") == Step(before, Outcome.IGNORED)
    assert apply_event(DUE, before, FOUND, 1000, "USD").state == State(PARTIALLY_REFUNDED, 100, 900, 100)
    assert apply_event(DUE, before, FOUND, 4901, "USD").outcome is Outcome.MISMATCH


def test_a_payment_of_nothing_is_refunded_once() -> None:
    nothing = Due(0, "USD")
    step = apply_event(nothing, State(SUCCEEDED, 0), REFUND, 0, "USD", RefundState(0, ordered=True))
    assert step == Step(State(REFUNDED, 0), Outcome.APPLIED, ((EntryKind.REFUNDED, 0),))


def payment(number: int, status: Status = PENDING) -> PaymentRow:
    return PaymentRow(bytes([number]) * 16, b"s" * 16, b"c" * 16, 4900, "USD", 0, status, "fake", "", NOON, NOON, NOON, 4900)


def event(event_id: str, number: int, kind: EventType = SUCCESS, amount: int = 4900) -> PaymentEvent:
    return PaymentEvent("fake", event_id, kind, NOON, bytes([number]) * 16, amount, "USD")


def test_plan_settles_each_event_once() -> None:
    rows = {row.payment_id: row for row in (payment(1), payment(2))}
    plan = make_plan([event("a", 1), event("a", 1), event("b", 2), event("old", 2, FAILURE)], rows, {}, {("fake", "old")})
    assert plan.results == [None] * 4
    assert [(row.event.event_id, row.outcome) for row in plan.events] == [("a", Outcome.APPLIED), ("b", Outcome.APPLIED)]
    assert {state.status for state in plan.states.values()} == {SUCCEEDED}


def test_plan_refuses_without_remembering() -> None:
    rows = {payment(1).payment_id: payment(1)}
    plan = make_plan([event("a", 1, amount=1), event("b", 9), event("a", 1)], rows, {}, set())
    assert [getattr(result, "reason", None) for result in plan.results] == ["PAYMENT_MISMATCH", "PAYMENT_UNKNOWN", None]
    assert [row.event.event_id for row in plan.events] == ["a"]
    assert plan.states == {payment(1).payment_id: State(SUCCEEDED, 0)}


def test_plan_counts_all_events_of_a_payment_together() -> None:
    rows = {payment(1).payment_id: payment(1)}
    plan = make_plan([event("r", 1, REFUND, 4900), event("f", 1, FAILURE), event("s", 1)], rows, {}, set())
    assert [row.outcome for row in plan.events] == [Outcome.NOTED, Outcome.APPLIED, Outcome.APPLIED]
    assert plan.states == {payment(1).payment_id: State(REFUNDED, 4900)}
