"""Signatures of webhooks, and the strict reading of their events."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.payments.events import PaymentEvent, read_event
from core.payments.rules import EventType
from core.payments.signatures import verify

BODY = b'{"id":"evt_1"}'
NOW = 1_800_000_000
SECRETS = ("whsec_new", "whsec_old")


def mac(secret: str, time: int, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("time", [NOW, NOW - 300, NOW + 300])
def test_signed_with_any_secret_within_the_tolerance(secret: str, time: int) -> None:
    verify(f"t={time},v1={mac(secret, time)}", BODY, SECRETS, NOW)


def test_one_good_signature_of_several_is_enough() -> None:
    verify(f"t={NOW}, v1={'0' * 64}, v0=x, v1={mac('whsec_old', NOW).upper()}", BODY, SECRETS, NOW)


@pytest.mark.parametrize("time", [NOW - 301, NOW + 301])
def test_a_genuine_signature_of_another_time_is_expired(time: int) -> None:
    with pytest.raises(InvalidArgument) as caught:
        verify(f"t={time},v1={mac('whsec_new', time)}", BODY, SECRETS, NOW)
    assert caught.value.reason == "SIGNATURE_EXPIRED"


GOOD = mac("whsec_new", NOW)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "t=", f"t={NOW}", f"v1={GOOD}", f"t=x,v1={GOOD}", f"t=-{NOW},v1={GOOD}", f"t={NOW},t={NOW},v1={GOOD}",
        f"t={NOW},v1={GOOD[:-1]}", f"t={NOW},v1={mac('whsec_other', NOW)}", f"t={NOW + 1},v1={GOOD}", f"t={NOW},v0={GOOD}",
        f"t=٣{NOW},v1={GOOD}", f"t={NOW}," + ",".join(["v1=" + "0" * 64] * 10) + f",v1={GOOD}", "t" * 100_000,
    ],
)  # fmt: skip
def test_anything_else_is_invalid(header: str | None) -> None:
    with pytest.raises(InvalidArgument) as caught:
        verify(header, BODY, SECRETS, NOW)
    assert caught.value.reason == "SIGNATURE_INVALID"


@pytest.mark.parametrize(("body", "secrets"), [(BODY + b" ", SECRETS), (BODY, ())])
def test_another_body_or_no_secret_is_invalid(body: bytes, secrets: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        verify(f"t={NOW},v1={GOOD}", body, secrets, NOW)
    assert caught.value.reason == "SIGNATURE_INVALID"


@given(st.text(max_size=200))
def test_no_header_is_too_strange(header: str) -> None:
    with pytest.raises(InvalidArgument):
        verify(header, BODY, SECRETS, NOW)


PAYMENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def event(**changes: Any) -> dict[str, Any]:
    data = {"paymentId": str(PAYMENT), "amountMinor": 4900, "currency": "USD"}
    return {"id": "evt_1", "type": "payment.succeeded", "created": NOW, "data": data, "livemode": False} | changes


def test_reads_an_event() -> None:
    found = read_event(orjson.dumps(event()), "fake")
    assert found is not None
    assert found._replace(event_time=found.event_time) == PaymentEvent(
        "fake", "evt_1", EventType.SUCCEEDED, found.event_time, PAYMENT.bytes, 4900, "USD"
    )


def test_an_unknown_type_means_nothing_whatever_it_carries() -> None:
    assert read_event(orjson.dumps(event(type="customer.created", data={"name": "x"})), "fake") is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]]", b'{"a":NaN}'])
def test_not_json(body: bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_event(body, "fake")
    assert caught.value.reason == "MALFORMED_JSON"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"id": "é"}, "id"),
        ({"id": 5}, "id"),
        ({"type": None}, "type"),
        ({"type": "a b"}, "type"),
        ({"created": "now"}, "created"),
        ({"created": True}, "created"),
        ({"created": -1}, "created"),
        ({"created": 10**12}, "created"),
        ({"data": []}, "data"),
        ({"data": {"paymentId": "x", "amountMinor": 1, "currency": "USD"}}, "data.paymentId"),
        ({"data": {"paymentId": str(PAYMENT), "amountMinor": 1.5, "currency": "USD"}}, "data.amountMinor"),
        ({"data": {"paymentId": str(PAYMENT), "amountMinor": 2**31, "currency": "USD"}}, "data.amountMinor"),
        ({"data": {"paymentId": str(PAYMENT), "amountMinor": 1, "currency": "usd"}}, "data.currency"),
    ],
)
def test_says_what_is_wrong(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_event(orjson.dumps(event(**changes)), "fake")
    assert field in [item.field for item in caught.value.violations]


def test_says_everything_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_event(orjson.dumps({"type": "payment.failed", "data": {}}), "fake")
    assert [item.field for item in caught.value.violations] == [
        "id", "created", "data.paymentId", "data.amountMinor", "data.currency",
    ]  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.dictionaries(st.sampled_from(["id", "type", "created", "data"]), JSON))
def test_no_json_breaks_the_reader(anything: Any, fields: dict[str, Any]) -> None:
    for value in (anything, event() | fields):
        with contextlib.suppress(InvalidArgument):
            read_event(orjson.dumps(value), "fake")
