"""The RSA keys a fake issuer signs with, kept in a PEM file so that key ids survive a restart."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

_PEM_BLOCK = re.compile(rb"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\n?", re.DOTALL)


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


@dataclass(frozen=True)
class SigningKey:
    """An RSA key, its id (its RFC 7638 thumbprint) and its public JWK."""

    private: RSAPrivateKey
    kid: str
    jwk: dict[str, str]

    @classmethod
    def of(cls, private: RSAPrivateKey) -> SigningKey:
        numbers = private.public_key().public_numbers()
        required = {"e": _base64url(numbers.e), "kty": "RSA", "n": _base64url(numbers.n)}
        digest = hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest()
        kid = "ins_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return cls(private, kid, {"use": "sig", "alg": "RS256", "kid": kid, **required})

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key; takes about 0.1 s."""
        return cls.of(generate_private_key(public_exponent=65537, key_size=2048))

    @property
    def pem(self) -> bytes:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_pem(self) -> str:
        """What Clerk's dashboard shows as the JWT public key."""
        public = self.private.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, claims: dict[str, Any], kid: str | None = None) -> str:
        """The claims as an RS256 JWT; `kid` replaces the key's own id in the header."""
        return jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": kid or self.kid})


class KeyRing:
    """The keys in order of age; the last one signs, all are published. Its methods block: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.keys: list[SigningKey] = []

    def load(self) -> None:
        """Reads the keys, making the first one where there is none."""
        stored = self._path.read_bytes() if self._path.exists() else b""
        for block in _PEM_BLOCK.findall(stored):
            private = serialization.load_pem_private_key(block, None)
            if isinstance(private, RSAPrivateKey):
                self.keys.append(SigningKey.of(private))
        if not self.keys:
            self.rotate()

    def rotate(self) -> None:
        """Adds a new key, which signs from now on; the older ones stay published."""
        self.keys.append(SigningKey.generate())
        self._save()

    def retire(self) -> None:
        """Drops all keys but the one that signs."""
        del self.keys[:-1]
        self._save()

    @property
    def current(self) -> SigningKey:
        return self.keys[-1]

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(b"".join(key.pem for key in self.keys))
        new.replace(self._path)
