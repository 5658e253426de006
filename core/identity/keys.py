"""The public keys that tokens are checked with: a PEM from the settings, or Clerk's JWKS.

JWKS are fetched on demand, once for all who wait (single flight), kept for 5 minutes, fetched again for an
unknown key id (not more often than the cooldown), and used stale while Clerk is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from core.errors import Unavailable
from core.identity.clerk import Clerk

log = logging.getLogger("skillforge.identity")

FRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 10.0
# While no key at all is known nobody gets in, so the next try comes sooner.
FIRST_COOLDOWN_SECONDS = 1.0
# How long a call waits for a fresh set when it could go on with a stale key.
PATIENCE_SECONDS = 1.0


class KeySource(Protocol):
    """Finds the key of a token."""

    async def find(self, key_id: str) -> RSAPublicKey | None:
        """The key with this id; None when there is none. Raises Unavailable when it cannot be known now."""


class PemKey:
    """One key from a PEM (`CLERK_JWT_KEY`): tokens are checked without any network. Raises ValueError for another text."""

    def __init__(self, pem: str) -> None:
        try:
            key = load_pem_public_key(pem.encode())
        except UnsupportedAlgorithm as error:
            raise ValueError("not an RSA public key") from error
        if not isinstance(key, RSAPublicKey):
            raise ValueError("not an RSA public key")
        self._key = key

    async def find(self, key_id: str) -> RSAPublicKey | None:
        """The one key, whatever its id."""
        return self._key


class JwksKeys:
    """The keys of Clerk's JWKS. `monotonic` gives seconds on any steady clock."""

    def __init__(self, clerk: Clerk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clerk = clerk
        self._monotonic = monotonic
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        # The fetch under way, or the last one; it tells whether it succeeded.
        self._fetch: asyncio.Task[bool] | None = None

    async def find(self, key_id: str) -> RSAPublicKey | None:
        """The key with this id, fetching the set when it is old or does not have it."""
        if not key_id:
            return None
        if key_id not in self._keys:
            if not await self._refresh():
                raise Unavailable(
                    "UNAVAILABLE", "Clerk's keys cannot be fetched. Try again in a moment.", retry_after=self._cooldown
                )
        elif self._monotonic() - self._fetched_at > FRESH_SECONDS and not self._fetching:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._refresh()
        return self._keys.get(key_id)

    @property
    def _cooldown(self) -> float:
        return COOLDOWN_SECONDS if self._keys else FIRST_COOLDOWN_SECONDS

    @property
    def _fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    async def _refresh(self) -> bool:
        """Fetch the set, together with all who wait, unless that was tried a moment ago; whether the last try succeeded."""
        now = self._monotonic()
        if self._fetch is None or (self._fetch.done() and now - self._tried_at > self._cooldown):
            self._tried_at = now
            self._fetch = asyncio.create_task(self._load())
        # One waiter's cancellation must not end the fetch of the others.
        return await asyncio.shield(self._fetch)

    async def _load(self) -> bool:
        try:
            found = dict(filter(None, map(_read_key, await self._clerk.keys())))
        except Unavailable:
            return False
        if not found:
            log.error("Clerk's key set holds no RSA key; the keys known are used on")
            return False
        self._keys = found
        self._fetched_at = self._monotonic()
        return True


def _read_key(item: dict[str, object]) -> tuple[str, RSAPublicKey] | None:
    """A JWK's id and key; None for one of another kind, which is of no use to us."""
    try:
        key = jwt.PyJWK.from_dict(item, algorithm="RS256").key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    key_id = item.get("kid")
    return (key_id, key) if isinstance(key, RSAPublicKey) and isinstance(key_id, str) else None
