"""Certificates as messages of the contract, and as the document that is rendered."""

from __future__ import annotations

from core.certificates.pdf import CertificateDocument
from core.certificates.queries import CertificateRow
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import certificates_pb2


class Links:
    """Where certificates are found from outside."""

    def __init__(self, public_url: str) -> None:
        self._base = public_url.rstrip("/") + "/certificates/"

    def verify(self, certificate_id: str) -> str:
        """The page that says whether the certificate is genuine."""
        return f"{self._base}{certificate_id}/verify"

    def download(self, certificate_id: str) -> str:
        """Where the PDF is."""
        return f"{self._base}{certificate_id}/download"


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
    )


def verification(row: CertificateRow) -> certificates_pb2.VerifyCertificateResponse:
    """A certificate as anybody may see it."""
    return certificates_pb2.VerifyCertificateResponse(
        valid=row.status == certificates_pb2.CERTIFICATE_STATUS_VALID,
        status=row.status,
        snapshot=snapshot(row),
        certificate_id=row.certificate_id,
        issue_time=to_timestamp(row.issue_time),
        revoke_time=to_timestamp(row.revoke_time),
    )


def document(row: CertificateRow, links: Links) -> CertificateDocument:
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
    )
