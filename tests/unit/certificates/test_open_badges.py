"""Badges as validators read them: PyJWT, and openbadgeslib, which knows Open Badges 3.0."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from openbadgeslib.ob3.status import decode_encoded_list, set_indices
from openbadgeslib.ob3.verifier import OB3VerificationError, OB3Verifier

from core.certificates.keys import SigningKey
from core.certificates.messages import Links
from core.certificates.open_badges import credential, issuer_profile, sign, status_list
from core.certificates.queries import CertificateRow
from core.ids import new_id
from skillforge.v1 import certificates_pb2 as pb
from tests.support.signing import signing_key

LINKS = Links("https://school.example.com/")
BASE = "https://school.example.com/certificates"
NOW = datetime.now(UTC).replace(tzinfo=None)
KEY, OTHER = signing_key(), signing_key(1)
ROW = CertificateRow(
    certificate_id="SF-" + "0" * 27, student_id=new_id(), course_id=new_id(), student_name="ليلى حداد", course_title="A & <b>",
    instructor_name="I. Nstructor", score_percent=97.5, complete_time=NOW - timedelta(hours=1),
    status=pb.CERTIFICATE_STATUS_VALID,
    issue_time=NOW - timedelta(hours=1), revoke_time=None, revoke_reason=pb.REVOKE_REASON_UNSPECIFIED, revoke_note="",
    replaced_by=None,
)  # fmt: skip
GONE = ROW._replace(status=pb.CERTIFICATE_STATUS_REVOKED, revoke_time=NOW)


def public_pem(key: SigningKey) -> bytes:
    return key.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def badge(key: SigningKey = KEY, row: CertificateRow = ROW) -> str:
    return sign(credential(row, LINKS), key, LINKS).decode()


def verify(token: str, row: CertificateRow, key: SigningKey = KEY) -> Any:
    """By openbadgeslib, which asks for the status list of a certificate as it stands now."""

    def download(url: str) -> bytes:
        assert url == f"{BASE}/{row.certificate_id}/badge/status"
        return sign(status_list(row, LINKS, datetime.now(UTC).replace(tzinfo=None)), key, LINKS)

    return OB3Verifier(public_pem(key)).verify(token, check_status=True, verify_status_list=True, download=download)


def test_the_oracle_accepts_it() -> None:
    found = verify(badge(), ROW)
    assert found.issuer.id == f"{BASE}/issuer"
    assert found.achievement.name == ROW.course_title


def test_the_oracle_refuses_a_revoked_one_and_another_s() -> None:
    with pytest.raises(OB3VerificationError, match="revocation"):
        verify(badge(), GONE)
    with pytest.raises(OB3VerificationError, match="signature"):
        verify(badge(OTHER), ROW)


def test_the_claims_are_those_of_the_credential() -> None:
    payload = jwt.decode(badge(), public_pem(KEY), algorithms=["RS256"], options={"require": ["iss", "jti", "nbf", "sub"]})
    assert payload["iss"] == payload["issuer"]["id"] == f"{BASE}/issuer"
    assert payload["jti"] == payload["id"] == f"{BASE}/{ROW.certificate_id}/badge"
    assert payload["sub"] == payload["credentialSubject"]["id"]
    assert "vc" not in payload
    said = datetime.strptime(payload["validFrom"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert payload["nbf"] == said.timestamp()
    subject = payload["credentialSubject"]
    assert subject["identifier"][0]["identityHash"] == ROW.student_name
    assert (subject["achievement"]["name"], subject["result"][0]["value"]) == (ROW.course_title, "97.5")
    assert subject["result"][0]["resultDescription"] == subject["achievement"]["resultDescription"][0]["id"]


def test_the_header_names_the_key_by_its_address() -> None:
    header = jwt.get_unverified_header(badge())
    assert header == {"alg": "RS256", "typ": "JWT", "kid": f"{BASE}/keys/{KEY.kid}"}


def test_the_same_certificate_and_key_give_the_same_badge() -> None:
    assert badge() == badge()
    assert badge(row=GONE._replace(status=ROW.status)) == badge()
    assert badge(OTHER) != badge()


def test_it_tells_nothing_of_the_account() -> None:
    for secret in (ROW.student_id.hex(), str(ROW.student_id)):
        assert secret not in str(credential(ROW, LINKS)).replace("-", "")


@pytest.mark.parametrize(("row", "bits"), [(ROW, frozenset()), (GONE, frozenset({0}))])
def test_the_status_list(row: CertificateRow, bits: frozenset[int]) -> None:
    listed = status_list(row, LINKS, NOW)
    bitstring = decode_encoded_list(listed["credentialSubject"]["encodedList"])
    assert (len(bitstring) * 8, set_indices(bitstring)) == (131_072, bits)
    entry = credential(row, LINKS)["credentialStatus"]
    assert (entry["statusListCredential"], entry["statusListIndex"]) == (listed["id"], "0")
    assert entry["statusPurpose"] == listed["credentialSubject"]["statusPurpose"] == "revocation"


def test_the_issuer_is_the_same_everywhere() -> None:
    profile = issuer_profile(LINKS)
    assert credential(ROW, LINKS)["issuer"] == profile
    assert status_list(ROW, LINKS, NOW)["issuer"] == profile["id"]
    assert profile["url"] == "https://school.example.com"
