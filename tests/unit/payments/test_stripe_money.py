"""Amounts in Stripe's units and ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.payments.currencies import exponent
from core.payments.providers.stripe_money import MOST_AT_STRIPE, NotRepresentable, from_stripe, to_stripe

# https://docs.stripe.com/currencies: an amount of five and what it is at Stripe.
FIVE = {
    "USD": 500, "EUR": 500, "HUF": 500, "TWD": 500,
    "BIF": 5, "CLP": 5, "DJF": 5, "GNF": 5, "JPY": 5, "KMF": 5, "KRW": 5, "MGA": 5, "PYG": 5, "RWF": 5, "VND": 5, "VUV": 5,
    "XAF": 5, "XOF": 5, "XPF": 5,
    "BHD": 5000, "JOD": 5000, "KWD": 5000, "OMR": 5000, "TND": 5000,
    "ISK": 500, "UGX": 500,
}  # fmt: skip


@pytest.mark.parametrize(("currency", "amount"), FIVE.items())
def test_five_of_every_currency(currency: str, amount: int) -> None:
    minor = 5 * 10 ** exponent(currency)
    assert to_stripe(minor, currency) == (amount, currency.lower())
    assert from_stripe(amount, currency.lower()) == (minor, currency)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "why"),
    [
        (5124, "KWD", "Stripe charges in steps of 0.010 KWD, and 5.124 KWD is none."),
        (550, "MGA", "Stripe charges in steps of 1.00 MGA, and 5.50 MGA is none."),
        (0, "USD", "Stripe cannot charge 0.00 USD"),
        (MOST_AT_STRIPE + 1, "USD", "Stripe cannot charge 1,000,000.00 USD"),
        (1_000_000, "UGX", "Stripe cannot charge 1,000,000 UGX"),
    ],
)
def test_what_stripe_cannot_charge_is_told_in_words(amount_minor: int, currency: str, why: str) -> None:
    with pytest.raises(NotRepresentable, match=f"^{re.escape(why)}"):
        to_stripe(amount_minor, currency)


@given(st.sampled_from(sorted(FIVE)), st.integers(-10, 2 * MOST_AT_STRIPE))
def test_there_and_back(currency: str, amount_minor: int) -> None:
    try:
        amount, code = to_stripe(amount_minor, currency)
    except NotRepresentable:
        return
    assert 0 < amount <= MOST_AT_STRIPE
    assert from_stripe(amount, code) == (amount_minor, currency)


@pytest.mark.parametrize("currency", ["isk", "ugx"])
def test_the_last_two_digits_are_always_00(currency: str) -> None:
    with pytest.raises(NotRepresentable):
        from_stripe(550, currency)
