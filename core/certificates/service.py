"""Issuing certificates, and showing them to their owners and to the world."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.analytics import rollups
from core.analytics.rules import Kind, Tally
from core.audit.record import record
from core.call import Call
from core.certificates import messages, queries, rules
from core.certificates.badges import CertificateBadges
from core.certificates.downloads import CertificateDownloads, PdfCache
from core.certificates.inspector import Inspector
from core.certificates.keys import SigningKeys
from core.certificates.standing import ISSUED, CertificateStanding
from core.certificates.templates import CertificateTemplates, Press
from core.certificates.verification import CertificateVerification
from core.courses.catalog import CourseCatalog
from core.db import Database, DuplicateKey, Transaction
from core.enrollments.access import not_enrolled
from core.errors import FailedPrecondition, NotFound, missing
from core.families.followers import parents_of
from core.ids import to_bytes, to_text
from core.outbox import Outbox
from core.pages import Page, Pages
from core.progress.service import ProgressService
from skillforge.v1 import certificates_pb2, courses_pb2


class CertificatesService(
    CertificateDownloads, CertificateVerification, CertificateBadges, CertificateStanding, CertificateTemplates
):
    """Implements skillforge.v1.CertificatesService. `public_url`: where the platform is found from outside."""

    def __init__(
        self,
        db: Database,
        catalog: CourseCatalog,
        progress: ProgressService,
        outbox: Outbox,
        pages: Pages,
        renderer: Press,
        inspector: Inspector,
        keys: SigningKeys,
        public_url: str,
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._progress = progress
        self._outbox = outbox
        self._pages = pages
        self._renderer = renderer
        self._cache = PdfCache()
        self._making = {}
        self._inspector = inspector
        self._keys = keys
        self._links = messages.Links(public_url)

    # The RPCs.

    async def generate_certificate(
        self, call: Call, request: certificates_pb2.GenerateCertificateRequest
    ) -> certificates_pb2.Certificate:
        """The caller's certificate; issued now if the course is complete and it was not issued by itself (201, else 200).

        Raises FailedPrecondition (COURSE_NOT_COMPLETED, with everything that is missing; CERTIFICATE_REVOKED), NotAllowed,
        NotFound.
        """
        student_id, course_id = call.user.user_id, to_bytes(request.course_id)
        found = await queries.of_course(self._db, student_id, course_id)
        if found is not None:
            row, issued = found, False
        else:
            row, issued = await self._db.transact(lambda tx: self._generate(tx, call, course_id))
        call.audited = True  # there is nothing to record of a certificate that was there
        if row.status != certificates_pb2.CERTIFICATE_STATUS_VALID:
            raise FailedPrecondition(
                "CERTIFICATE_REVOKED", "Your certificate of this course was revoked. Its instructor can issue it again."
            )
        if not issued:
            call.answer_with(200)
        return messages.certificate(row, self._links)

    async def list_certificates(
        self, call: Call, request: certificates_pb2.ListCertificatesRequest
    ) -> certificates_pb2.ListCertificatesResponse:
        """The caller's certificates, newest first."""
        page = self._pages.open(call, request)
        rows = await queries.of_student(self._db, call.user.user_id, _after(page), page.size + 1)
        certificates, token = self._close(page, rows)
        return certificates_pb2.ListCertificatesResponse(certificates=certificates, next_page_token=token)

    # What other features do with certificates.

    async def of_child(self, parent_id: bytes, child_id: bytes, page: Page) -> tuple[list[certificates_pb2.Certificate], str]:
        """A page of a child's certificates, newest first, and the next one's token; nothing unless linked."""
        rows = await queries.of_student(self._db, child_id, _after(page), page.size + 1, parent_id=parent_id)
        return self._close(page, rows)

    async def issue(
        self,
        tx: Transaction,
        student_id: bytes,
        course_id: bytes,
        score_percent: float,
        complete_time: datetime,
        now: datetime,
        tally: Tally,
    ) -> str:
        """The id of the student's certificate for the course, which is issued now unless it was before. The caller writes
        the tally."""
        row, issued = await self._issue(tx, student_id, course_id, score_percent, complete_time, now)
        if issued:
            tally.add(course_id, Kind.CERTIFICATES)
        return row.certificate_id

    def _close(self, page: Page, rows: Sequence[queries.CertificateRow]) -> tuple[list[certificates_pb2.Certificate], str]:
        kept, token = page.close(rows, lambda row: (row.issue_time.isoformat(), row.certificate_id))
        return [messages.certificate(row, self._links) for row in kept], token

    async def _issue(
        self,
        tx: Transaction,
        student_id: bytes,
        course_id: bytes,
        score_percent: float,
        complete_time: datetime,
        now: datetime,
    ) -> tuple[queries.CertificateRow, bool]:
        """The certificate, and whether it is new."""
        issued = True
        try:
            await queries.insert(tx, rules.new_certificate_id(), student_id, course_id, score_percent, complete_time, now)
        except DuplicateKey:
            issued = False
        row = await queries.of_course(tx, student_id, course_id)
        if row is None:
            raise missing("course")
        if issued:
            message = messages.certificate(row, self._links)
            parents = (await parents_of(tx, [student_id])).get(student_id, [])
            await self._outbox.add_many(tx, [(user_id, ISSUED, message) for user_id in (student_id, *parents)])
        return row, issued

    async def _generate(self, tx: Transaction, call: Call, course_id: bytes) -> tuple[queries.CertificateRow, bool]:
        student_id, now = call.user.user_id, call.now
        try:
            completed = await self._progress.complete_if_done(tx, student_id, course_id, now)
        except NotFound:
            raise await self._not_enrolled(tx, course_id) from None
        completion = await self._progress.completion(tx, student_id, course_id)
        if completion is None:
            raise FailedPrecondition(
                "COURSE_NOT_COMPLETED",
                "The course is not complete yet.",
                violations=await self._progress.missing_for_completion(tx, student_id, course_id),
            )
        row, issued = await self._issue(tx, student_id, course_id, *completion, now)
        if issued:
            await rollups.certificates_changed(tx, course_id, 1, now)
        if issued or completed:
            after = {"courseId": to_text(course_id), "studentId": to_text(student_id)}
            await record(tx, call, "certificate", row.certificate_id, after=after)
        return row, issued or completed

    async def _not_enrolled(self, tx: Transaction, course_id: bytes) -> Exception:
        outline = await self._catalog.outline(course_id, tx)
        visible = outline is not None and outline.status == courses_pb2.COURSE_STATUS_PUBLISHED
        return not_enrolled() if visible else missing("course")


def _after(page: Page) -> queries.After:
    if page.after is None:
        return None
    time, last_id = page.after
    return datetime.fromisoformat(str(time)), str(last_id)
