"""What a file is, by what stands in it and what the records say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.checking import Evidence, judge
from core.certificates.inspection import DAMAGED, ENCRYPTED, NO_PDF, TOO_COMPLEX, Findings, FoundSignature
from core.certificates.queries import CertificateRow
from skillforge.v1 import certificates_pb2 as pb

TIME = datetime(2026, 1, 2)


NOBODY = CertificateRow._make([None] * len(CertificateRow._fields))
VALID = NOBODY._replace(status=pb.CERTIFICATE_STATUS_VALID)
REVOKED = NOBODY._replace(status=pb.CERTIFICATE_STATUS_REVOKED, revoke_time=TIME)
REPLACED = REVOKED._replace(replaced_by="SF-2")
WHOLE, BROKEN = FoundSignature("k", True, "00"), FoundSignature("k", False, "")
NOTHING = Evidence(None, None, None)


@dataclass
class Case:
    evidence: Evidence
    findings: Findings
    result: pb.FileResult.ValueType
    words: str
    proven: bool


CASES = {
    "as issued": Case(Evidence(VALID, VALID, None), Findings("", 1, (WHOLE,)), pb.FILE_RESULT_UNCHANGED, "exactly as", True),
    "revoked": Case(Evidence(REVOKED, REVOKED, None), Findings("", 1, (WHOLE,)), pb.FILE_RESULT_REVOKED, "revoked", True),
    "replaced": Case(Evidence(REPLACED, REPLACED, None), Findings("", 1, (WHOLE,)), pb.FILE_RESULT_REVOKED, "by SF-2", True),
    "a key we dropped": Case(Evidence(VALID, None, None), Findings("", 1), pb.FILE_RESULT_KEY_NOT_TRUSTED, "no more", True),
    "edited": Case(Evidence(None, None, VALID), Findings("", 1, (BROKEN,)), pb.FILE_RESULT_CHANGED, "altered", True),
    "a page more": Case(Evidence(None, VALID, None), Findings("", 1, (WHOLE,)), pb.FILE_RESULT_CHANGED, "something", True),
    "signed twice": Case(Evidence(None, VALID, None), Findings("", 2, (WHOLE,)), pb.FILE_RESULT_CHANGED, "another sig", True),
    "another's": Case(Evidence(None, None, VALID), Findings("", 1), pb.FILE_RESULT_NOT_OURS, "not by us", False),
    "unsigned": Case(NOTHING, Findings(), pb.FILE_RESULT_NOT_OURS, "no signature", False),
    "damaged": Case(Evidence(None, None, VALID), Findings(DAMAGED), pb.FILE_RESULT_UNREADABLE, "damaged", False),
    "encrypted": Case(NOTHING, Findings(ENCRYPTED), pb.FILE_RESULT_UNREADABLE, "encrypted", False),
    "too complex": Case(NOTHING, Findings(TOO_COMPLEX), pb.FILE_RESULT_UNREADABLE, "too complex", False),
    "no PDF": Case(NOTHING, Findings(NO_PDF), pb.FILE_RESULT_UNREADABLE, "no PDF", False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_file_is(name: str) -> None:
    case = CASES[name]
    verdict = judge(case.evidence, case.findings)
    assert (verdict.result, verdict.proven) == (case.result, case.proven)
    assert case.words in verdict.detail
    assert verdict.row is (case.evidence.equal or case.evidence.signed or case.evidence.named)


ROWS = st.sampled_from([None, VALID, REVOKED, REPLACED])
FINDINGS = st.builds(
    Findings, st.sampled_from(["", DAMAGED, ENCRYPTED, TOO_COMPLEX, NO_PDF]), st.integers(0, 3),
    st.lists(st.sampled_from([WHOLE, BROKEN]), max_size=3).map(tuple),
)  # fmt: skip


@given(st.builds(Evidence, ROWS, ROWS, ROWS), FINDINGS)
def test_unchanged_is_only_what_is_equal_signed_and_in_force(evidence: Evidence, findings: Findings) -> None:
    unchanged = judge(evidence, findings).result == pb.FILE_RESULT_UNCHANGED
    assert unchanged == (evidence.equal is VALID and WHOLE in findings.ours)
