"""The client of the fake provider, which plays the outside in development and tests and is spoken to over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from core.bounded_answers import read_answer
from core.payments import signatures
from core.payments.events import MOST_MINOR, PaymentEvent, read_event
from core.payments.providers import (
    Checkout,
    CheckoutSession,
    ProviderPayment,
    ProviderUnavailable,
    RefundOrder,
    RefundReceipt,
    RefundRefused,
    RefundStatus,
)
from core.times import to_unix
from telemetry.outside import watched

TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_CONNECTIONS = 20
# As long as the columns they are stored in.
MAX_REFERENCE, MAX_URL = 2000, 4000
MAX_REFUSAL = 500

_PATH = "/fake-pay/v1"
_STATUSES = frozenset({"open", "paid", "failed", "expired"})
# The answers to a refund that are final: the request is understood and will never be carried out.
_REFUSALS = frozenset({400, 402, 404, 409, 422})
_UNREADABLE = "the payment provider's answer cannot be understood"


class FakeProvider:
    """`base_url`: where the fake listens; `api_key`: what it knows us by; `webhook_secrets`: what it signs with."""

    name = "fake"
    signature_header = signatures.HEADER

    def __init__(self, base_url: str, api_key: str, webhook_secrets: Sequence[str]) -> None:
        self._url = base_url.rstrip("/") + _PATH
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._webhook_secrets = tuple(webhook_secrets)
        self._session: aiohttp.ClientSession | None = None

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        """Open a checkout session; the payment's id is the idempotency key. Raises ProviderUnavailable."""
        body = {
            "paymentId": checkout.payment_id,
            "amountMinor": checkout.amount_minor,
            "currency": checkout.currency,
            "description": checkout.description,
            "successUrl": checkout.success_url,
            "cancelUrl": checkout.cancel_url,
            "expiresAt": int(to_unix(checkout.expire_time)),
        }
        status, answer = await self._ask("POST", "/checkout-sessions", body, key=checkout.payment_id)
        _expect(status, 200, 201)
        return _read_session(answer)

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """Give money back; the refund's id is the idempotency key. Raises ProviderUnavailable, RefundRefused."""
        body = {
            "refundId": order.refund_id,
            "paymentId": order.payment_id,
            "amountMinor": order.amount_minor,
            "currency": order.currency,
            "reason": order.reason,
        }
        status, answer = await self._ask("POST", "/refunds", body, key=order.refund_id)
        if status in _REFUSALS:
            raise RefundRefused(_detail(answer))
        _expect(status, 200, 201)
        return _read_receipt(answer)

    async def find(self, payment_id: str, reference: str) -> ProviderPayment | None:
        """What the provider knows of a payment. Raises ProviderUnavailable."""
        status, answer = await self._ask("GET", f"/payments/{quote(payment_id, safe='')}")
        if status == 404:
            return None
        _expect(status, 200)
        return _read_payment(answer)

    def read_event(self, body: bytes, signature: str, now: float) -> PaymentEvent | None:
        """The event in a webhook, in our own form and with our own signature. Raises InvalidArgument."""
        signatures.verify(signature, body, self._webhook_secrets, now)
        return read_event(body, self.name)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, verb: str, path: str, body: Mapping[str, object] | None = None, key: str = "") -> tuple[int, Any]:
        """The status and the JSON of an answer (None: no JSON). Raises ProviderUnavailable."""
        headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
        data = orjson.dumps(body) if body is not None else None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                request = self._connected().request(verb, self._url + path, data=data, headers=headers, allow_redirects=False)
                async with request as response:
                    return response.status, _json(await read_answer(response, MAX_ANSWER_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ProviderUnavailable(f"the payment provider cannot be reached: {type(error).__name__}") from error

    def _connected(self) -> aiohttp.ClientSession:
        # Made on first use: a session belongs to the event loop that runs then.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS), trace_configs=watched(self.name)
            )
        return self._session


def _json(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _expect(status: int, *wanted: int) -> None:
    if status not in wanted:
        raise ProviderUnavailable(f"the payment provider answered {status}")


def _read_session(session: Any) -> CheckoutSession:
    try:
        reference, url = session["id"], session["url"]
    except (KeyError, TypeError):
        raise ProviderUnavailable(_UNREADABLE) from None
    if not _storable(reference, MAX_REFERENCE) or not _storable(url, MAX_URL) or not url.startswith(("http://", "https://")):
        raise ProviderUnavailable(_UNREADABLE)
    return CheckoutSession(reference, url)


def _read_receipt(refund: Any) -> RefundReceipt:
    try:
        reference, status = refund["id"], RefundStatus(refund["status"])
    except (KeyError, TypeError, ValueError):
        raise ProviderUnavailable(_UNREADABLE) from None
    if not _storable(reference, MAX_REFERENCE):
        raise ProviderUnavailable(_UNREADABLE)
    return RefundReceipt(reference, status)


def _read_payment(payment: Any) -> ProviderPayment:
    try:
        found = ProviderPayment(payment["status"], payment["amountMinor"], payment["currency"], payment["refundedMinor"])
    except (KeyError, TypeError):
        raise ProviderUnavailable(_UNREADABLE) from None
    amounts = (found.amount_minor, found.refunded_minor)
    known = isinstance(found.status, str) and found.status in _STATUSES and isinstance(found.currency, str)
    if not known or not all(type(amount) is int and 0 <= amount <= MOST_MINOR for amount in amounts):
        raise ProviderUnavailable(_UNREADABLE)
    return found


def _detail(answer: Any) -> str:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return detail[:MAX_REFUSAL] if isinstance(detail, str) and detail else "The payment provider refused the refund."


def _storable(value: object, longest: int) -> bool:
    """The columns hold ASCII."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isascii() and value.isprintable()
