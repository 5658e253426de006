"""Events in our own form: `{id, type, created, data: {paymentId, amountMinor, currency, refundId?}}` as JSON."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from contract.errors import Violation
from core.errors import InvalidArgument
from core.payments.rules import EventType
from core.times import from_unix

_EVENT_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
_TYPE = re.compile(r"[!-~]{1,64}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_LATEST = 253_402_300_799  # the end of the year 9999
# The most of a currency's minor unit that an amount may be.
MOST_MINOR = 2**31 - 1

_TYPES = {kind.value: kind for kind in EventType}


class PaymentEvent(NamedTuple):
    """One event of a provider, well-formed. The amount of an event about a refund is the refund's.

    `refund_id`: the refund as we named it in its order (`RefundOrder.refund_id`), where the provider tells it; None: a
    refund that was made at the provider without us, or one it does not tell apart.
    """

    provider: str
    event_id: str
    kind: EventType
    event_time: datetime
    payment_id: bytes
    amount_minor: int
    currency: str
    refund_id: bytes | None = None


def read_event(body: bytes, provider: str) -> PaymentEvent | None:
    """The event in a webhook's body; None: one of a type that means nothing here. Fields not named here are let be.

    Raises InvalidArgument: MALFORMED_JSON, or INVALID_ARGUMENT with a violation for everything that is wrong.
    """
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidArgument("MALFORMED_JSON", "The event is not JSON.") from None
    fields = _Fields()
    event = fields.mapping("event", event)
    event_id = fields.text("id", event.get("id"), _EVENT_ID)
    name = fields.text("type", event.get("type"), _TYPE)
    created = fields.integer("created", event.get("created"), _LATEST)
    if name not in _TYPES:
        fields.check()
        return None
    data = fields.mapping("data", event.get("data"))
    payment_id = fields.uuid("data.paymentId", data.get("paymentId"))
    amount_minor = fields.integer("data.amountMinor", data.get("amountMinor"), MOST_MINOR)
    currency = fields.text("data.currency", data.get("currency"), _CURRENCY)
    refund_id = fields.uuid("data.refundId", data["refundId"]) if data.get("refundId") is not None else None
    fields.check()
    return PaymentEvent(provider, event_id, _TYPES[name], from_unix(created), payment_id, amount_minor, currency, refund_id)


class _Fields:
    """Reads fields strictly and collects what is wrong with them."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def mapping(self, name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._refuse(name, "object", "must be an object")
        return {}

    def text(self, name: str, value: Any, pattern: re.Pattern[str]) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self._refuse(name, "pattern", f"must be a text that matches {pattern.pattern}")
        return ""

    def integer(self, name: str, value: Any, most: int) -> int:
        # bool is an int to Python, not to JSON.
        if type(value) is int and 0 <= value <= most:
            return value
        self._refuse(name, "range", f"must be a whole number from 0 to {most}")
        return 0

    def uuid(self, name: str, value: Any) -> bytes:
        try:
            return UUID(value).bytes
        except (ValueError, TypeError, AttributeError):
            self._refuse(name, "uuid", "must be a UUID")
            return b""

    def check(self) -> None:
        if self._violations:
            fields = ", ".join(item.field for item in self._violations)
            raise InvalidArgument("INVALID_ARGUMENT", f"The event is malformed: {fields}.", violations=self._violations)

    def _refuse(self, name: str, rule: str, description: str) -> None:
        self._violations.append(Violation(name, rule, description))
