"""Session tokens that a server takes without asking Clerk, signed with a key made for the run."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LIFETIME_SECONDS = 86_400


class Tokens:
    """Signs tokens; `public_key` is the PEM file for CLERK_JWT_KEY."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        public = self._key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.public_key = folder / "clerk.pem"
        self.public_key.write_bytes(public)

    def of(self, clerk_id: str) -> str:
        """The token of a Clerk user."""
        now = int(time.time())
        claims = {"sub": clerk_id, "sid": f"sess_{clerk_id}", "iat": now, "exp": now + LIFETIME_SECONDS, "iss": "benchmark"}
        return jwt.encode(claims, self._key, "RS256")
