"""The keys that sign certificates: what is read, what is refused, and that every process derives the same."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from cli.main import main
from cli.signing_keys import kept_signing_key
from core.certificates.keys import (
    SigningKeys,
    check_validity,
    public_part,
    read_keys,
    read_signing_key,
    self_signed,
    thumbprint,
)
from tests.support.signing import signing_key, signing_pem


def pem(number: int = 0) -> bytes:
    return signing_pem(number).replace("\\n", "\n").encode()


def public_pem(number: int) -> bytes:
    public = signing_key(number).private_key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def certificate_by(issuer: rsa.RSAPrivateKey, key: rsa.RSAPublicKey, now: datetime | None = None) -> bytes:
    """Valid for a day from `now` on."""
    now = now or datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key)
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(issuer, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_every_process_derives_the_same_certificate() -> None:
    code = "import sys; from core.certificates import keys; print(keys.public_part(sys.stdin.buffer.read()).decode(), end='')"
    told = subprocess.run([sys.executable, "-c", code], input=pem(), capture_output=True, check=True, timeout=30)
    assert told.stdout == public_part(pem())
    key = signing_key()
    key.certificate.verify_directly_issued_by(key.certificate)
    assert key.certificate.public_key() == key.private_key.public_key()


def test_the_id_is_the_thumbprint_of_rfc_7638() -> None:
    """The RFC's own example, 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn"
        "1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = jwt.PyJWK.from_dict({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"}).key
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_earlier_keys_stay_trusted_and_the_current_one_comes_first() -> None:
    retired = public_part(pem(1)) + public_pem(2) + public_pem(0)
    keys = read_keys(pem(), retired)
    assert keys.current is not None
    assert [key.kid for key in keys.trusted] == [signing_key(number).kid for number in (0, 1, 2)]
    assert [key.certificate is not None for key in keys.trusted] == [True, True, False]
    found = keys.by_kid(signing_key(2).kid)
    assert found is not None
    assert found.public_key == signing_key(2).private_key.public_key()
    assert keys.by_kid("another") is None
    token = jwt.encode({"a": 1}, signing_key(1).private_key, algorithm="RS256")
    read = {key.key_id: key for key in jwt.PyJWKSet.from_dict(keys.jwks()).keys}
    assert jwt.decode(token, read[signing_key(1).kid], algorithms=["RS256"]) == {"a": 1}


def test_a_certificate_of_an_authority_is_taken_with_its_chain() -> None:
    authority, own = signing_key(1).private_key, signing_key().private_key.public_key()
    chain = certificate_by(authority, own) + certificate_by(authority, authority.public_key())
    key = read_signing_key(pem() + chain)
    assert key.certificate == x509.load_pem_x509_certificate(chain)
    assert len(key.chain) == 1
    assert key.kid == signing_key().kid


def test_a_certificate_that_is_not_valid_now_cannot_sign() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    authority, own = signing_key(1).private_key, signing_key().private_key.public_key()
    issuer = certificate_by(authority, authority.public_key(), now)
    key = read_signing_key(pem() + certificate_by(authority, own, now) + issuer)
    check_validity(key, now)
    with pytest.raises(ValueError, match="expired on 2026-05-02 12:00 UTC"):
        check_validity(key, now + timedelta(days=2))
    with pytest.raises(ValueError, match="not valid before 2026-05-01 12:00 UTC"):
        check_validity(key, now - timedelta(days=2))
    forever = self_signed(signing_key().private_key).public_bytes(Encoding.PEM)
    with pytest.raises(ValueError, match="expired"):
        check_validity(read_signing_key(pem() + forever + issuer), now + timedelta(days=2))
    check_validity(signing_key(), now + timedelta(days=100_000))


def test_nothing_set_is_no_key() -> None:
    assert read_keys(b"") == SigningKeys()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: b"nonsense", "one RSA private key, not 0"),
        (lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (lambda: private_pem(ec.generate_private_key(ec.SECP256R1())), "must be an RSA key"),
        (lambda: private_pem(rsa.generate_private_key(65537, 1024)), "2048 to 8192 bits, not 1024"),
        (lambda: private_pem(signing_key().private_key, b"secret"), "must not have a password"),
        (lambda: pem() + pem(1), "one RSA private key, not 2"),
        (lambda: pem() + public_part(pem(1)), "must be the private key's own"),
        (lambda: pem() + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate that cannot be read"),
    ],
)
def test_what_is_no_signing_key(given: Callable[[], bytes], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_keys(given())
    assert pem().splitlines()[1].decode() not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: b"nonsense", "as PEM"),
        (lambda: pem(1), "holds a private key"),
        (lambda: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "cannot be read"),
        (lambda: b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", "nothing else"),
        (lambda: public_pem(1) * 51, "at most 50"),
    ],
)
def test_what_is_no_retired_key(given: Callable[[], bytes], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_keys(pem(), given())


def test_the_command_makes_a_key_once(tmp_path: Path) -> None:
    path, other = tmp_path / "key.pem", tmp_path / "new.pem"
    made = CliRunner().invoke(main, ["make-signing-key", str(path)])
    assert made.exit_code == 0, made.output
    assert f"CERTIFICATE_SIGNING_KEY={path}" in made.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    again = CliRunner().invoke(main, ["make-signing-key", str(path)])
    assert (again.exit_code, "never overwritten" in again.output) == (1, True)
    assert path.read_bytes() == before
    rotated = CliRunner().invoke(main, ["make-signing-key", str(other), "--replacing", str(path)])
    assert rotated.exit_code == 0, rotated.output
    keys = read_keys(other.read_bytes(), rotated.stdout.encode())
    assert keys.by_kid(read_signing_key(before).kid) is not None
    assert sorted(item.name for item in tmp_path.iterdir()) == ["key.pem", "new.pem"]


def test_a_data_folder_keeps_its_key(tmp_path: Path) -> None:
    """Several starts at once agree on one, and no half of a file is left."""
    with ThreadPoolExecutor(4) as starts:
        paths = set(starts.map(kept_signing_key, [tmp_path] * 4))
    [path] = paths
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = read_signing_key(path.read_bytes())
    assert kept_signing_key(tmp_path) == path
    assert read_signing_key(path.read_bytes()).kid == before.kid
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
