"""What a file from outside is, decided from what stands in it and what our records say."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from core.certificates.inspection import DAMAGED, ENCRYPTED, NO_PDF, TOO_COMPLEX, Findings
from core.certificates.queries import CertificateRow
from skillforge.v1 import certificates_pb2

Result: TypeAlias = certificates_pb2.FileResult.ValueType


class Evidence(NamedTuple):
    """The certificate whose file is equal to this one; that whose file this was before something was added to it; and
    that whose number stands in it."""

    equal: CertificateRow | None
    signed: CertificateRow | None
    named: CertificateRow | None


class Verdict(NamedTuple):
    """The result in a word and a sentence, the certificate it is about, and whether the file proves to be made from it."""

    result: Result
    detail: str
    row: CertificateRow | None
    proven: bool


_FAULTS = {
    NO_PDF: "This is no PDF.",
    DAMAGED: "This PDF is damaged or cut off, so nothing in it can be checked.",
    ENCRYPTED: "This PDF is encrypted. Certificates are not: somebody has changed it.",
    TOO_COMPLEX: "This PDF is too complex to be looked at. Certificates are simple: this is none as it was issued.",
}


def judge(evidence: Evidence, findings: Findings) -> Verdict:
    """What the file is."""
    if evidence.equal is not None:
        return _issued(evidence.equal, any(signature.intact for signature in findings.ours))
    row = evidence.signed or evidence.named
    if findings.fault:
        return Verdict(certificates_pb2.FILE_RESULT_UNREADABLE, _FAULTS[findings.fault], row, proven=False)
    if findings.ours:
        return Verdict(certificates_pb2.FILE_RESULT_CHANGED, _change(evidence, findings), row, proven=True)
    return Verdict(certificates_pb2.FILE_RESULT_NOT_OURS, _stranger(findings), row, proven=False)


def _issued(row: CertificateRow, trusted: bool) -> Verdict:
    if not trusted:
        detail = "This is the file that was issued, but the key it was signed with is trusted no more. Ask for it anew."
        return Verdict(certificates_pb2.FILE_RESULT_KEY_NOT_TRUSTED, detail, row, proven=True)
    if row.status == certificates_pb2.CERTIFICATE_STATUS_VALID:
        detail = "This is the certificate exactly as it was issued, and it is in force."
        return Verdict(certificates_pb2.FILE_RESULT_UNCHANGED, detail, row, proven=True)
    fate = f"was replaced by {row.replaced_by}" if row.replaced_by else "was revoked"
    detail = f"This is the file that was issued, but the certificate {fate}."
    return Verdict(certificates_pb2.FILE_RESULT_REVOKED, detail, row, proven=True)


def _change(evidence: Evidence, findings: Findings) -> str:
    if evidence.signed is None:
        return "This file bears our signature, but what was signed has been altered."
    if findings.signature_count > len(findings.ours):
        return "What we signed is in this file, but another signature was added behind it. Ask for the original file."
    return "What we signed is in this file, but something was added behind it. Ask for the original file."


def _stranger(findings: Findings) -> str:
    if findings.signature_count:
        return "This file is signed, but not by us."
    return "This file bears no signature of ours. A scan, a printout or a converted copy proves nothing: ask for the original."
