"""The fake payment provider's plain parts: checkout sessions as signed tokens, test cards, prices."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import orjson

from fakes.web import Problem

MAX_AMOUNT = 2**31 - 1  # minor units
MAX_DESCRIPTION = 200
MAX_ID = 100
MAX_REASON = 1000
MAX_SESSION = 8192  # characters of a session id
LATEST = 253_402_300_799  # the end of the year 9999, in Unix seconds

# ISO 4217: the currencies without the usual two digits after the decimal point.
_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_FOUR_DECIMALS = frozenset({"CLF", "UYW"})


def exponent(currency: str) -> int:
    """How many digits of an amount in minor units stand after the decimal point."""
    if currency in _NO_DECIMALS:
        return 0
    if currency in _THREE_DECIMALS:
        return 3
    return 4 if currency in _FOUR_DECIMALS else 2


def format_price(amount_minor: int, currency: str) -> str:
    """1999, "USD" → "19.99 USD"; 500, "JPY" → "500 JPY"; 1234567, "KWD" → "1,234.567 KWD"."""
    digits = exponent(currency)
    return f"{Decimal(amount_minor).scaleb(-digits):,.{digits}f} {currency}"


class Outcome(enum.Enum):
    """Where a payment stands after a card was tried; the value is what `POST` answers as `status`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PROCESSING = "processing"
    UNCONFIRMED = "requires_confirmation"


class Refunding(enum.Enum):
    """How refunds to a card go; the late ones are pending first."""

    AT_ONCE = "at once"
    LATE = "late"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Card:
    """A test card: what it does to the payment, and how the webhooks about it behave."""

    number: str
    label: str
    outcome: Outcome
    message: str
    twice: bool = False
    stale_failure: bool = False  # an older payment.failed arrives after payment.succeeded
    refunding: Refunding = Refunding.AT_ONCE

    @property
    def printed(self) -> str:
        return " ".join(self.number[at : at + 4] for at in range(0, 16, 4))


_PAID = "The payment succeeded."
_PAYS, _FAILS = Outcome.SUCCEEDED, Outcome.FAILED
CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242", "Pays", _PAYS, _PAID),
        Card("4000000000000002", "Is declined", _FAILS, "The card was declined."),
        Card("4000000000009995", "Has insufficient funds", _FAILS, "The card has insufficient funds."),
        Card("4000002500003155", "Needs your confirmation", Outcome.UNCONFIRMED, "The payment must be confirmed."),
        Card("4000000000000341", "Pays late", Outcome.PROCESSING, "The payment is being processed."),
        Card("4000000000000259", "Pays, webhook comes twice", _PAYS, _PAID, twice=True),
        Card("4000000000000077", "Pays, webhooks out of order", _PAYS, _PAID, stale_failure=True),
        Card("4000000000007726", "Pays, refunds are slow", _PAYS, _PAID, refunding=Refunding.LATE),
        Card("4000000000005126", "Pays, refunds fail late", _PAYS, _PAID, refunding=Refunding.FAILS),
    )
}


def _is_web_url(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 500 or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()


def _is_number_to(limit: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and 0 < value <= limit  # type(): True is no number here


def _is_text_to(limit: int, least: int = 1) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and least <= len(value) <= limit


Checks: TypeAlias = Mapping[str, Callable[[object], bool]]

_CHECKS: Checks = {
    "paymentId": _is_text_to(MAX_ID),
    "amountMinor": _is_number_to(MAX_AMOUNT),
    "currency": _is_currency,
    "description": lambda value: isinstance(value, str),
    "successUrl": _is_web_url,
    "cancelUrl": _is_web_url,
    "expiresAt": _is_number_to(LATEST),
}
_REFUND_CHECKS: Checks = {
    "refundId": _is_text_to(MAX_ID),
    "paymentId": _is_text_to(MAX_ID),
    "amountMinor": _is_number_to(MAX_AMOUNT),
    "currency": _is_currency,
    "reason": _is_text_to(MAX_REASON, least=0),
}


def _require(body: dict[str, Any], checks: Checks, detail: str) -> None:
    """Raises Problem (400) with every fault."""
    faults = [name for name, valid in checks.items() if not valid(body.get(name))]
    if faults:
        violations = [{"field": name, "description": "Missing or not valid."} for name in faults]
        raise Problem(400, detail, code="not_valid", violations=violations)


class RefundOrder(NamedTuple):
    """What the merchant asked to be given back."""

    refund_id: str
    payment_id: str
    amount_minor: int
    currency: str
    reason: str

    @classmethod
    def parse(cls, body: dict[str, Any]) -> RefundOrder:
        """From a merchant's request. Raises Problem with every fault."""
        body.setdefault("reason", "")
        _require(body, _REFUND_CHECKS, "The refund is not valid.")
        return cls(body["refundId"], body["paymentId"], body["amountMinor"], body["currency"], body["reason"])


@dataclass(frozen=True, slots=True)
class Session:
    """What the merchant asked to be paid. `expires_at` is in Unix seconds."""

    payment_id: str
    amount_minor: int
    currency: str
    description: str
    success_url: str
    cancel_url: str
    expires_at: int
    key_digest: str

    @classmethod
    def parse(cls, body: dict[str, Any], idempotency_key: str) -> Session:
        """From a merchant's request. Raises Problem with every fault."""
        _require(body, _CHECKS, "The checkout session is not valid.")
        return cls(
            payment_id=body["paymentId"],
            amount_minor=body["amountMinor"],
            currency=body["currency"],
            description=body["description"][:MAX_DESCRIPTION],
            success_url=body["successUrl"],
            cancel_url=body["cancelUrl"],
            expires_at=body["expiresAt"],
            # Keeps sessions of different keys apart; the key itself may be long.
            key_digest=hashlib.sha256(idempotency_key.encode()).hexdigest()[:16],
        )

    def token(self, secret: bytes) -> str:
        """The session id: all of the session, signed, so that nothing need be kept."""
        packed = zlib.compress(orjson.dumps(astuple(self)), 9)
        return f"cs_fake_{_encode(packed)}.{_encode(_sign(secret, packed))}"

    @classmethod
    def from_token(cls, token: str, secret: bytes) -> Session:
        """Raises Problem (404) when the token is not one of ours."""
        try:
            packed, signature = (_decode(part) for part in token[:MAX_SESSION].removeprefix("cs_fake_").split("."))
            if hmac.compare_digest(signature, _sign(secret, packed)):
                return cls(*orjson.loads(zlib.decompress(packed)))
        except ValueError:
            pass
        raise Problem(404, "There is no such checkout session.")

    @property
    def price(self) -> str:
        return format_price(self.amount_minor, self.currency)


def make_event(kind: str, created: float, about: str, data: dict[str, Any]) -> dict[str, Any]:
    """A webhook's body. The same kind of event about the same thing always has the same id, after a restart too."""
    event_id = "evt_" + hashlib.sha256(f"{about}:{kind}".encode()).hexdigest()[:32]
    return {"id": event_id, "type": kind, "created": int(created), "data": data}


def _sign(secret: bytes, packed: bytes) -> bytes:
    return hmac.new(secret, packed, hashlib.sha256).digest()[:16]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
