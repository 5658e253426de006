"""Taking certificates back, and issuing them anew."""

from __future__ import annotations

from core.analytics import rollups
from core.audit.record import changed, record
from core.call import Call
from core.certificates import messages, queries, rules
from core.certificates.downloads import PdfCache
from core.certificates.queries import CertificateRow
from core.db import Database, Transaction
from core.db.errors import RetryScope
from core.errors import FailedPrecondition, missing
from core.outbox import Outbox
from skillforge.v1 import certificates_pb2

ISSUED = "certificate.issued"
REVOKED = "certificate.revoked"
_VALID = certificates_pb2.CERTIFICATE_STATUS_VALID


class CertificateStanding:
    """What the course's instructor and admins decide about a certificate."""

    _db: Database
    _cache: PdfCache
    _outbox: Outbox
    _links: messages.Links

    async def revoke_certificate(
        self, call: Call, request: certificates_pb2.RevokeCertificateRequest
    ) -> certificates_pb2.Certificate:
        """Take a certificate back. A repeat changes nothing, not even the reason.

        Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound, FailedPrecondition (CERTIFICATE_REPLACED).
        """
        row = await self._db.transact(lambda tx: self._revoke(tx, call, request))
        self._cache.forget_readings()
        call.audited = True  # there is nothing to record of one that was revoked before
        return messages.certificate(row, self._links)

    async def reissue_certificate(
        self, call: Call, request: certificates_pb2.ReissueCertificateRequest
    ) -> certificates_pb2.Certificate:
        """Issue a certificate anew in the place of one (201); a repeat answers with the same replacement (200).

        Raises InvalidArgument (CERTIFICATE_ID_MALFORMED), NotFound.
        """
        row, issued = await self._db.transact(lambda tx: self._reissue(tx, call, request.certificate_id))
        self._cache.forget_readings()
        call.audited = True
        if not issued:
            call.answer_with(200)
        return messages.certificate(row, self._links)

    async def _revoke(self, tx: Transaction, call: Call, request: certificates_pb2.RevokeCertificateRequest) -> CertificateRow:
        row = await self._managed(tx, call, request.certificate_id)
        if row.replaced_by is not None:
            raise FailedPrecondition(
                "CERTIFICATE_REPLACED", f"It was replaced by {row.replaced_by} already. Revoke that one, if you mean it."
            )
        if row.status != _VALID:
            return row
        if not await queries.revoke(tx, row.certificate_id, request.reason, request.note.strip(), call.now):
            raise RetryScope("another transaction changed the certificate meanwhile")
        revoked = await _read(tx, row.certificate_id)
        await self._outbox.add(tx, row.student_id, REVOKED, messages.certificate(revoked, self._links))
        await record(tx, call, "certificate", row.certificate_id, *changed(_state(row), _state(revoked)))
        await rollups.certificates_changed(tx, row.course_id, -1, call.now)
        return revoked

    async def _reissue(self, tx: Transaction, call: Call, certificate_id: str) -> tuple[CertificateRow, bool]:
        """The replacement, and whether it is new."""
        old = await self._managed(tx, call, certificate_id)
        if old.replaced_by is not None:
            return await _read(tx, old.replaced_by), False
        new_id = rules.new_certificate_id()
        if not await queries.replace(tx, old, new_id, call.now):
            raise RetryScope("another transaction changed the certificate meanwhile")
        replaced, new = await _read(tx, old.certificate_id), await _read(tx, new_id)
        news = [(topic, messages.certificate(row, self._links)) for topic, row in ((REVOKED, replaced), (ISSUED, new))]
        if old.status != _VALID:
            del news[0]  # that was told when it was revoked
        await self._outbox.add_many(tx, [(old.student_id, topic, message) for topic, message in news])
        await record(tx, call, "certificate", old.certificate_id, *changed(_state(old), _state(replaced)))
        if old.status != _VALID:
            await rollups.certificates_changed(tx, old.course_id, 1, call.now)
        return new, True

    async def _managed(self, tx: Transaction, call: Call, certificate_id: str) -> CertificateRow:
        user, certificate_id = call.user, rules.read_certificate_id(certificate_id)
        row = await queries.managed(tx, certificate_id, user.user_id, is_admin=user.is_admin)
        if row is None:
            raise missing("certificate")
        return row


async def _read(tx: Transaction, certificate_id: str) -> CertificateRow:
    row = await queries.by_id(tx, certificate_id)
    if row is None:
        raise missing("certificate")
    return row


def _state(row: CertificateRow) -> dict[str, object]:
    """What the audit log keeps of a certificate."""
    state: dict[str, object] = {"status": certificates_pb2.CertificateStatus.Name(row.status)}
    if row.status != _VALID:
        state["revokeReason"] = certificates_pb2.RevokeReason.Name(row.revoke_reason)
    if row.replaced_by is not None:
        state["replacedBy"] = row.replaced_by
    return state
