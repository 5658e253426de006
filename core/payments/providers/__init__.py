"""What a payment provider must be able to do for us. Its events come the other way, as webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol


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


class ProviderUnavailable(Exception):
    """The provider did not answer in time, or not in a way that can be understood. `retry_after` is in seconds."""

    def __init__(self, detail: str, retry_after: float = 2.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PaymentProvider(Protocol):
    """A payment provider. `name` is stored with every payment."""

    @property
    def name(self) -> str: ...

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        """Open a checkout, or find the one opened for this payment before. Raises ProviderUnavailable."""

    async def close(self) -> None:
        """Let go of connections."""
