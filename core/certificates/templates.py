"""What a course's certificates look like: authors choose, and each certificate keeps the look it was issued with."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from contract.errors import Violation
from contract.metadata import CONTENT_DISPOSITION
from core.audit.record import State, changed, record, summary
from core.call import Call
from core.certificates import messages, queries
from core.certificates.fitting import clean
from core.certificates.images import LogoRefused
from core.certificates.pdf import DEFAULT_ACCENT, CertificateDocument, Look
from core.certificates.queries import TemplateRow
from core.courses import access
from core.courses.rows import CourseHead
from core.db import Database, Transaction
from core.errors import InvalidArgument, missing
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import certificates_pb2
from skillforge.v1.certificates_pb2 import CertificateTemplate

# How long a look stays after another took its place: longer than any transaction takes that issues a certificate with it.
KEPT = timedelta(minutes=5)


class Press(Protocol):
    """Makes PDFs, and logos fit for them, away from the event loop."""

    async def render(self, document: CertificateDocument) -> bytes:
        """The PDF, signed unless it is a specimen. Raises Unavailable when it cannot be made now."""

    async def tidy_logo(self, data: bytes) -> bytes:
        """The logo as it is kept. Raises LogoRefused, and Unavailable when it cannot be looked at now."""


class CertificateTemplates:
    """The look of a course's certificates."""

    _db: Database
    _renderer: Press
    _links: messages.Links

    async def get_certificate_template(
        self, call: Call, request: certificates_pb2.GetCertificateTemplateRequest
    ) -> CertificateTemplate:
        """What certificates look like that are issued from now on."""
        course_id = to_bytes(request.course_id)
        await access.require_owner(self._db, call, course_id)
        return messages.template(course_id, await queries.template(self._db, course_id))

    async def put_certificate_template(
        self, call: Call, request: certificates_pb2.PutCertificateTemplateRequest
    ) -> CertificateTemplate:
        """Choose the look. Raises InvalidArgument (LOGO_INVALID, saying why), NotFound, Conflict (ETAG_MISMATCH)."""
        course_id = to_bytes(request.course_id)
        await access.require_owner(self._db, call, course_id)
        look = await self._look(request)

        async def work(tx: Transaction) -> CertificateTemplate:
            before = await _locked(tx, call, course_id)
            if before is None or before.look != look:
                row = TemplateRow(new_id(), look, (before.version if before else 0) + 1, call.now)
                await _replace(tx, course_id, before, row)
            else:
                row = before
            old, new = changed(_state(before), _state(row))
            await record(tx, call, "course", to_text(course_id), before=old, after=new)
            return messages.template(course_id, row)

        return await self._db.transact(work)

    async def delete_certificate_template(self, call: Call, request: certificates_pb2.DeleteCertificateTemplateRequest) -> Empty:
        """Go back to the platform's look; it may be that already. Raises NotFound, Conflict (ETAG_MISMATCH)."""
        course_id = to_bytes(request.course_id)

        async def work(tx: Transaction) -> Empty:
            before = await _locked(tx, call, course_id)
            if before is None or before.look is None:
                call.audited = True  # there is nothing to record
                return Empty()
            await _replace(tx, course_id, before, TemplateRow(None, None, before.version + 1, call.now))
            await record(tx, call, "course", to_text(course_id), before=_state(before))
            return Empty()

        return await self._db.transact(work)

    async def preview_certificate(self, call: Call, request: certificates_pb2.PreviewCertificateRequest) -> HttpBody:
        """A specimen of the course's next certificate. Raises NotFound, Unavailable."""
        course_id = to_bytes(request.course_id)
        await access.require_owner(self._db, call, course_id)
        row = await queries.template(self._db, course_id)
        names = await queries.course_names(self._db, course_id)
        if names is None:
            raise missing("course")
        look = row.look if row is not None and row.look is not None else Look()
        pdf = await self._renderer.render(messages.specimen(names, look, call.now.date(), self._links))
        call.reply_metadata[CONTENT_DISPOSITION] = 'inline; filename="certificate-specimen.pdf"'
        return HttpBody(content_type="application/pdf", data=pdf)

    async def _look(self, request: certificates_pb2.PutCertificateTemplateRequest) -> Look:
        try:
            logo = await self._renderer.tidy_logo(request.logo) if request.logo else b""
        except LogoRefused as error:
            said = Violation("logo", "logo", str(error))
            raise InvalidArgument("LOGO_INVALID", "The logo cannot be used.", violations=[said]) from None
        return Look(
            (request.accent_color or DEFAULT_ACCENT).lower(),
            logo,
            clean(request.signature_name),
            clean(request.signature_title),
            clean(request.subtitle),
        )


async def _locked(tx: Transaction, call: Call, course_id: bytes) -> TemplateRow | None:
    """The present look, which nobody else changes until the end of the transaction."""
    head: CourseHead = await access.lock_owned(tx, call, course_id)
    row = await queries.template(tx, head.course_id)
    access.check_etag(call, "certificate template", row.version if row else 0)
    return row


async def _replace(tx: Transaction, course_id: bytes, before: TemplateRow | None, row: TemplateRow) -> None:
    """Put a look in the place of another. The other is not dropped yet: a certificate may just be issued with it."""
    await queries.put_template(tx, course_id, row)
    if before is not None and before.template_id is not None:
        await queries.end_template(tx, before.template_id, row.update_time)
    await queries.drop_templates(tx, course_id, row.update_time - KEPT)


def _state(row: TemplateRow | None) -> State:
    """What the audit log keeps of a look."""
    if row is None or row.look is None:
        return {}
    look = row.look
    return {
        "accentColor": look.accent_color,
        "logo": summary(look.logo),
        "signatureName": look.signature_name,
        "signatureTitle": look.signature_title,
        "subtitle": look.subtitle,
    }
