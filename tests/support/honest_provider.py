"""A payment provider that does what it says, as a test decides it: what is paid and given back there is the truth."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from core.payments import events, signatures
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

_numbers = itertools.count(1)


class Manner(Enum):
    """How the provider takes the next requests."""

    PROMPT = "answers at once"
    SLOW = "makes refunds later"
    AWAY = "does nothing, and does not answer"
    MUTE = "does it, and does not answer"


@dataclass
class Till:
    """A payment at the provider. `refunds`: those made, by their id or a number of the provider's own."""

    amount: int
    currency: str
    paid: bool = False
    refunds: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    @property
    def returned(self) -> int:
        return sum(self.refunds.values())

    @property
    def left(self) -> int:
        return self.amount - self.returned - sum(self.pending.values()) if self.paid else 0


class HonestProvider:
    """Events wait in `told` until a test delivers them: (payment, kind, the event's own fields)."""

    signature_header = signatures.HEADER

    def __init__(self, name: str, secrets: tuple[str, ...]) -> None:
        self.name = name
        self.manner = Manner.PROMPT
        self.tills: dict[str, Till] = {}
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self._secrets = secrets

    async def create_checkout(self, checkout: Checkout) -> CheckoutSession:
        self._till(checkout.payment_id, checkout.amount_minor, checkout.currency)
        return CheckoutSession(f"cs_{checkout.payment_id}", f"https://pay.example.com/{checkout.payment_id}")

    async def refund(self, order: RefundOrder) -> RefundReceipt:
        await asyncio.sleep(0)
        if self.manner is Manner.AWAY:
            raise ProviderUnavailable("away")
        till = self.tills[order.payment_id]
        known = order.refund_id in till.refunds or order.refund_id in till.pending or order.refund_id in till.failed
        if not known:
            if order.amount_minor > till.left:
                raise RefundRefused("There is not so much left.")
            till.pending[order.refund_id] = order.amount_minor
            if self.manner is not Manner.SLOW:
                self.finish(order.payment_id, order.refund_id)
        if self.manner is Manner.MUTE:
            raise ProviderUnavailable("mute")
        return RefundReceipt(f"re_{order.refund_id}", self._status(till, order.refund_id))

    async def find(self, payment_id: str, reference: str) -> ProviderPayment | None:
        await asyncio.sleep(0)
        if self.manner is Manner.AWAY:
            raise ProviderUnavailable("away")
        till = self.tills.get(payment_id)
        if till is None:
            return None
        return ProviderPayment("paid" if till.paid else "open", till.amount, till.currency, till.returned)

    def read_event(self, body: bytes, signature: str, now: float) -> PaymentEvent | None:
        signatures.verify(signature, body, self._secrets, now)
        return events.read_event(body, self.name)

    async def close(self) -> None:
        """Nothing to close."""

    # What happens there.

    def pay(self, payment_id: str) -> None:
        till = self.tills[payment_id]
        if not till.paid:
            till.paid = True
            self._tell(payment_id, "succeeded")

    def decline(self, payment_id: str) -> None:
        if not self.tills[payment_id].paid:
            self._tell(payment_id, "failed")

    def refund_there(self, payment_id: str, amount: int) -> None:
        """A refund that nobody asked for here."""
        till = self.tills[payment_id]
        if 0 < amount <= till.left:
            till.refunds[f"own-{next(_numbers)}"] = amount
            self._tell(payment_id, "refunded", amountMinor=amount)

    def finish(self, payment_id: str, refund_id: str, *, made: bool = True) -> None:
        """Make a refund that is pending, or fail to."""
        till = self.tills[payment_id]
        amount = till.pending.pop(refund_id)
        if made:
            till.refunds[refund_id] = amount
        else:
            till.failed.add(refund_id)
        self._tell(payment_id, "refunded" if made else "refund_failed", amountMinor=amount, refundId=refund_id)

    def _till(self, payment_id: str, amount: int, currency: str) -> Till:
        return self.tills.setdefault(payment_id, Till(amount, currency))

    def _tell(self, payment_id: str, kind: str, **data: Any) -> None:
        self.told.append((payment_id, kind, {"id": f"evt_{self.name}_{next(_numbers)}", **data}))

    def _status(self, till: Till, refund_id: str) -> RefundStatus:
        if refund_id in till.refunds:
            return RefundStatus.SUCCEEDED
        return RefundStatus.PENDING if refund_id in till.pending else RefundStatus.FAILED
