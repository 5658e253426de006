"""Svix webhook signatures, as Clerk sends them.

Source: https://docs.svix.com/receiving/verifying-payloads/how-manual: HMAC-SHA256 over "id.timestamp.body" with
the base64 part of `whsec_...`; the header lists "v1,<base64>" separated by spaces; five minutes of tolerance.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from core.errors import InvalidArgument

TOLERANCE_SECONDS = 300


def signing_key(secret: str) -> bytes:
    """The key in a "whsec_..." secret. Raises ValueError when it is not one."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("must be `whsec_` followed by base64") from error
    if not key:
        raise ValueError("must not be empty")
    return key


def check_signature(key: bytes, message_id: str, timestamp: str, signatures: str, body: bytes, now: float) -> None:
    """Raise InvalidArgument (SIGNATURE_INVALID, SIGNATURE_EXPIRED) unless one of the signatures is right and recent.

    `now` is in unix seconds.
    """
    if not (message_id and signatures and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidArgument("SIGNATURE_INVALID", "Send svix-id, svix-timestamp and svix-signature.")
    expected = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    if not any(hmac.compare_digest(expected, given) for given in _given(signatures)):
        raise InvalidArgument("SIGNATURE_INVALID", "No signature in svix-signature is right for this body.")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidArgument("SIGNATURE_EXPIRED", "The message is older, or newer, than five minutes.")


def _given(signatures: str) -> list[bytes]:
    found = []
    for item in signatures.split(" ")[:20]:
        version, _, value = item.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(value, validate=True))
            except ValueError:
                continue
    return found
