"""Certificates as messages of the contract, and as the document that is rendered."""

from __future__ import annotations

from datetime import date

from core.certificates.checking import Verdict
from core.certificates.inspection import Findings
from core.certificates.keys import ISSUER
from core.certificates.pdf import CertificateDocument, Look
from core.certificates.queries import CertificateRow, CourseNames, TemplateRow
from core.certificates.rules import PREFIX, RANDOM_CHARACTERS
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import certificates_pb2

# Spelled like an id, and of no certificate.
_SPECIMEN_ID = f"{PREFIX}-{'0' * (RANDOM_CHARACTERS + 1)}"


class Links:
    """Where certificates are found from outside."""

    def __init__(self, public_url: str) -> None:
        self.home = public_url.rstrip("/")
        self._base = self.home + "/certificates/"

    def verify(self, certificate_id: str) -> str:
        """The page that says whether the certificate is genuine."""
        return f"{self._base}{certificate_id}/verify"

    def download(self, certificate_id: str) -> str:
        """Where the PDF is."""
        return f"{self._base}{certificate_id}/download"

    def badge(self, certificate_id: str) -> str:
        """Where the Open Badges credential is, which is its id too."""
        return f"{self._base}{certificate_id}/badge"

    def badge_status(self, certificate_id: str) -> str:
        """Where the badge's status list is."""
        return f"{self._base}{certificate_id}/badge/status"

    def course(self, course_id: str) -> str:
        """Where the course is."""
        return f"{self.home}/courses/{course_id}"

    def key(self, key_id: str) -> str:
        """Where a public key is, which is its `kid` too; "" for no key."""
        return f"{self._base}keys/{key_id}" if key_id else ""

    @property
    def issuer(self) -> str:
        """Where the issuer's profile is, which is its id too."""
        return f"{self._base}issuer"

    @property
    def keys(self) -> str:
        """Where the public keys are."""
        return f"{self.home}/.well-known/jwks.json"


def snapshot(row: CertificateRow) -> certificates_pb2.CertificateSnapshot:
    """What the certificate says."""
    return certificates_pb2.CertificateSnapshot(
        student_name=row.student_name,
        course_title=row.course_title,
        instructor_name=row.instructor_name,
        score_percent=row.score_percent,
        complete_time=to_timestamp(row.complete_time),
    )


def certificate(row: CertificateRow, links: Links) -> certificates_pb2.Certificate:
    """A certificate as its owner sees it."""
    return certificates_pb2.Certificate(
        id=row.certificate_id,
        course_id=to_text(row.course_id),
        student_id=to_text(row.student_id),
        snapshot=snapshot(row),
        status=row.status,
        issue_time=to_timestamp(row.issue_time),
        revoke_time=to_timestamp(row.revoke_time),
        verify_url=links.verify(row.certificate_id),
        download_url=links.download(row.certificate_id),
        revoke_reason=row.revoke_reason,
        revoke_note=row.revoke_note,
        replaced_by=row.replaced_by or "",
    )


def verification(row: CertificateRow, key_id: str, links: Links) -> certificates_pb2.VerifyCertificateResponse:
    """A certificate as anybody may see it. `key_id`: the thumbprint of the key that signs it."""
    valid = row.status == certificates_pb2.CERTIFICATE_STATUS_VALID
    return certificates_pb2.VerifyCertificateResponse(
        valid=valid,
        status=row.status,
        snapshot=snapshot(row),
        certificate_id=row.certificate_id,
        issue_time=to_timestamp(row.issue_time),
        revoke_time=to_timestamp(row.revoke_time),
        revoke_reason=row.revoke_reason,
        replaced_by=row.replaced_by or "",
        replacement_url=links.verify(row.replaced_by) if row.replaced_by else "",
        issuer=certificates_pb2.Issuer(id=links.issuer, name=ISSUER, url=links.home, keys_url=links.keys),
        key_id=links.key(key_id),
        badge_url=links.badge(row.certificate_id) if valid else "",
    )


def file_check(verdict: Verdict, findings: Findings, links: Links) -> certificates_pb2.CheckCertificateFileResponse:
    """What a file is. What its certificate says is shown when the file is made from it, not when it only names it."""
    ours = sorted(findings.ours, key=lambda signature: not signature.intact)
    response = certificates_pb2.CheckCertificateFileResponse(
        result=verdict.result,
        signature_valid=any(signature.intact for signature in ours),
        key_id=links.key(ours[0].kid) if ours else "",
        signature_count=findings.signature_count,
        detail=verdict.detail,
    )
    row = verdict.row
    if row is None:
        return response
    response.certificate_id, response.verify_url = row.certificate_id, links.verify(row.certificate_id)
    if verdict.proven:
        said = verification(row, "", links)
        response.snapshot.CopyFrom(said.snapshot)
        response.status, response.revoke_reason, response.replaced_by = said.status, said.revoke_reason, said.replaced_by
        response.issue_time.CopyFrom(said.issue_time)
        if said.HasField("revoke_time"):
            response.revoke_time.CopyFrom(said.revoke_time)
    return response


def document(row: CertificateRow, look: Look, links: Links) -> CertificateDocument:
    """A certificate as it is printed."""
    return CertificateDocument(
        certificate_id=row.certificate_id,
        student_name=row.student_name,
        course_title=row.course_title,
        instructor_name=row.instructor_name,
        score_percent=row.score_percent,
        completed_on=row.complete_time.date(),
        issued_on=row.issue_time.date(),
        verify_url=links.verify(row.certificate_id),
        look=look,
    )


def specimen(names: CourseNames, look: Look, today: date, links: Links) -> CertificateDocument:
    """What a course's next certificate will look like, for a student there is not."""
    return CertificateDocument(
        certificate_id=_SPECIMEN_ID,
        student_name="Alexandra Example",
        course_title=names.course_title,
        instructor_name=names.instructor_name,
        score_percent=100.0,
        completed_on=today,
        issued_on=today,
        verify_url=links.verify(_SPECIMEN_ID),
        look=look,
        specimen=True,
    )


def template(course_id: bytes, row: TemplateRow | None) -> certificates_pb2.CertificateTemplate:
    """A course's look; the platform's own where nobody chose another."""
    look = row.look if row is not None and row.look is not None else Look()
    return certificates_pb2.CertificateTemplate(
        course_id=to_text(course_id),
        accent_color=look.accent_color,
        logo=look.logo,
        signature_name=look.signature_name,
        signature_title=look.signature_title,
        subtitle=look.subtitle,
        etag=str(row.version if row is not None else 0),
        update_time=to_timestamp(row.update_time) if row is not None else None,
    )
