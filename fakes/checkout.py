"""The fake payment provider's plain parts: checkout sessions as signed tokens, test cards, prices, pages."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import html
import zlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from fakes.web import Problem, page

MAX_AMOUNT = 2**31 - 1  # minor units
MAX_DESCRIPTION = 200
MAX_SESSION = 8192  # characters of a session id

# ISO 4217: the currencies without the usual two digits after the decimal point.
_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def format_price(amount_minor: int, currency: str) -> str:
    """1999, "USD" → "19.99 USD"; 500, "JPY" → "500 JPY"; 1234567, "KWD" → "1,234.567 KWD"."""
    exponent = 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2
    return f"{Decimal(amount_minor).scaleb(-exponent):,.{exponent}f} {currency}"


class Outcome(enum.Enum):
    """Where a payment stands after a card was tried; the value is what `POST` answers as `status`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PROCESSING = "processing"


@dataclass(frozen=True, slots=True)
class Card:
    """A test card: what it does to the payment, and how the webhooks about it behave."""

    number: str
    label: str
    outcome: Outcome
    message: str
    late: bool = False
    twice: bool = False
    stale_failure: bool = False  # an older payment.failed arrives after payment.succeeded

    @property
    def printed(self) -> str:
        return " ".join(self.number[at : at + 4] for at in range(0, 16, 4))


_PAID = "The payment succeeded."
CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242", "pays", Outcome.SUCCEEDED, _PAID),
        Card("4000000000000002", "is declined", Outcome.FAILED, "The card was declined."),
        Card("4000000000009995", "has insufficient funds", Outcome.FAILED, "The card has insufficient funds."),
        Card("4000000000000341", "pays late", Outcome.PROCESSING, "The payment is being processed.", late=True),
        Card("4000000000000259", "pays, and tells it twice", Outcome.SUCCEEDED, _PAID, twice=True),
        Card("4000000000000077", "pays, and tells of an older failure afterwards", Outcome.SUCCEEDED, _PAID, stale_failure=True),
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


_CHECKS: dict[str, Callable[[object], bool]] = {
    "paymentId": lambda value: isinstance(value, str) and 0 < len(value) <= 100,
    "amountMinor": _is_number_to(MAX_AMOUNT),
    "currency": _is_currency,
    "description": lambda value: isinstance(value, str),
    "successUrl": _is_web_url,
    "cancelUrl": _is_web_url,
    "expiresAt": _is_number_to(2**40),
}


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
        faults = [name for name, valid in _CHECKS.items() if not valid(body.get(name))]
        if faults:
            violations = [{"field": name, "description": "Missing or not valid."} for name in faults]
            raise Problem(400, "The checkout session is not valid.", violations=violations)
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

    def event(self, kind: str, token: str, created: int) -> dict[str, Any]:
        """A webhook's body. The same thing about the same session always has the same id."""
        event_id = "evt_" + hashlib.sha256(f"{token}:{kind}".encode()).hexdigest()[:32]
        data = {"paymentId": self.payment_id, "amountMinor": self.amount_minor, "currency": self.currency}
        return {"id": event_id, "type": kind, "created": created, "data": data}


def _sign(secret: bytes, packed: bytes) -> bytes:
    return hmac.new(secret, packed, hashlib.sha256).digest()[:16]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def checkout_page(session: Session, action: str, error: str = "", status: int = 200) -> web.Response:
    """The page that asks for a card."""
    choices = "".join(
        f'<label><input type="radio" name="card" value="{card.number}"{" checked" if index == 0 else ""}> '
        f"<code>{card.printed}</code> {card.label}</label>"
        for index, card in enumerate(CARDS.values())
    )
    alert = f'<p class="bad" role="alert">{html.escape(error)} Try another card.</p>' if error else ""
    return page(
        "Checkout (fake)",
        f"<h1>{html.escape(session.description or 'Checkout')}</h1>"
        f'<p class="price">{html.escape(format_price(session.amount_minor, session.currency))}</p>{alert}'
        f'<form method="post" action="{html.escape(action)}"><fieldset><legend>Test card</legend>{choices}</fieldset>'
        f'<button type="submit">Pay</button></form>'
        f'<p><a href="{html.escape(session.cancel_url)}">Cancel and go back</a></p>',
        status,
    )


def result_page(session: Session, outcome: Outcome) -> web.Response:
    """The page after a card was tried with success, or is still being processed."""
    heading, text = {
        Outcome.SUCCEEDED: ("Paid", "The payment succeeded. The merchant is told by a webhook."),
        Outcome.PROCESSING: (
            "Processing",
            "The payment takes a little longer. The merchant is told by a webhook when it is done.",
        ),
        Outcome.FAILED: ("Not paid", "The card was refused."),
    }[outcome]
    return page(
        f"{heading} (fake)",
        f'<h1 role="status">{heading}</h1><p>{html.escape(session.description)}</p>'
        f'<p class="price">{html.escape(format_price(session.amount_minor, session.currency))}</p><p>{text}</p>'
        f'<p><a class="button" href="{html.escape(session.success_url)}">Continue</a></p>',
    )
