"""Verification of Clerk's session tokens.

Source: https://clerk.com/docs/backend-requests/manual-jwt and RFC 7519. RS256 only; `iss` and `azp` against an
allow-list; 5 s of clock skew; pending sessions refused. A verified token is remembered by its digest until it expires.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jwt

from core.call import Claims
from core.errors import Unauthenticated
from core.identity.keys import KeySource
from core.identity.rules import role_number

SKEW_SECONDS = 5
MAX_TOKEN_BYTES = 8192
MAX_SUBJECT = 64
MAX_SESSION = 128
# In the year 33658; beyond it, and for infinity, no arithmetic is safe.
MAX_TIME = 1e12
_REMEMBERED = 20_000


class TokenVerifier:
    """Checks tokens. `issuer` "" and an empty `authorized_parties` mean that the claim is not checked.

    `wall_clock` gives unix seconds.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        authorized_parties: frozenset[str],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._authorized_parties = authorized_parties
        self._wall_clock = wall_clock
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()

    def recall(self, token: str) -> Claims | None:
        """The claims of a token verified before and not expired since; None when it must be verified."""
        claims = self._verified.get(_digest(token))
        return claims if claims is not None and self._wall_clock() < claims.expires_at + SKEW_SECONDS else None

    async def verify(self, token: str) -> Claims:
        """The claims of a good token. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED) or Unavailable."""
        if len(token) > MAX_TOKEN_BYTES:
            raise _invalid("it is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid("it is not a JWT") from error
        if header.get("alg") != "RS256":
            raise _invalid("it must be signed with RS256")
        key = await self._keys.find(str(header.get("kid", "")))
        if key is None:
            raise _invalid("its key is not one of the issuer's")
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                options={
                    "require": ["exp", "iat", "sub", "sid"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
                issuer=self._issuer or None,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid(str(error).rstrip(".").lower()) from error
        claims = self._claims(payload)
        self._remember(_digest(token), claims)
        return claims

    def _claims(self, payload: dict[str, Any]) -> Claims:
        expires_at, not_before = _time(payload["exp"]), _time(payload.get("nbf", 0))
        now = self._wall_clock()
        if not now < expires_at + SKEW_SECONDS:
            raise Unauthenticated("TOKEN_EXPIRED", "The token has expired. Get a new one and repeat the call.")
        if now < not_before - SKEW_SECONDS:
            raise _invalid("it is not valid yet")
        if payload.get("sts") == "pending":
            raise _invalid("its session is pending")
        party = payload.get("azp")
        if self._authorized_parties and not (isinstance(party, str) and party in self._authorized_parties):
            raise _invalid("its authorized party is not on the allow-list")
        subject, session = _name(payload["sub"], MAX_SUBJECT), _name(payload["sid"], MAX_SESSION)
        metadata = payload.get("metadata") or payload.get("public_metadata")
        role = metadata.get("role") if isinstance(metadata, dict) else None
        return Claims(subject, session, expires_at, role_number(role))

    def _remember(self, digest: bytes, claims: Claims) -> None:
        self._verified[digest] = claims
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)


def _time(value: object) -> float:
    """A NumericDate (RFC 7519, section 2): a JSON number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_TIME:
        raise _invalid("its times are not usable")
    return float(value)


def _name(value: object, max_length: int) -> str:
    """A subject or session id as the database holds it."""
    if not (isinstance(value, str) and 0 < len(value) <= max_length and value.isascii() and value.isprintable()):
        raise _invalid("its subject or session is not usable")
    return value


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", f"The token was refused: {why}.")
