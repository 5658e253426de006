"""Amounts as Stripe writes them: whole numbers of a currency's smallest unit, as ours are, but not everywhere of the
same unit as in ISO 4217.

- ISK and UGX have no decimals in ISO 4217; Stripe keeps two for them, which are always 00.
- MGA has two decimals in ISO 4217 (fifths, in truth) and none at Stripe.
- The three-decimal currencies are charged in tens of their minor unit.
- HUF and TWD are whole in payouts alone; charges and refunds have two decimals, as in ISO 4217.

Source: https://docs.stripe.com/currencies, "Zero-decimal", "Three-decimal" and "Special cases".
"""

from __future__ import annotations

from core.payments.currencies import charge_step, display

_STRETCHED = {"ISK": 100, "UGX": 100}
_SHRUNK = {"MGA": 100}
# Eight digits: https://docs.stripe.com/currencies, "Minimum and maximum charge amounts".
MOST_AT_STRIPE = 99_999_999


class NotRepresentable(ValueError):
    """An amount that cannot be said the other's way; the text tells people why."""


def to_stripe(amount_minor: int, currency: str) -> tuple[int, str]:
    """Stripe's amount and currency code of an amount in ISO 4217's minor unit. Raises NotRepresentable."""
    step = max(charge_step(currency), _SHRUNK.get(currency, 1))
    if amount_minor % step:
        steps = display(step, currency)
        raise NotRepresentable(f"Stripe charges in steps of {steps}, and {display(amount_minor, currency)} is none.")
    amount = amount_minor // _SHRUNK.get(currency, 1) * _STRETCHED.get(currency, 1)
    if not 0 < amount <= MOST_AT_STRIPE:
        raise NotRepresentable(
            f"Stripe cannot charge {display(amount_minor, currency)}: it is nothing, or has more than eight digits."
        )
    return amount, currency.lower()


def from_stripe(amount: int, currency: str) -> tuple[int, str]:
    """An amount of Stripe's, in ISO 4217's minor unit, and the currency's code. Raises NotRepresentable."""
    code = currency.upper()
    whole, rest = divmod(amount, _STRETCHED.get(code, 1))
    if rest:
        raise NotRepresentable(f"{amount} of Stripe's {code} is no whole number of its minor unit.")
    return whole * _SHRUNK.get(code, 1), code
