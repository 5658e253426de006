"""All SQL of certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import NamedTuple

from core.certificates.pdf import Look
from core.db import Reader, Transaction
from core.families.access import LINKS
from skillforge.v1 import certificates_pb2

_VALID = int(certificates_pb2.CERTIFICATE_STATUS_VALID)
_REVOKED = int(certificates_pb2.CERTIFICATE_STATUS_REVOKED)
_SUPERSEDED = int(certificates_pb2.REVOKE_REASON_SUPERSEDED)


class CertificateRow(NamedTuple):
    """A certificate: its snapshot and its standing."""

    certificate_id: str
    student_id: bytes
    course_id: bytes
    student_name: str
    course_title: str
    instructor_name: str
    score_percent: float
    complete_time: datetime
    status: certificates_pb2.CertificateStatus.ValueType
    issue_time: datetime
    revoke_time: datetime | None
    revoke_reason: certificates_pb2.RevokeReason.ValueType
    revoke_note: str
    replaced_by: str | None


class Reading(NamedTuple):
    """A certificate, the look it was issued with, and when its PDF was made, if it was already."""

    row: CertificateRow
    template_id: bytes | None
    file_time: datetime | None


class CourseNames(NamedTuple):
    """What certificates say of a course."""

    course_title: str
    instructor_name: str


class TemplateRow(NamedTuple):
    """The look of a course's next certificates; without one when it was given up. `version` counts the changes."""

    template_id: bytes | None
    look: Look | None
    version: int
    update_time: datetime


# The last row of the page before.
After = tuple[datetime, str] | None

_COLUMNS = """
c.id, c.student_id, c.course_id, c.student_name, c.course_title, c.instructor_name, c.score_percent, c.complete_time,
c.status, c.issue_time, c.revoke_time, c.revoke_reason, c.revoke_note, c.replaced_by
"""
_LOOK = "v.accent_color, v.logo, v.signature_name, v.signature_title, v.subtitle"
_SELECT = f"SELECT {_COLUMNS} FROM certificates c"
_OF_CHILD = f"EXISTS (SELECT 1 FROM {LINKS} WHERE f.parent_id = %s AND f.child_id = c.student_id)"
# The names are taken as they are now, in the transaction that issues, and stay.
_INSERT = """
INSERT INTO certificates (id, student_id, course_id, instructor_id, student_name, course_title, instructor_name,
  score_percent, complete_time, status, issue_time, template_id)
SELECT %s, s.id, c.id, i.id, s.display_name, c.title, i.display_name, %s, %s, %s, %s, t.template_id
FROM users s JOIN courses c JOIN users i ON i.id = c.instructor_id LEFT JOIN certificate_templates t ON t.course_id = c.id
WHERE s.id = %s AND c.id = %s
"""
# Another certificate of the same achievement, with the name the student and the look the course has now.
_COPY = """
INSERT INTO certificates (id, student_id, course_id, instructor_id, student_name, course_title, instructor_name,
  score_percent, complete_time, status, issue_time, template_id)
SELECT %s, c.student_id, c.course_id, c.instructor_id, s.display_name, c.course_title, c.instructor_name,
  c.score_percent, c.complete_time, %s, %s, t.template_id
FROM certificates c JOIN users s ON s.id = c.student_id LEFT JOIN certificate_templates t ON t.course_id = c.course_id
WHERE c.id = %s
"""


async def insert(
    tx: Transaction,
    certificate_id: str,
    student_id: bytes,
    course_id: bytes,
    score_percent: float,
    complete_time: datetime,
    now: datetime,
) -> None:
    """Issue a certificate. Raises DuplicateKey when the student has a current one for the course."""
    await tx.execute(_INSERT, (certificate_id, score_percent, complete_time, _VALID, now, student_id, course_id))


async def by_id(db: Reader, certificate_id: str) -> CertificateRow | None:
    """One certificate, whoever asks."""
    row = await db.fetch_one(f"{_SELECT} WHERE c.id = %s", (certificate_id,))
    return CertificateRow(*row) if row else None


async def of_course(db: Reader, student_id: bytes, course_id: bytes) -> CertificateRow | None:
    """The student's current certificate for the course, in force or revoked."""
    sql = f"{_SELECT} WHERE c.student_id = %s AND c.course_id = %s AND c.current_slot = 1"
    row = await db.fetch_one(sql, (student_id, course_id))
    return CertificateRow(*row) if row else None


