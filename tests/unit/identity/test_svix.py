"""Svix signatures: right, recent, and over exactly this message."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.identity.svix import check_signature, signing_key
from fakes.clerk import svix_headers

# The example of Svix' documentation, "Verifying webhooks manually".
SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
BODY = b'{"event_type":"ping","data":{"success":true}}'
MESSAGE = "msg_loFOjxBNrRLzqYUf"
TIME = 1731705121
SIGNATURE = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
KEY = signing_key(SECRET)


def sign(time: int = TIME, secret: str = SECRET, body: bytes = BODY, message: str = MESSAGE) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{time}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def reason(
    signatures: str, *, key: bytes = KEY, message: str = MESSAGE, time: str = str(TIME), body: bytes = BODY, now: float = TIME
) -> str:
    with pytest.raises(InvalidArgument) as caught:
        check_signature(key, message, time, signatures, body, now)
    return caught.value.reason


def test_the_documented_example() -> None:
    check_signature(KEY, MESSAGE, str(TIME), SIGNATURE, BODY, TIME)


def test_the_fake_signs_the_same_way() -> None:
    assert svix_headers(SECRET, MESSAGE, TIME, BODY)["svix-signature"] == SIGNATURE


@pytest.mark.parametrize("seconds", [-300, 0, 299.9, 300])
def test_within_five_minutes_either_way(seconds: float) -> None:
    check_signature(KEY, MESSAGE, str(TIME), SIGNATURE, BODY, TIME + seconds)


@pytest.mark.parametrize("seconds", [-301, 300.1, 10**9])
def test_a_genuine_message_of_another_time_is_expired(seconds: float) -> None:
    assert reason(SIGNATURE, now=TIME + seconds) == "SIGNATURE_EXPIRED"


def test_an_expired_forgery_is_a_forgery() -> None:
    assert reason(sign(secret="whsec_AAAA"), now=TIME + 10**6) == "SIGNATURE_INVALID"


def test_while_keys_rotate_one_right_signature_of_several_is_enough() -> None:
    old = sign(secret="whsec_b2xk")
    check_signature(KEY, MESSAGE, str(TIME), f"{old} {SIGNATURE}", BODY, TIME)
    check_signature(signing_key("whsec_b2xk"), MESSAGE, str(TIME), f"{SIGNATURE} v1a,AAAA {old}", BODY, TIME)


@pytest.mark.parametrize(
    "signatures",
    [
        "",
        "v1,",
        "v1",
        SIGNATURE.removeprefix("v1,"),
        SIGNATURE.replace("v1", "v2"),
        SIGNATURE.replace("v1", "v1a"),
        "v1,not base64!",
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0",
        "v1,é",
        SIGNATURE[:-3] + "1=",
        sign(secret="whsec_AAAA"),
        sign(TIME + 1),
        sign(body=BODY + b" "),
        sign(message="msg_other"),
    ],
)
def test_wrong_missing_and_malformed_signatures(signatures: str) -> None:
    assert reason(signatures) == "SIGNATURE_INVALID"


def test_only_so_many_signatures_are_looked_at() -> None:
    assert reason(" ".join(["v1,AAAA"] * 20 + [SIGNATURE])) == "SIGNATURE_INVALID"


@pytest.mark.parametrize("time", ["", "-1", "1.5", "soon", "²", "9" * 13, " 1731705121"])
def test_times_that_are_none(time: str) -> None:
    assert reason(SIGNATURE, time=time) == "SIGNATURE_INVALID"


def test_the_message_id_is_signed_too() -> None:
    assert reason(SIGNATURE, message="") == "SIGNATURE_INVALID"
    assert reason(SIGNATURE, message=MESSAGE + "x") == "SIGNATURE_INVALID"


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20), st.binary(max_size=20))
def test_anything_else_is_refused(signatures: str, time: str, message: str, body: bytes) -> None:
    assert reason(signatures.replace("\ud800", ""), time=time, message=message, body=body) in (
        "SIGNATURE_INVALID", "SIGNATURE_EXPIRED",
    )  # fmt: skip


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_***", "whsec_é", "whsec_abc"])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(ValueError, match=r"base64|empty"):
        signing_key(secret)
