"""Whatever Stripe answers, read by the official library, becomes one of the errors a caller knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FailedPrecondition
from core.payments.providers import Checkout, ProviderUnavailable, RefundOrder, RefundRefused
from core.payments.providers import stripe as ours
from core.payments.providers.stripe import StripeProvider
from core.times import from_unix

CHECKOUT = Checkout("p", 4900, "USD", "Course", "https://x/", "https://x/", from_unix(1_800_000_000))

ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "url", "object", "data", "error", "metadata", "payment_intent", "status"]), inner
        )
    ),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def answering() -> Callable[[bytes, int], StripeProvider]:
    """A client that is answered whatever it asks."""
    client = StripeProvider("sk_test_1", ["whsec_1"])

    def answer(body: bytes, status: int) -> StripeProvider:
        reply = mock.AsyncMock(return_value=(body, status, {"stripe-should-retry": "false"}))
        client._http.request_async = reply  # type: ignore[method-assign]
        return client

    return answer


@given(ANSWERS, st.sampled_from([200, 201, 301, 400, 402, 404, 409, 500]))
@settings(deadline=None, max_examples=50)
def test_no_answer_is_too_strange(answering: Callable[[bytes, int], StripeProvider], answer: Any, status: int) -> None:
    client = answering(orjson.dumps(answer), status)
    order = RefundOrder("r", "p", "cs_1", 1, "USD", "")

    async def try_everything() -> None:
        for work in (client.create_checkout(CHECKOUT), client.refund(order), client.find("p", "cs_1")):
            with contextlib.suppress(ProviderUnavailable, RefundRefused, FailedPrecondition):
                await work

    with mock.patch.object(ours, "PAUSES", (0.0, 0.0)):
        asyncio.run(try_everything())