async def of_student(
    db: Reader, student_id: bytes, after: After, limit: int, *, parent_id: bytes | None = None
) -> list[CertificateRow]:
    """A student's certificates, newest first; with `parent_id`, only while that parent is linked to the student."""
    where, params = "", ()  # type: tuple[str, tuple[object, ...]]
    if after is not None:
        where = "AND c.issue_time <= %s AND (c.issue_time < %s OR c.id < %s)"
        params = (after[0], *after)
    if parent_id is not None:
        where, params = f"{where} AND {_OF_CHILD}", (*params, parent_id)
    sql = f"{_SELECT} WHERE c.student_id = %s {where} ORDER BY c.issue_time DESC, c.id DESC LIMIT %s"
    return [CertificateRow(*row) for row in await db.fetch_all(sql, (student_id, *params, limit))]


async def readable(db: Reader, certificate_id: str, reader_id: bytes, *, is_admin: bool, parent_id: bytes) -> Reading | None:
    """The certificate, if it is the reader's own, a child's of the parent, of the reader's course, or an admin asks."""
    sql = f"""
        SELECT {_COLUMNS}, c.template_id, file.create_time
        FROM certificates c LEFT JOIN certificate_files file ON file.certificate_id = c.id
        WHERE c.id = %s AND (%s OR c.student_id = %s OR c.instructor_id = %s OR {_OF_CHILD})
    """
    row = await db.fetch_one(sql, (certificate_id, is_admin, reader_id, reader_id, parent_id))
    return Reading(CertificateRow(*row[:-2]), *row[-2:]) if row else None


async def keep_file(tx: Transaction, row: CertificateRow, pdf: bytes, key_id: str, now: datetime) -> bool:
    """Keep the certificate's PDF, and for ever its digest and the key that signed it. False: the certificate is no more what
    it was when the PDF was made. Raises DuplicateKey when there is a PDF."""
    sql = """
        INSERT INTO certificate_files (certificate_id, pdf, create_time)
        SELECT id, %s, %s FROM certificates WHERE id = %s AND student_name = %s AND status = %s
    """
    if not await tx.execute(sql, (pdf, now, row.certificate_id, row.student_name, _VALID)):
        return False
    digest = hashlib.sha256(pdf).digest()
    sql = "INSERT INTO certificate_digests (digest, certificate_id, key_id, create_time) VALUES (%s, %s, %s, %s)"
    await tx.execute(sql, (digest, row.certificate_id, key_id, now))
    return True


async def file(db: Reader, certificate_id: str) -> tuple[bytes, datetime] | None:
    """The certificate's PDF and when it was made, if it was."""
    row = await db.fetch_one("SELECT pdf, create_time FROM certificate_files WHERE certificate_id = %s", (certificate_id,))
    return (row[0], row[1]) if row else None


async def look(db: Reader, template_id: bytes) -> Look:
    """A look that certificates were issued with."""
    row = await db.fetch_one(f"SELECT {_LOOK} FROM certificate_template_versions v WHERE v.id = %s", (template_id,))
    return Look(*row) if row else Look()


async def template(db: Reader, course_id: bytes) -> TemplateRow | None:
    """The look of the course's next certificates; None when nobody ever chose one."""
    sql = f"""
        SELECT t.template_id, t.version, t.update_time, {_LOOK} FROM certificate_templates t
        LEFT JOIN certificate_template_versions v ON v.id = t.template_id WHERE t.course_id = %s
    """
    row = await db.fetch_one(sql, (course_id,))
    if row is None:
        return None
    return TemplateRow(row[0], None if row[0] is None else Look(*row[3:]), row[1], row[2])


async def put_template(tx: Transaction, course_id: bytes, row: TemplateRow) -> None:
    """Put a look, or none, in the place of the course's present one."""
    if row.template_id is not None and row.look is not None:
        sql = """
            INSERT INTO certificate_template_versions
              (id, course_id, accent_color, logo, signature_name, signature_title, subtitle, create_time)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        """
        await tx.execute(sql, (row.template_id, course_id, *astuple(row.look), row.update_time))
    sql = """
        INSERT INTO certificate_templates (course_id, template_id, version, update_time) VALUES (%s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE template_id = VALUES(template_id), version = VALUES(version), update_time = VALUES(update_time)
    """
    await tx.execute(sql, (course_id, row.template_id, row.version, row.update_time))


