"""Stripe: hosted checkout and refunds, by the official library. What its events mean stands in `stripe_events`.

The library builds the requests, pins the version of the API and reads the answers; deadline, repeats and the size of an
answer are ours. https://docs.stripe.com/api
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import orjson
import stripe
from stripe import PaymentIntent, Refund
from stripe.checkout import Session
from stripe.params import RefundListParams
from stripe.params.checkout import SessionCreateParams

from core.bounded_answers import read_answer
from core.errors import FailedPrecondition
from core.payments import signatures
from core.payments.events import PaymentEvent
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
from core.payments.providers.stripe_events import NAME, PAYMENT_ID, REFUND_ID, REFUND_KEY, read_event
from core.payments.providers.stripe_money import NotRepresentable, from_stripe, to_stripe
from core.payments.rules import LIFETIME
from core.times import to_unix
from telemetry.outside import watched

log = logging.getLogger("skillforge.payments")

T = TypeVar("T")

# For a whole call of ours, with all its requests and their repeats.
DEADLINE_SECONDS = 5.0
# Before the second and the third attempt of a request, each shortened by up to a half at random.
PAUSES = (0.2, 0.6)
MAX_ANSWER_BYTES = 1024 * 1024
MAX_CONNECTIONS = 20
# A payment's refunds are read a page at a time.
PAGE, MAX_PAGES = 100, 10
# As long as the columns they are stored in.
MAX_REFERENCE, MAX_URL = 2000, 4000
MAX_REFUSAL = 500
# Stripe's longest name of a product.
MAX_NAME = 250
# A session must last 30 minutes from its creation at Stripe, later than ours and by another clock; a payment lasts as
# long from its own. So the session ends a little later, and a success in between counts.
GRACE_SECONDS = 120
_LIFETIME_SECONDS = int(LIFETIME.total_seconds())

# It would keep a file in the home folder, and tell Stripe of the machine.
stripe.enable_telemetry = False
# It logs requests and answers, with what they tell of people.
logging.getLogger("stripe").setLevel(logging.WARNING)

_REFUND_STATUSES = {
    "succeeded": RefundStatus.SUCCEEDED,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_UNREADABLE = "Stripe's answer cannot be understood"


class StripeProvider:
    """`secret_key`: sk_... or rk_...; `webhook_secrets`: whsec_..., several for rotation; `api_url`: where Stripe is."""

    name = NAME
    signature_header = "stripe-signature"

    def __init__(self, secret_key: str, webhook_secrets: Sequence[str], api_url: str = stripe.DEFAULT_API_BASE) -> None:
        self._webhook_secrets = tuple(webhook_secrets)
        self._live = _mode(secret_key)
        self._http = _HttpClient()
        client = stripe.StripeClient(
            secret_key, base_addresses={"api": api_url.rstrip("/")}, max_network_retries=0, http_client=self._http
        )
        # The library loads them when they are first named: here, before anything is served.
        self._at_sessions, self._at_refunds = client.v1.checkout.sessions, client.v1.refunds

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        """Open a Checkout Session; asked again with the same, Stripe answers with the same one.

        Raises ProviderUnavailable, FailedPrecondition (PRICE_NOT_PAYABLE).
        """
        ends = int(to_unix(checkout.expire_time)) + GRACE_SECONDS
        async with _deadline():
            try:
                session = await self._create_session(checkout, ends)
            except stripe.InvalidRequestError as error:
                if error.param != "expires_at":
                    raise
                # A repeat long after the payment was opened. Nobody was sent to another session of it before.
                session = await self._create_session(checkout, ends + _LIFETIME_SECONDS)
            reference, url = session.id, session.url
            if not _storable(reference, MAX_REFERENCE) or not _storable(url, MAX_URL) or url is None:
                raise ProviderUnavailable(_UNREADABLE)
            return CheckoutSession(reference, url)

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """Give money back, once for each `refund_id`, whenever it is asked again. The reason stays here: it is free text.

        Raises ProviderUnavailable, RefundRefused.
        """
        try:
            amount, _ = to_stripe(order.amount_minor, order.currency)
        except NotRepresentable as error:
            raise RefundRefused(str(error)) from error
        async with _deadline():
            session = await self._session(order.payment_id, order.reference)
            intent = _intent_id(session) if session else None
            if intent is None:
                raise RefundRefused("Stripe has taken no money for this payment.")
            # Stripe forgets idempotency keys after a day; the refund itself stays.
            for made in await self._refunds(intent):
                if _tagged(made, REFUND_ID, order.refund_id):
                    return _receipt(made)
            return _receipt(await self._create_refund(order, intent, amount))

    async def find(self, payment_id: str, reference: str) -> ProviderPayment | None:
        """What Stripe knows of a payment; None: nothing, or nobody was ever sent there. Raises ProviderUnavailable."""
        async with _deadline():
            session = await self._session(payment_id, reference)
            if session is None:
                return None
            amount_minor, currency = from_stripe(session.amount_total or 0, session.currency or "")
            intent = _intent_id(session)
            refunds = await self._refunds(intent) if intent else []
            refunded = sum(made.amount for made in refunds if made.status == "succeeded")
            return ProviderPayment(_status(session), amount_minor, currency, from_stripe(refunded, currency)[0])

    def read_event(self, body: bytes, signature: str, now: float) -> PaymentEvent | None:
        """The event in a webhook, once its signature is verified. Raises InvalidArgument."""
        signatures.verify(signature, body, self._webhook_secrets, now)
        return read_event(body, self._live)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()

    async def _create_session(self, checkout: Checkout, ends: int) -> Session:
        params = _session_params(checkout, ends)
        # What was asked is part of the key, so that a course renamed before the repeat is no conflict.
        digest = hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        key = f"skillforge-payment-{checkout.payment_id}-{digest}"
        try:
            return await _repeated(lambda: self._at_sessions.create_async(params, {"idempotency_key": key}))
        except stripe.InvalidRequestError as error:
            if error.code in ("amount_too_small", "amount_too_large") or "price_data" in (error.param or ""):
                raise _not_payable(error.user_message or "") from error
            raise

    async def _create_refund(self, order: RefundOrder, intent: str, amount: int) -> Refund:
        try:
            return await _repeated(
                lambda: self._at_refunds.create_async(
                    {
                        "payment_intent": intent,
                        "amount": amount,
                        "reason": "requested_by_customer",
                        "metadata": {PAYMENT_ID: order.payment_id, REFUND_ID: order.refund_id},
                    },
                    {"idempotency_key": REFUND_KEY + order.refund_id},
                )
            )
        except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
            raise RefundRefused(f"Stripe refused the refund: {error.user_message or error.code}"[:MAX_REFUSAL]) from error

    async def _session(self, payment_id: str, reference: str) -> Session | None:
        """The session of this name, if it is this payment's."""
        if not reference:
            return None
        try:
            found = await _repeated(lambda: self._at_sessions.retrieve_async(reference, {"expand": ["payment_intent"]}))
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                return None
            raise
        return found if _tagged(found, PAYMENT_ID, payment_id) else None

    async def _refunds(self, intent: str) -> list[Refund]:
        """All refunds of a payment, newest first. Raises ProviderUnavailable when there are too many to read."""
        params: RefundListParams = {"payment_intent": intent, "limit": PAGE}
        refunds: list[Refund] = []
        for _ in range(MAX_PAGES):
            page = await _repeated(lambda: self._at_refunds.list_async(params))
            refunds += page.data
            if not page.has_more:
                return refunds
            params["starting_after"] = refunds[-1].id
        raise ProviderUnavailable("the payment has more refunds than can be read")


