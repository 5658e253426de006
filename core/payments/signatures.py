"""Signatures of the payment provider's webhooks.

`t=<unix seconds>,v1=<hex>[,v1=<hex>...]`, each v1 an HMAC-SHA256 over "<t>.<raw body>", in `SkillForge-Signature` or, of
Stripe's own, in `Stripe-Signature`.
Source: Stripe, "Verify webhook signatures manually". Several secrets may be valid at a time, for rotation.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from core.errors import InvalidArgument

HEADER = "skillforge-signature"
TOLERANCE_SECONDS = 300
# Signatures looked at in one header.
MAX_SIGNATURES = 10

_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def verify(header: str | None, body: bytes, secrets: Sequence[str], now: float) -> None:
    """Return if the body was signed with one of the secrets within the tolerance around `now` (unix seconds).

    Raises InvalidArgument: SIGNATURE_INVALID, or SIGNATURE_EXPIRED for a genuine one of another time.
    """
    time, signatures = _read(header or "")
    if time is None or not _signed(f"{time}.".encode() + body, signatures, secrets):
        raise InvalidArgument(
            "SIGNATURE_INVALID", "The webhook is not signed with a secret known here. Check the secret and its signature header."
        )
    if abs(now - int(time)) > TOLERANCE_SECONDS:
        raise InvalidArgument(
            "SIGNATURE_EXPIRED", f"The webhook was signed more than {TOLERANCE_SECONDS} seconds ago or ahead. Sign it again."
        )


def _read(header: str) -> tuple[str | None, list[str]]:
    """The time and the well-formed v1 signatures of a header; no time: malformed."""
    times, signatures = [], []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1" and _DIGEST.fullmatch(value.lower()):
            signatures.append(value.lower())
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        return None, []
    return times[0], signatures[:MAX_SIGNATURES]


def _signed(message: bytes, signatures: Sequence[str], secrets: Sequence[str]) -> bool:
    """Every secret is tried against every signature, so that the time taken tells nothing about either."""
    found = False
    for secret in secrets:
        expected = hmac.digest(secret.encode(), message, "sha256").hex()
        for signature in signatures:
            found |= hmac.compare_digest(expected, signature)
    return found
