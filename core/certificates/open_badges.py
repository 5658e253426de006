"""Certificates as Open Badges 3.0 credentials, and their status lists: pure functions from what a certificate says.

Sources: Open Badges 3.0 (credential, profile, 8.2 JSON Web Token Proof Format: the payload is the credential itself, with
`iss`, `jti`, `nbf` and `sub` beside it; `kid` is an address that gives the key); Verifiable Credentials Data Model 2.0;
Bitstring Status List 1.0.
"""

from __future__ import annotations

import base64
import gzip
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from core.certificates.keys import ISSUER, SigningKey
from core.certificates.messages import Links
from core.certificates.queries import CertificateRow
from core.ids import to_text
from core.times import to_unix
from skillforge.v1 import certificates_pb2

CREDENTIALS_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
BADGES_CONTEXT: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
STATUS_LIST_BITS: Final = 131_072  # the least a list may have
STATUS_LIFETIME: Final = timedelta(days=1)
_STATUS_TTL_MS: Final = 300_000

Json = dict[str, Any]


def issuer_profile(links: Links) -> Json:
    """Who issues: an Open Badges profile."""
    return {"id": links.issuer, "type": ["Profile"], "name": ISSUER, "url": links.home}


def credential(row: CertificateRow, links: Links) -> Json:
    """The certificate as a credential with the registered claims of a JWT. Nothing in it changes while the certificate's
    snapshot does not."""
    badge_id, status_id = links.badge(row.certificate_id), links.badge_status(row.certificate_id)
    issuer = issuer_profile(links)
    subject = _subject(row, links)
    return {
        "@context": [CREDENTIALS_CONTEXT, BADGES_CONTEXT],
        "id": badge_id,
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": row.course_title,
        "issuer": issuer,
        "validFrom": _time(row.issue_time),
        "awardedDate": _time(row.complete_time),
        "credentialSubject": subject,
        "credentialStatus": {
            "id": f"{status_id}#0",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": "0",
            "statusListCredential": status_id,
        },
        "iss": issuer["id"],
        "jti": badge_id,
        "nbf": int(to_unix(row.issue_time)),
        "sub": subject["id"],
    }


def _subject(row: CertificateRow, links: Links) -> Json:
    """Who achieved what. The subject's id is of this certificate alone, so that badges do not tell whose others are."""
    course_id = links.course(to_text(row.course_id))
    score_id = f"{course_id}#score"
    return {
        "id": f"{links.verify(row.certificate_id)}#holder",
        "type": ["AchievementSubject"],
        "identifier": [
            {"type": "IdentityObject", "hashed": False, "identityHash": row.student_name, "identityType": "name"},
        ],
        "achievement": {
            "id": course_id,
            "type": ["Achievement"],
            "achievementType": "CertificateOfCompletion",
            "name": row.course_title,
            "description": f"Completion of the course “{row.course_title}”, taught by {row.instructor_name}.",
            "criteria": {"narrative": "Every lecture of the course completed, and its final exam passed where it has one."},
            "resultDescription": [
                {
                    "id": score_id, "type": ["ResultDescription"], "name": "Final score", "resultType": "Percent",
                    "valueMin": "0", "valueMax": "100",
                }
            ],
        },
        "result": [{"type": ["Result"], "resultDescription": score_id, "value": f"{row.score_percent:g}"}],
    }  # fmt: skip


def status_list(row: CertificateRow, links: Links, now: datetime) -> Json:
    """A list of this certificate's own, whose first bit says whether it is revoked: it tells nothing of others, and is
    never older than the request."""
    status_id, revoked = links.badge_status(row.certificate_id), row.status != certificates_pb2.CERTIFICATE_STATUS_VALID
    return {
        "@context": [CREDENTIALS_CONTEXT],
        "id": status_id,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": links.issuer,
        "validFrom": _time(now),
        "validUntil": _time(now + STATUS_LIFETIME),
        "credentialSubject": {
            "id": f"{status_id}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "ttl": _STATUS_TTL_MS,
            "encodedList": _encoded(first_bit=revoked),
        },
        "iss": links.issuer,
        "jti": status_id,
        "nbf": int(to_unix(now)),
        "exp": int(to_unix(now + STATUS_LIFETIME)),
        "sub": f"{status_id}#list",
    }


def sign(payload: Json, key: SigningKey, links: Links) -> bytes:
    """The payload as a compact JWT: the same payload and key give the same bytes. About 2 ms of CPU."""
    token = jwt.encode(payload, key.private_key, algorithm="RS256", headers={"kid": links.key(key.kid)})
    return token.encode("ascii")


def _encoded(*, first_bit: bool) -> str:
    bits = bytes([0x80 if first_bit else 0]) + bytes(STATUS_LIST_BITS // 8 - 1)
    packed = gzip.compress(bits, mtime=0)
    return "u" + base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")  # "u": multibase's base64url


def _time(moment: datetime) -> str:
    """A time as VC 2.0 wants it, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