class _HttpClient(stripe.AIOHTTPClient):
    """The library's client, but that it follows no redirect and reads no more than an answer's worth."""

    def __init__(self) -> None:
        super().__init__()
        # Reading the certificates takes a while: once, before anything is served.
        self._tls = ssl.create_default_context(cafile=stripe.ca_bundle_path)
        self._connected: aiohttp.ClientSession | None = None

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        if self._connected is None:
            # Made on first use: a session belongs to the event loop that runs then.
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=self._tls)
            self._connected = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=watched(NAME)
            )
        try:
            async with self._connected.request(method, url, headers=headers, data=post_data, allow_redirects=False) as response:
                return await read_answer(response, MAX_ANSWER_BYTES), response.status, response.headers
        except (aiohttp.ClientError, OSError) as error:
            raise stripe.APIConnectionError(type(error).__name__) from error  # type: ignore[no-untyped-call]

    async def close_async(self) -> None:
        if self._connected is not None:
            await self._connected.close()
            self._connected = None


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """Limits what is inside to DEADLINE_SECONDS, and turns whatever goes wrong there into ProviderUnavailable."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield
    except TimeoutError as error:
        raise ProviderUnavailable(f"Stripe gave no answer in {DEADLINE_SECONDS:g} s") from error
    except stripe.StripeError as error:
        raise _unavailable(error) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ProviderUnavailable(f"{_UNREADABLE}: {type(error).__name__}") from error


async def _repeated(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and again after what may pass: every request is idempotent by its key."""
    for pause in PAUSES:
        try:
            return await ask()
        except stripe.StripeError as error:
            if not _may_pass(error):
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
    return await ask()


