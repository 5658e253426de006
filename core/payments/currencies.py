"""Currencies by ISO 4217: how many decimals their amounts have, how amounts are written, and the least that is charged."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final

# ISO 4217, list one, "minor unit": two decimals for all that are not named here.
_NO_DECIMALS: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
# Units of account.
_FOUR_DECIMALS: Final = frozenset({"CLF", "UYW"})
_DECIMALS: Final = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_THREE_DECIMALS, 3) | dict.fromkeys(_FOUR_DECIMALS, 4)

# What card payments below are not worth, in the minor unit. Source: Stripe, "Minimum and maximum charge amounts".
_LEAST: Final = {
    "AED": 200, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
    "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200,
    "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip


def exponent(currency: str) -> int:
    """How many decimals amounts of a currency have: its minor unit is 10 to the minus that."""
    return _DECIMALS.get(currency, 2)


def charge_step(currency: str) -> int:
    """Amounts that are charged are multiples of this: card networks settle three decimals in tens.

    Source: Stripe, "Supported currencies", three-decimal currencies.
    """
    return 10 if currency in _THREE_DECIMALS else 1


def least_charge(currency: str) -> int:
    """The least amount that is charged, in the minor unit; 1 where no other is known."""
    return _LEAST.get(currency, 1)


@lru_cache(maxsize=4096)
def display(amount_minor: int, currency: str) -> str:
    """An amount for people: 1999, "USD" → "19.99 USD"; 500, "JPY" → "500 JPY"; 1234567, "KWD" → "1,234.567 KWD"."""
    decimals = exponent(currency)
    return f"{Decimal(amount_minor).scaleb(-decimals):,.{decimals}f} {currency}"
