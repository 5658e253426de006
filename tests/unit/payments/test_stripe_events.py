"""What Stripe's events mean here. The events are those of the fake."""

from __future__ import annotations

import contextlib
import typing
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.payments.events import PaymentEvent
from core.payments.providers.stripe_events import REFUND_KEY, read_event
from core.payments.rules import EventType
from fakes.stripe.params import RefundOrder, SessionOrder
from fakes.stripe.shop import Cause, Shop

NOW = 1_800_000_000
PAYMENT, REFUND = str(uuid4()), str(uuid4())
OURS = {"paymentId": PAYMENT}


class Told:
    """A shop with one session, and what its events mean to us."""

    def __init__(self, currency: str = "usd", amount: int = 4900, metadata: dict[str, str] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.shop = Shop(self.events.append, lambda: NOW)
        ours = OURS if metadata is None else metadata
        order = SessionOrder("Course", amount, currency, "https://x/", "https://x/", "", ours, ours, NOW + 3600)
        self.session = self.shop.create_session(order, "https://pay")

    def refund(self, amount: int, metadata: dict[str, str], cause: Cause) -> str:
        assert self.session.intent is not None
        return self.shop.create_refund(RefundOrder(self.session.intent.id, amount, "", metadata), cause).id

    def order_refund(self, amount: int = 1000) -> str:
        """As our client orders it."""
        return self.refund(amount, OURS | {"refundId": REFUND}, Cause("req_1", REFUND_KEY + REFUND))

    def meaning(self, live: bool | None = False) -> list[tuple[str, EventType, int]]:
        """Type, kind and amount of each event that means something."""
        read = [(event["type"], read_event(orjson.dumps(event), live)) for event in self.events]
        return [(name, event.kind, event.amount_minor) for name, event in read if event]


def test_a_paid_session() -> None:
    told = Told()
    told.shop.pay(told.session.id)
    [found] = [event for event in map(read, told.events) if event]
    assert found == PaymentEvent(
        "stripe", told.events[-1]["id"], EventType.SUCCEEDED, found.event_time, UUID(PAYMENT).bytes, 4900, "USD", None
    )
    assert found.event_time.timestamp() == NOW


def read(event: dict[str, Any]) -> PaymentEvent | None:
    return read_event(orjson.dumps(event), False)


def test_a_late_method_means_nothing_until_it_is_decided() -> None:
    for paid, name, kind in ((True, "succeeded", EventType.SUCCEEDED), (False, "failed", EventType.FAILED)):
        told = Told()
        told.shop.pay_late(told.session.id)
        assert told.meaning() == []
        told.shop.settle_late(told.session.id, paid)
        assert told.meaning() == [(f"checkout.session.async_payment_{name}", kind, 4900)]


def test_a_declined_card_means_nothing_and_an_ended_session_a_failure() -> None:
    told = Told()
    told.shop.decline(told.session.id)
    assert told.meaning() == []
    told.shop.expire(told.session.id, Cause())
    assert told.meaning() == [("checkout.session.expired", EventType.FAILED, 4900)]


def test_a_refund_of_ours_is_told_once_for_each_step() -> None:
    told = Told()
    told.shop.pay(told.session.id)
    told.events.clear()
    told.order_refund()
    assert told.meaning() == [("refund.created", EventType.REFUNDED, 1000)]
    [created] = [event for event in told.events if event["type"] == "refund.created"]
    event = read(created)
    assert event is not None
    assert event.refund_id == UUID(REFUND).bytes


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_refund_that_takes_its_time(succeeded: bool) -> None:
    told = Told()
    told.shop.pay(told.session.id)
    told.shop.refunds_wait = True
    told.events.clear()
    refund_id = told.order_refund()
    assert told.meaning() == []
    told.shop.finish_refund(refund_id, succeeded)
    expected = [("refund.updated", EventType.REFUNDED, 1000)] if succeeded else [
        ("refund.updated", EventType.REFUND_FAILED, 1000), ("refund.failed", EventType.REFUND_FAILED, 1000),
    ]  # fmt: skip
    assert told.meaning() == expected


def test_refunds_made_in_the_dashboard_are_told_by_what_the_charge_grew() -> None:
    told = Told()
    told.shop.pay(told.session.id)
    told.events.clear()
    told.shop.refund_by_hand(told.session.id, 1000)
    told.shop.refund_by_hand(told.session.id)
    charge = ("charge.refunded", EventType.REFUNDED)
    assert told.meaning() == [(*charge, 1000), (*charge, 3900)]
    by_itself = told.events[0] | {"request": {"id": None, "idempotency_key": None}}
    assert read(by_itself) is None


@pytest.mark.parametrize("metadata", [{}, {"paymentId": "their own"}, {"paymentId": ""}])
def test_other_shops_on_the_account_mean_nothing(metadata: dict[str, str]) -> None:
    told = Told(metadata=metadata)
    told.shop.pay(told.session.id)
    told.refund(1000, metadata, Cause("req_1", "theirs"))
    told.shop.refund_by_hand(told.session.id)
    assert told.meaning() == []


def test_the_other_mode_and_connected_accounts_mean_nothing() -> None:
    told = Told()
    told.shop.pay(told.session.id)
    paid = [("checkout.session.completed", EventType.SUCCEEDED, 4900)]
    assert (told.meaning(live=True), told.meaning(live=False), told.meaning(live=None)) == ([], paid, paid)
    for event in told.events:
        assert read(event | {"account": "acct_1"}) is None


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("jpy", 500, 500), ("kwd", 5120, 5120), ("isk", 500, 5), ("ugx", 500, 5), ("mga", 5, 500)]
)
def test_amounts_are_told_in_minor_units_of_iso_4217(currency: str, amount: int, minor: int) -> None:
    told = Told(currency, amount)
    told.shop.pay(told.session.id)
    assert [found[2] for found in told.meaning()] == [minor]
    told.events.clear()
    told.order_refund(amount)
    assert [found[2] for found in told.meaning()] == [minor]