def _may_pass(error: stripe.StripeError) -> bool:
    advice = (error.headers or {}).get("stripe-should-retry")
    if advice in ("true", "false"):
        return advice == "true"
    status = error.http_status or 0
    return isinstance(error, stripe.APIConnectionError) or status in (409, 429) or status >= 500


def _unavailable(error: stripe.StripeError) -> ProviderUnavailable:
    """The message is left out: it may quote what was sent and answered."""
    detail = f"Stripe answered {error.http_status or 'nothing'}: {type(error).__name__}"
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.InvalidRequestError):
        param = getattr(error, "param", None)
        log.error("%s, code %s, parameter %s, request %s", detail, error.code, param, error.request_id)
    return ProviderUnavailable(detail)


def _not_payable(why: str) -> FailedPrecondition:
    return FailedPrecondition(
        "PRICE_NOT_PAYABLE", f"The course's price cannot be paid; its instructor must change it. {why}"[:MAX_REFUSAL].rstrip()
    )


def _session_params(checkout: Checkout, ends: int) -> SessionCreateParams:
    try:
        amount, currency = to_stripe(checkout.amount_minor, checkout.currency)
    except NotRepresentable as error:
        raise _not_payable(str(error)) from error
    ours = {PAYMENT_ID: checkout.payment_id}
    return {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {
                    "currency": currency,
                    "unit_amount": amount,
                    "product_data": {"name": checkout.description[:MAX_NAME]},
                },
                "quantity": 1,
            }
        ],
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "client_reference_id": checkout.payment_id,
        "metadata": ours,
        # A charge carries the metadata of its payment intent.
        "payment_intent_data": {"metadata": ours},
        "expires_at": ends,
        # What is paid is the course's price in its own currency, nothing converted.
        "adaptive_pricing": {"enabled": False},
    }


def _tagged(thing: Session | Refund, name: str, value: str) -> bool:
    """Whether an object carries this in its metadata."""
    return thing.metadata is not None and name in thing.metadata and thing.metadata[name] == value


def _intent_id(session: Session) -> str | None:
    intent = session.payment_intent
    return intent.id if isinstance(intent, PaymentIntent) else intent


def _status(session: Session) -> Any:
    """How a session stands, in our words. A method that pays late leaves it complete and unpaid until it is decided."""
    if session.status in ("open", "expired"):
        return session.status
    if session.payment_status == "paid":
        return "paid"
    intent = session.payment_intent
    undecided = isinstance(intent, PaymentIntent) and intent.status == "processing"
    return "open" if undecided else "failed"


def _receipt(refund: Refund) -> RefundReceipt:
    if not _storable(refund.id, MAX_REFERENCE):
        raise ProviderUnavailable(_UNREADABLE)
    return RefundReceipt(refund.id, _REFUND_STATUSES[refund.status or ""])


def _storable(value: object, longest: int) -> bool:
    """The columns hold ASCII."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isascii() and value.isprintable()


def _mode(secret_key: str) -> bool | None:
    """Whether a key is for real money; None: it does not say."""
    kind = secret_key.split("_")[1:2]
    return {"live": True, "test": False}.get(kind[0]) if kind else None
