"""The client of the fake provider, which plays the outside in development and tests and is spoken to over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson

from core.payments.providers import Checkout, CheckoutSession, ProviderUnavailable
from core.times import to_unix

TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_CONNECTIONS = 20
# As long as the columns they are stored in.
MAX_REFERENCE, MAX_URL = 2000, 4000

_PATH = "/fake-pay/v1/checkout-sessions"


class FakeProvider:
    """`base_url`: where the fake listens; `api_key`: what it knows us by."""

    name = "fake"

    def __init__(self, base_url: str, api_key: str) -> None:
        self._url = base_url.rstrip("/") + _PATH
        self._api_key = api_key
        self._session: aiohttp.ClientSession | None = None

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        """Open a checkout session; the payment's id is the idempotency key. Raises ProviderUnavailable."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return _read_session(await self._post(checkout))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"the payment provider cannot be reached: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, checkout: Checkout) -> bytes:
        body = orjson.dumps(
            {
                "paymentId": checkout.payment_id,
                "amountMinor": checkout.amount_minor,
                "currency": checkout.currency,
                "description": checkout.description,
                "successUrl": checkout.success_url,
                "cancelUrl": checkout.cancel_url,
                "expiresAt": int(to_unix(checkout.expire_time)),
            }
        )
        headers = {
            "Authorization": f"Bearer {self._api_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": checkout.payment_id,
        }
        async with self._connected().post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status not in (200, 201):
                raise ProviderUnavailable(f"the payment provider answered {response.status}")
            answer = b""
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ProviderUnavailable("the payment provider's answer is too long")
            return answer

    def _connected(self) -> aiohttp.ClientSession:
        # Made on first use: a session belongs to the event loop that runs then.
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS))
        return self._session


def _read_session(answer: bytes) -> CheckoutSession:
    try:
        session: Any = orjson.loads(answer)
        reference, url = session["id"], session["url"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ProviderUnavailable("the payment provider's answer cannot be understood") from None
    if not _storable(reference, MAX_REFERENCE) or not _storable(url, MAX_URL) or not url.startswith(("http://", "https://")):
        raise ProviderUnavailable("the payment provider's answer cannot be understood")
    return CheckoutSession(reference, url)


def _storable(text: object, longest: int) -> bool:
    return isinstance(text, str) and text.isascii() and 0 < len(text) <= longest