async def end_template(tx: Transaction, template_id: bytes, now: datetime) -> None:
    """Note that another look took this one's place."""
    await tx.execute("UPDATE certificate_template_versions SET end_time = %s WHERE id = %s", (now, template_id))


async def drop_templates(tx: Transaction, course_id: bytes, ended_before: datetime) -> None:
    """Forget the course's looks whose place was taken before a time, but for those a certificate was issued with."""
    sql = """
        DELETE FROM certificate_template_versions WHERE course_id = %s AND end_time < %s
          AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.template_id = certificate_template_versions.id)
    """
    await tx.execute(sql, (course_id, ended_before))


async def course_names(db: Reader, course_id: bytes) -> CourseNames | None:
    """What a certificate issued now would say of the course."""
    sql = "SELECT c.title, i.display_name FROM courses c JOIN users i ON i.id = c.instructor_id WHERE c.id = %s"
    row = await db.fetch_one(sql, (course_id,))
    return CourseNames(*row) if row else None


async def last_key_id(db: Reader, certificate_id: str) -> str:
    """The key that signed the certificate's newest file; empty when none was made."""
    sql = "SELECT key_id FROM certificate_digests WHERE certificate_id = %s ORDER BY create_time DESC LIMIT 1"
    row = await db.fetch_one(sql, (certificate_id,))
    return str(row[0]) if row else ""


async def by_digests(db: Reader, digests: Collection[bytes]) -> dict[bytes, CertificateRow]:
    """The certificates whose files have these SHA-256."""
    sql = f"""
        SELECT d.digest, {_COLUMNS} FROM certificate_digests d JOIN certificates c ON c.id = d.certificate_id
        WHERE d.digest IN %s
    """
    return {row[0]: CertificateRow(*row[1:]) for row in await db.fetch_all(sql, (list(digests),))}


async def first_known(db: Reader, certificate_ids: Sequence[str]) -> CertificateRow | None:
    """The first of these certificates that there is."""
    rows = await db.fetch_all(f"{_SELECT} WHERE c.id IN %s", (list(certificate_ids),))
    found = {row.certificate_id: row for row in (CertificateRow(*item) for item in rows)}
    return next((found[item] for item in certificate_ids if item in found), None)


async def managed(db: Reader, certificate_id: str, manager_id: bytes, *, is_admin: bool) -> CertificateRow | None:
    """The certificate, if it is of the manager's course, or an admin asks."""
    sql = f"{_SELECT} WHERE c.id = %s AND (%s OR c.instructor_id = %s)"
    row = await db.fetch_one(sql, (certificate_id, is_admin, manager_id))
    return CertificateRow(*row) if row else None


async def revoke(
    tx: Transaction, certificate_id: str, reason: certificates_pb2.RevokeReason.ValueType, note: str, now: datetime
) -> bool:
    """Take a certificate back that is in force and current. False: it is not, any more."""
    sql = """
        UPDATE certificates SET status = %s, revoke_reason = %s, revoke_note = %s, revoke_time = %s
        WHERE id = %s AND status = %s AND current_slot = 1
    """
    return bool(await tx.execute(sql, (_REVOKED, int(reason), note, now, certificate_id, _VALID)))


async def replace(tx: Transaction, old: CertificateRow, new_id: str, now: datetime) -> bool:
    """Put a new certificate, with the student's present name and else the same facts, in the place of one; that is revoked
    if it was not. False: the old one is no more as it was read."""
    reason = old.revoke_reason if old.revoke_time is not None else _SUPERSEDED
    update = """
        UPDATE certificates SET current_slot = NULL, status = %s, revoke_reason = %s, revoke_time = %s, replaced_by = %s
        WHERE id = %s AND status = %s AND current_slot = 1
    """
    values = (_REVOKED, int(reason), old.revoke_time or now, new_id, old.certificate_id, int(old.status))
    if not await tx.execute(update, values):
        return False
    await tx.execute(_COPY, (new_id, _VALID, now, old.certificate_id))
    return True
