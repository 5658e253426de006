"""Keys that sign the tests' certificates."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.certificates.keys import SigningKey, read_signing_key


def signing_pem(number: int = 0) -> str:
    """One of this process's private keys, without a certificate of its own, on one line as a setting."""
    return _new_pem(number)


def signing_key(number: int = 0) -> SigningKey:
    """The key of `signing_pem`, with the certificate derived from it."""
    return _read(number)


@cache
def _new_pem(number: int) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem.replace("\n", "\\n")


@cache
def _read(number: int) -> SigningKey:
    return read_signing_key(_new_pem(number).replace("\\n", "\n").encode())
