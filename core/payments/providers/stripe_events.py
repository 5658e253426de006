"""What Stripe's events mean here. https://docs.stripe.com/api/events/types

- `checkout.session.completed` that is paid, and `...async_payment_succeeded`: the payment succeeded. A completed session
  that is unpaid waits for a method that pays late (a bank transfer, a voucher) and means nothing yet.
- `checkout.session.async_payment_failed` and `...expired`: it can never be paid any more, so it failed.
- `refund.created`, `.updated` and `.failed` of a refund that was ordered from here: it succeeded or failed, by its status;
  pending and `requires_action` mean nothing yet.
- `charge.refunded` by somebody else (in Stripe's dashboard): a refund of what the charge's refunds grew by. It is told
  from ours by the idempotency key of the request that caused it, as the charge does not say.

Everything else is acknowledged and ignored: other types, sessions and charges that carry no `paymentId` in their metadata
(other shops on the same account), events of connected accounts, and those of the other mode (test or live).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from contract.errors import Violation
from core.errors import InvalidArgument
from core.payments.events import MOST_MINOR, PaymentEvent
from core.payments.providers.stripe_money import NotRepresentable, from_stripe
from core.payments.rules import EventType
from core.times import from_unix

NAME = "stripe"
# The names of our ids in the metadata of Stripe's objects.
PAYMENT_ID, REFUND_ID = "paymentId", "refundId"
# The idempotency key of a refund ordered from here begins so.
REFUND_KEY = "skillforge-refund-"

_EVENT_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
_LATEST = 253_402_300_799  # the end of the year 9999
_REFUND_KINDS = {
    "succeeded": EventType.REFUNDED,
    "failed": EventType.REFUND_FAILED,
    "canceled": EventType.REFUND_FAILED,
}


class _Said(NamedTuple):
    """What an event says of one of our payments, the amount still in Stripe's words."""

    kind: EventType
    payment_id: bytes
    amount: Any
    currency: Any
    refund_id: bytes | None = None


def read_event(body: bytes, live: bool | None) -> PaymentEvent | None:
    """The event in a webhook's body; None: it means nothing here. `live`: which mode's events count; None: both.

    Raises InvalidArgument: MALFORMED_JSON, or INVALID_ARGUMENT for an event of ours that is not as Stripe writes them.
    """
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidArgument("MALFORMED_JSON", "The event is not JSON.") from None
    if not isinstance(event, dict):
        raise _malformed("event", "must be an object")
    foreign = bool(event.get("account")) or (live is not None and event.get("livemode") is not live)
    said = None if foreign else _said(event)
    if said is None:
        return None
    event_id, created = event.get("id"), event.get("created")
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise _malformed("id", "must be an id of an event")
    if type(created) is not int or not 0 <= created <= _LATEST:
        raise _malformed("created", "must be a time in unix seconds")
    amount_minor, currency = _amount(said)
    moment = from_unix(created)
    return PaymentEvent(NAME, event_id, said.kind, moment, said.payment_id, amount_minor, currency, said.refund_id)


def _said(event: Mapping[str, Any]) -> _Said | None:
    data = _mapping(event.get("data"))
    thing = _mapping(data.get("object"))
    match event.get("type"):
        case "checkout.session.completed" if thing.get("payment_status") == "paid":
            return _of_session(EventType.SUCCEEDED, thing)
        case "checkout.session.async_payment_succeeded":
            return _of_session(EventType.SUCCEEDED, thing)
        case "checkout.session.async_payment_failed" | "checkout.session.expired":
            return _of_session(EventType.FAILED, thing)
        case "refund.created" | "refund.updated" | "refund.failed":
            return _of_refund(thing)
        case "charge.refunded":
            return _of_charge(thing, _mapping(data.get("previous_attributes")), _mapping(event.get("request")))
    return None


def _of_session(kind: EventType, session: Mapping[str, Any]) -> _Said | None:
    payment_id = _our_id(session, PAYMENT_ID)
    return _Said(kind, payment_id, session.get("amount_total"), session.get("currency")) if payment_id else None


def _of_refund(refund: Mapping[str, Any]) -> _Said | None:
    status = refund.get("status")
    kind = _REFUND_KINDS.get(status) if isinstance(status, str) else None
    payment_id, refund_id = _our_id(refund, PAYMENT_ID), _our_id(refund, REFUND_ID)
    if not (kind and payment_id and refund_id):
        return None
    return _Said(kind, payment_id, refund.get("amount"), refund.get("currency"), refund_id)


def _of_charge(charge: Mapping[str, Any], before: Mapping[str, Any], request: Mapping[str, Any]) -> _Said | None:
    payment_id = _our_id(charge, PAYMENT_ID)
    ours = str(request.get("idempotency_key") or "").startswith(REFUND_KEY)
    if payment_id is None or ours or not request.get("id"):
        return None
    grown = _whole("amount_refunded", charge.get("amount_refunded")) - _whole(
        "previous_attributes.amount_refunded", before.get("amount_refunded")
    )
    return _Said(EventType.REFUNDED, payment_id, grown, charge.get("currency")) if grown > 0 else None


def _amount(said: _Said) -> tuple[int, str]:
    if not isinstance(said.currency, str) or not re.fullmatch("[a-z]{3}", said.currency, re.ASCII):
        raise _malformed("currency", "must be a currency's code in lower case")
    try:
        amount_minor, currency = from_stripe(_whole("amount", said.amount), said.currency)
    except NotRepresentable as error:
        raise _malformed("amount", str(error)) from None
    if amount_minor > MOST_MINOR:
        raise _malformed("amount", f"must be no more than {MOST_MINOR} of the currency's minor unit")
    return amount_minor, currency


def _our_id(thing: Mapping[str, Any], name: str) -> bytes | None:
    """One of our ids in an object's metadata; None: it is not of ours."""
    try:
        return UUID(_mapping(thing.get("metadata")).get(name)).bytes
    except (ValueError, TypeError, AttributeError):
        return None


def _mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def _whole(name: str, value: Any) -> int:
    # bool is an int to Python, not to JSON.
    if type(value) is not int or value < 0:
        raise _malformed(name, "must be a whole number, 0 or more")
    return value


def _malformed(name: str, description: str) -> InvalidArgument:
    violations = [Violation(name, "stripe", description)]
    return InvalidArgument("INVALID_ARGUMENT", f"The event is malformed: {name} {description}.", violations=violations)
