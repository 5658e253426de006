"""What a payment provider must be able to do for us. Its events come the other way, as webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from core.payments.events import PaymentEvent


class Checkout(NamedTuple):
    """What is to be paid, until when, and where the student goes afterwards.

    `payment_id` (its text) makes the request idempotent: asked again, a provider answers with the same session.
    """

    payment_id: str
    amount_minor: int
    currency: str
    description: str
    success_url: str
    cancel_url: str
    expire_time: datetime


class CheckoutSession(NamedTuple):
    """The provider's own name for the checkout, and the page where the student pays."""

    reference: str
    url: str


class RefundOrder(NamedTuple):
    """Money to give back. `refund_id` (ours, its text) makes the request idempotent: asked again, a provider answers
    with the same refund. `reference`: the provider's name for the payment's checkout."""

    refund_id: str
    payment_id: str
    reference: str
    amount_minor: int
    currency: str
    reason: str


class RefundStatus(Enum):
    """How far a provider is with a refund. PENDING: it took the order, and tells by an event how it ended."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    FAILED = "failed"


class RefundReceipt(NamedTuple):
    """The provider's own name for a refund, and how far it is."""

    reference: str
    status: RefundStatus


class ProviderPayment(NamedTuple):
    """What the provider says of a payment; `refunded_minor` is the sum of what it gave back."""

    status: Literal["open", "paid", "failed", "expired"]
    amount_minor: int
    currency: str
    refunded_minor: int


class ProviderUnavailable(Exception):
    """The provider did not answer in time, or not in a way that can be understood. `retry_after` is in seconds."""

    def __init__(self, detail: str, retry_after: float = 2.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class RefundRefused(Exception):
    """The provider will never make this refund. `detail` is for people."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PaymentProvider(Protocol):
    """A payment provider. Every call has a deadline of its own."""

    @property
    def name(self) -> str:
        """Stored with every payment and event."""

    @property
    def signature_header(self) -> str:
        """The metadata key of its webhooks' signature, in lower case, such as "stripe-signature"."""

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        """Open a checkout, or find the one opened for this payment before. Raises ProviderUnavailable."""

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        """Give money back, once for each `refund_id`. Raises ProviderUnavailable, RefundRefused."""

    async def find(self, payment_id: str, reference: str) -> ProviderPayment | None:
        """What the provider knows of a payment; None: nothing. Raises ProviderUnavailable."""

    def read_event(self, body: bytes, signature: str, now: float) -> PaymentEvent | None:
        """The event in a webhook, once its signature is verified (`now` in unix seconds); None: one of a type that means
        nothing here. Raises InvalidArgument: SIGNATURE_INVALID, SIGNATURE_EXPIRED, MALFORMED_JSON, INVALID_ARGUMENT."""

    async def close(self) -> None:
        """Let go of connections."""


class Providers:
    """The configured providers. `current` opens new payments; None: nothing can be bought."""

    def __init__(self, configured: Sequence[PaymentProvider], current: str = "") -> None:
        """`current`: the name of one of the configured, or "" for none."""
        self._by_name = {provider.name: provider for provider in configured}
        self.current: PaymentProvider | None = self._by_name[current] if current else None

    def named(self, name: str) -> PaymentProvider | None:
        """The provider of this name, current or not."""
        return self._by_name.get(name)

    def of_webhook(self, metadata: Mapping[str, str]) -> PaymentProvider | None:
        """The provider whose webhook this is, told by the header that carries its signature."""
        for provider in self._by_name.values():
            if provider.signature_header in metadata:
                return provider
        return None

    async def close(self) -> None:
        """Close every provider."""
        for provider in self._by_name.values():
            await provider.close()
