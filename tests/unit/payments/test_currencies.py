"""Amounts of currencies with no, two, three and four decimals."""

from __future__ import annotations

import itertools
import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.courses.rules import CURRENCIES
from core.payments.currencies import charge_step, display, exponent, least_charge


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1999, "USD", "19.99 USD"),
        (5, "EUR", "0.05 EUR"),
        (0, "GBP", "0.00 GBP"),
        (123456789, "USD", "1,234,567.89 USD"),
        (500, "JPY", "500 JPY"),
        (1500000, "KRW", "1,500,000 KRW"),
        (2**31 - 1, "CLP", "2,147,483,647 CLP"),
        (1234567, "KWD", "1,234.567 KWD"),
        (10, "TND", "0.010 TND"),
        (12345678, "CLF", "1,234.5678 CLF"),
        (7, "UYI", "7 UYI"),
        (-250, "USD", "-2.50 USD"),
    ],
)
def test_amounts_are_written_with_their_currency_s_decimals(amount: int, currency: str, text: str) -> None:
    assert display(amount, currency) == text


@given(st.integers(0, 2**31 - 1), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_written_is_the_amount(amount: int, currency: str) -> None:
    number, code = display(amount, currency).split(" ")
    assert Decimal(number.replace(",", "")).scaleb(exponent(currency)) == amount
    assert code == currency
    assert least_charge(currency) >= 1
    assert least_charge(currency) % charge_step(currency) in (0, 1)


def test_every_currency_with_other_decimals_than_two_is_one_that_courses_may_have() -> None:
    known = {currency: exponent(currency) for currency in CURRENCIES}
    assert {currency for currency, decimals in known.items() if decimals == 3} == {
        "BHD",
        "IQD",
        "JOD",
        "KWD",
        "LYD",
        "OMR",
        "TND",
    }
    assert sum(decimals == 0 for decimals in known.values()) == 16


def test_iso_4217_s_minor_units() -> None:
    """List one: whatever is not here has two decimals, or none that are defined."""
    table = {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }
    expected = {currency: decimals for decimals, currencies in table.items() for currency in currencies.split()}
    codes = ("".join(letters) for letters in itertools.product(string.ascii_uppercase, repeat=3))
    assert {code: exponent(code) for code in codes if exponent(code) != 2} == expected
