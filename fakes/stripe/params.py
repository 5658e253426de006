"""The parameters the fake takes, checked as Stripe checks them: what it does not know, or not allow, is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fakes.stripe.wire import ApiError

# https://docs.stripe.com/currencies
THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
ALWAYS_00 = frozenset({"isk", "ugx"})
UNSUPPORTED = frozenset({"iqd", "lyd", "irr", "kpw"})
LEAST_USD = 50
MOST = 99_999_999
SHORTEST, LONGEST = 30 * 60, 24 * 3600  # of a session, in seconds
MAX_METADATA, MAX_METADATA_NAME, MAX_METADATA_VALUE = 50, 40, 500
MAX_NAME = 250

_SESSION = {
    "mode", "line_items", "success_url", "cancel_url", "client_reference_id", "metadata", "payment_intent_data",
    "expires_at", "adaptive_pricing",
}  # fmt: skip
_REFUND = {"payment_intent", "amount", "reason", "metadata"}
_REASONS = {"duplicate", "fraudulent", "requested_by_customer"}


class SessionOrder(NamedTuple):
    """What a new Checkout Session is about."""

    name: str
    amount: int
    currency: str
    success_url: str
    cancel_url: str
    client_reference_id: str
    metadata: dict[str, str]
    intent_metadata: dict[str, str]
    expires_at: int


class RefundOrder(NamedTuple):
    """What a new refund is about; no amount: all that is left."""

    intent_id: str
    amount: int | None
    reason: str
    metadata: dict[str, str]


def read_session(params: Mapping[str, Any], now: float) -> SessionOrder:
    """The parameters of `POST /v1/checkout/sessions`. Raises ApiError."""
    _only(params, _SESSION)
    if params.get("mode") != "payment":
        raise _invalid("mode", "This fake knows the mode payment alone.")
    items = params.get("line_items")
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise _invalid("line_items", "This fake sells one line item at a time.")
    _only(items[0], {"price_data", "quantity"}, "line_items[0]")
    if items[0].get("quantity") != "1":
        raise _invalid("line_items[0][quantity]", "This fake sells one of everything.")
    price = _mapping(items[0], "price_data", "line_items[0][price_data]")
    _only(price, {"currency", "unit_amount", "product_data"}, "line_items[0][price_data]")
    product = _mapping(price, "product_data", "line_items[0][price_data][product_data]")
    name = str(product.get("name", ""))
    if not 0 < len(name) <= MAX_NAME:
        raise _invalid("line_items[0][price_data][product_data][name]", f"Names have 1 to {MAX_NAME} characters.")
    currency = _currency(price.get("currency"), "line_items[0][price_data][currency]")
    amount = _amount(price.get("unit_amount"), currency, "line_items[0][price_data][unit_amount]")
    if currency == "usd" and amount < LEAST_USD:
        raise ApiError(400, "The Checkout Session's total amount must be at least $0.50 usd.", code="amount_too_small")
    intent = params.get("payment_intent_data") or {}
    return SessionOrder(
        name=name,
        amount=amount,
        currency=currency,
        success_url=_url(params, "success_url"),
        cancel_url=_url(params, "cancel_url"),
        client_reference_id=str(params.get("client_reference_id", "")),
        metadata=_metadata(params.get("metadata"), "metadata"),
        intent_metadata=_metadata(intent.get("metadata"), "payment_intent_data[metadata]"),
        expires_at=_end(params.get("expires_at"), now),
    )


def read_refund(params: Mapping[str, Any]) -> RefundOrder:
    """The parameters of `POST /v1/refunds`. Raises ApiError."""
    _only(params, _REFUND)
    reason = str(params.get("reason", ""))
    if reason and reason not in _REASONS:
        raise _invalid("reason", f"Invalid reason: must be one of {', '.join(sorted(_REASONS))}")
    amount = _number(params["amount"], "amount") if "amount" in params else None
    if amount is not None and amount < 1:
        raise _invalid("amount", "Invalid positive integer")
    return RefundOrder(str(params.get("payment_intent", "")), amount, reason, _metadata(params.get("metadata"), "metadata"))


def check_steps(amount: int, currency: str, param: str) -> None:
    """Raises ApiError for an amount this currency is not charged in."""
    if currency in THREE_DECIMALS and amount % 10:
        raise _invalid(param, f"Invalid amount: the last digit of {currency} must be 0")
    if currency in ALWAYS_00 and amount % 100:
        raise _invalid(param, f"Invalid amount: the last two digits of {currency} must be 00")


def _only(params: Mapping[str, Any], known: set[str], within: str = "") -> None:
    for name in params:
        if name not in known:
            shown = f"{within}[{name}]" if within else name
            raise ApiError(400, f"Received unknown parameter: {shown}", code="parameter_unknown", param=shown)


def _mapping(params: Mapping[str, Any], name: str, shown: str) -> dict[str, Any]:
    value = params.get(name)
    if not isinstance(value, dict):
        raise ApiError(400, f"Missing required param: {shown}.", code="parameter_missing", param=shown)
    return value


def _currency(value: Any, param: str) -> str:
    if not isinstance(value, str) or not re.fullmatch("[a-z]{3}", value, re.ASCII) or value in UNSUPPORTED:
        raise _invalid(param, f"Invalid currency: {value}.")
    return value


def _amount(value: Any, currency: str, param: str) -> int:
    amount = _number(value, param)
    if amount > MOST:
        raise ApiError(400, "Amount must have no more than eight digits.", code="amount_too_large", param=param)
    check_steps(amount, currency, param)
    return amount


def _number(value: Any, param: str) -> int:
    if not isinstance(value, str) or not re.fullmatch("[0-9]{1,15}", value, re.ASCII):
        raise ApiError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
    return int(value)


def _url(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/]+\S*", value):
        raise ApiError(400, "Not a valid URL", code="url_invalid", param=name)
    return value


def _end(value: Any, now: float) -> int:
    if value is None:
        return int(now) + LONGEST
    end = _number(value, "expires_at")
    if end < now + SHORTEST:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise _invalid("expires_at", message)
    if end > now + LONGEST:
        raise _invalid("expires_at", "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.")
    return end


def _metadata(value: Any, param: str) -> dict[str, str]:
    """https://docs.stripe.com/api/metadata"""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_METADATA:
        raise _invalid(param, f"Metadata is an object of up to {MAX_METADATA} keys.")
    for name, text in value.items():
        if not isinstance(text, str) or len(name) > MAX_METADATA_NAME or len(text) > MAX_METADATA_VALUE:
            raise _invalid(f"{param}[{name}]", "Metadata keys have up to 40 characters and values up to 500.")
    return value


def _invalid(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param)
