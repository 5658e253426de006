"""Our signatures and the official library's: each accepts what the other makes, and both decide alike."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.payments.signatures import verify
from fakes.stripe.webhooks import Sender
from fakes.webhooks import signature_header

NOW = 1_800_000_000
SECRETS = ("whsec_new", "whsec_old")

BODIES = st.text(max_size=200)
SECRET = st.sampled_from(SECRETS)


def official(body: str, header: str, secrets: tuple[str, ...] = SECRETS) -> bool:
    """Whether the library accepts it at NOW, by one of the secrets."""
    with mock.patch("stripe._webhook.time", SimpleNamespace(time=lambda: NOW)):
        for secret in secrets:
            try:
                return bool(
                    stripe.WebhookSignature.verify_header(body.encode(), header, secret, stripe.Webhook.DEFAULT_TOLERANCE)
                )
            except stripe.SignatureVerificationError:
                continue
    return False


def ours(body: str, header: str, secrets: tuple[str, ...] = SECRETS) -> bool:
    try:
        verify(header, body.encode(), secrets, NOW)
    except InvalidArgument:
        return False
    return True


@given(BODIES, SECRET, st.integers(-300, 0))
def test_the_library_accepts_what_we_sign(body: str, secret: str, ago: int) -> None:
    assert official(body, signature_header(secret, NOW + ago, body.encode()), (secret,))


@given(BODIES, SECRET, st.integers(-300, 300))
def test_we_accept_what_the_library_signs(body: str, secret: str, ago: int) -> None:
    assert ours(body, stripe.WebhookSignature.generate_signature_header(body, secret, NOW + ago))


@st.composite
def headers(draw: st.DrawFn) -> tuple[str, str]:
    """A body and a header for it, of which anything may be wrong."""
    body = draw(BODIES)
    # Stripe's library takes a time however far ahead; we take no more than it allows behind.
    moment = NOW + draw(st.integers(-600, 300) | st.sampled_from([-301, -300]))
    signed = draw(st.sampled_from([body, body + " ", ""]))
    parts = [f"t={moment}"] if draw(st.integers(0, 9)) else []
    for scheme, secret in draw(
        st.lists(st.tuples(st.sampled_from(["v1", "v1", "v0"]), st.sampled_from([*SECRETS, "other", ""])))
    ):
        value = stripe.WebhookSignature._compute_signature(f"{moment}.{signed}", secret)
        parts.append(f"{scheme}={value[: draw(st.sampled_from([64, 64, 64, 63]))]}")
    return body, ",".join(parts[:10])


@given(headers())
@settings(deadline=None)
def test_both_decide_alike(case: tuple[str, str]) -> None:
    assert ours(*case) == official(*case)


def test_the_cases_hold_both_answers() -> None:
    body = "{}"
    good = signature_header(SECRETS[1], NOW, body.encode())
    for header, expected in ((good, True), (good[:-1], False), (good.replace("v1", "v0"), False)):
        assert ours(body, header) is official(body, header) is expected


@given(BODIES)
def test_while_a_secret_is_rotated_either_is_enough(body: str) -> None:
    header = Sender("", SECRETS).signature(body.encode(), NOW)
    for secret in SECRETS:
        assert ours(body, header, (secret,))
        assert official(body, header, (secret,))
    assert not ours(body, header, ("whsec_other",))


@pytest.mark.parametrize("secret", ["", " ", "\t"])
def test_nobody_signs_with_nothing(secret: str) -> None:
    assert not official("{}", signature_header(secret, NOW, b"{}"), (secret,))
