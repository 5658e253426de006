"""The keys certificates are signed with: the one in use, and earlier ones whose signatures stay valid."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

ISSUER = "SkillForge"
MIN_BITS, MAX_BITS, NEW_BITS = 2048, 8192, 3072
MAX_RETIRED = 50
# RFC 5280, 4.1.2.5: the last is the time of certificates that do not expire.
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key whose signatures are accepted. `kid`: its RFC 7638 thumbprint; `certificate`: its X.509 one, where known."""

    kid: str
    public_key: rsa.RSAPublicKey
    certificate: x509.Certificate | None = None

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517) for RS256."""
        return {**_members(self.public_key), "kid": self.kid, "use": "sig", "alg": "RS256"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs. `chain`: its certificate's issuers, if any were given."""

    kid: str
    private_key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517) for RS256."""
        return self.trusted.jwk

    @property
    def trusted(self) -> TrustedKey:
        """Its public side."""
        return TrustedKey(self.kid, self.private_key.public_key(), self.certificate)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The key in use (None: nothing can be signed), and every key whose signatures are accepted, it first."""

    current: SigningKey | None = None
    trusted: tuple[TrustedKey, ...] = ()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set."""
        return {"keys": [key.jwk for key in self.trusted]}

    def by_kid(self, kid: str) -> TrustedKey | None:
        """The accepted key with this id."""
        return next((key for key in self.trusted if key.kid == kid), None)


def read_keys(pem: bytes, retired: bytes = b"") -> SigningKeys:
    """The keys in two PEMs: an RSA private key, perhaps with its certificate and that one's issuers; and the public keys or
    certificates of earlier keys. Either may be empty. A key without a certificate gets a self-signed one, the same in every
    process. Raises ValueError, whose text repeats nothing of the PEMs.
    """
    current = read_signing_key(pem) if pem.strip() else None
    known = {current.kid: current.trusted} if current else {}
    for key in _read_retired(retired):
        # The certificate tells more than the bare key, wherever both are given.
        if key.kid not in known or known[key.kid].certificate is None:
            known[key.kid] = key
    return SigningKeys(current, tuple(known.values()))


def read_signing_key(pem: bytes) -> SigningKey:
    """The private key in a PEM, with its certificate. Raises ValueError, whose text repeats nothing of the PEM."""
    blocks = _blocks(pem)
    privates = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
    if len(privates) != 1:
        raise ValueError(f"must hold one RSA private key, not {len(privates)}")
    key = _private_key(privates[0])
    certificates = [_certificate(block) for kind, block in blocks if kind == "CERTIFICATE"]
    if not certificates:
        return SigningKey(thumbprint(key.public_key()), key, self_signed(key))
    own, *chain = certificates
    if own.public_key() != key.public_key():
        raise ValueError("the first certificate must be the private key's own")
    return SigningKey(thumbprint(key.public_key()), key, own, tuple(chain))


def check_validity(key: SigningKey, now: datetime) -> None:
    """Raise ValueError when a signature made `now` would count for nothing: the key's certificate, or one of its issuers',
    has expired or is not valid yet."""
    for certificate in (key.certificate, *key.chain):
        if certificate.not_valid_after_utc < now:
            raise ValueError(f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it")
        if certificate.not_valid_before_utc > now:
            raise ValueError(f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def new_signing_key() -> bytes:
    """A fresh private key and its self-signed certificate, as PEM. Takes up to a second of CPU."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=NEW_BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + self_signed(key).public_bytes(Encoding.PEM)


def public_part(pem: bytes) -> bytes:
    """What CERTIFICATE_RETIRED_KEYS wants of a key that retires: its certificate, as PEM."""
    return read_signing_key(pem).certificate.public_bytes(Encoding.PEM)


def thumbprint(key: rsa.RSAPublicKey) -> str:
    """The key's RFC 7638 thumbprint: SHA-256, base64url."""
    canonical = json.dumps(_members(key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A certificate of the key by itself. Nothing in it is random, nor is an RSA PKCS #1 v1.5 signature: every process
    derives the same bytes."""
    public = key.public_key()
    digest = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ISSUER),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{ISSUER} Certificates"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(int.from_bytes(digest[:16], "big") | 1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(digest[:20]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _read_retired(pem: bytes) -> Sequence[TrustedKey]:
    blocks = _blocks(pem)
    if pem.strip() and not blocks:
        raise ValueError("must hold public keys or certificates as PEM")
    if len(blocks) > MAX_RETIRED:
        raise ValueError(f"must hold at most {MAX_RETIRED} keys")
    return [_retired(kind, block) for kind, block in blocks]


def _retired(kind: str, block: bytes) -> TrustedKey:
    if kind == "CERTIFICATE":
        certificate = _certificate(block)
        key = _rsa(certificate.public_key(), "a retired key's certificate")
        return TrustedKey(thumbprint(key), key, certificate)
    if kind == "PUBLIC KEY":
        try:
            public = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("holds a public key that cannot be read") from None
        key = _rsa(public, "a retired key")
        return TrustedKey(thumbprint(key), key)
    if kind.endswith("PRIVATE KEY"):
        raise ValueError("must hold only public keys and certificates, but holds a private key")
    raise ValueError("must hold public keys or certificates, nothing else")


def _blocks(pem: bytes) -> list[tuple[str, bytes]]:
    return [(found[1].decode("ascii"), found[0] + b"\n") for found in _BLOCK.finditer(pem)]


def _private_key(block: bytes) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(block, None)
    except TypeError:
        raise ValueError("the private key must not have a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the private key cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key must be an RSA key")
    _rsa(key.public_key(), "the private key")
    return key


def _certificate(block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except ValueError:
        raise ValueError("holds a certificate that cannot be read") from None


def _rsa(key: object, what: str) -> rsa.RSAPublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError(f"{what} must be an RSA key")
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise ValueError(f"{what} must have {MIN_BITS} to {MAX_BITS} bits, not {key.key_size}")
    return key


def _members(key: rsa.RSAPublicKey) -> dict[str, str]:
    """The members of the JWK that make the key, those of RFC 7638, 3.2."""
    numbers = key.public_numbers()
    return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