def completed(**changes: Any) -> dict[str, Any]:
    """A paid session's event; `changes` replace its fields, amount and currency those of the session."""
    told = Told()
    told.shop.pay(told.session.id)
    event = told.events[-1]
    session = event["data"]["object"]
    session.update({key: changes.pop(key) for key in {"amount_total", "currency"} & changes.keys()})
    return event | changes


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_total": None}, "amount"),
        ({"amount_total": True}, "amount"),
        ({"amount_total": -1}, "amount"),
        ({"amount_total": 2**31}, "amount"),
        ({"amount_total": 550, "currency": "isk"}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"currency": None}, "currency"),
        ({"created": "now"}, "created"),
        ({"created": 10**12}, "created"),
        ({"id": "é"}, "id"),
    ],
)
def test_an_event_of_ours_must_be_as_stripe_writes_them(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(completed(**changes))
    assert [item.field for item in caught.value.violations] == [field]


@pytest.mark.parametrize(("body", "reason"), [(b"{", "MALFORMED_JSON"), (b"[]", "INVALID_ARGUMENT"), (b"\xff", "MALFORMED_JSON")])
def test_what_is_no_event(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_event(body, False)
    assert caught.value.reason == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def every_kind() -> list[dict[str, Any]]:
    """An event of each type that the fake sends."""
    told = Told()
    told.shop.decline(told.session.id)
    told.shop.pay_late(told.session.id)
    told.shop.settle_late(told.session.id, True)
    told.shop.refunds_wait = True
    told.shop.finish_refund(told.order_refund(), False)
    told.shop.refund_by_hand(told.session.id, 100)
    other = Told()
    other.shop.pay(other.session.id)
    return [*told.events, *other.events]


EVERY_KIND = every_kind()


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """An event with something else in one place."""
    event: dict[str, Any] = orjson.loads(orjson.dumps(draw(st.sampled_from(EVERY_KIND))))
    place: Any = event
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
            place[key] = draw(JSON)
            return event
        place = place[key]


@given(JSON | spoiled())
@settings(deadline=None)
def test_no_json_breaks_the_reader(event: Any) -> None:
    with contextlib.suppress(InvalidArgument):
        read(event)


def test_the_types_are_those_of_the_library() -> None:
    known = typing.get_args(stripe.Event.__annotations__["type"])
    sent = {event["type"] for event in EVERY_KIND}
    assert sent <= set(known)
    meaningful = {event["type"] for event in EVERY_KIND if read(event)}
    assert {"checkout.session.completed", "checkout.session.async_payment_succeeded", "refund.updated"} <= meaningful


def test_the_library_reads_the_same_from_the_fake_s_events() -> None:
    for body in EVERY_KIND:
        event = stripe.Event.construct_from(body, "sk_test_1")
        thing = event.data.object
        assert event.type == body["type"]
        assert type(thing).__name__ in {"Session", "Refund", "Charge", "PaymentIntent"}
        found = read(body)
        if found and isinstance(thing, stripe.checkout.Session):
            assert (thing.amount_total, thing.currency) == (found.amount_minor, found.currency.lower())
