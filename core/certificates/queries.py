"""All SQL of certificates."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Database, Reader, Transaction
from core.families.access import LINKS
from skillforge.v1 import certificates_pb2

_VALID = int(certificates_pb2.CERTIFICATE_STATUS_VALID)


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


class Reading(NamedTuple):
    """A certificate with its PDF, if that was made already."""

    row: CertificateRow
    pdf: bytes | None


# The last row of the page before.
After = tuple[datetime, str] | None

_COLUMNS = """
c.id, c.student_id, c.course_id, c.student_name, c.course_title, c.instructor_name, c.score_percent, c.complete_time,
c.status, c.issue_time, c.revoke_time
"""
_SELECT = f"SELECT {_COLUMNS} FROM certificates c"
_OF_CHILD = f"EXISTS (SELECT 1 FROM {LINKS} WHERE f.parent_id = %s AND f.child_id = c.student_id)"
# The names are taken as they are now, in the transaction that issues, and stay.
_INSERT = """
INSERT INTO certificates (id, student_id, course_id, instructor_id, student_name, course_title, instructor_name,
  score_percent, complete_time, status, issue_time)
SELECT %s, s.id, c.id, i.id, s.display_name, c.title, i.display_name, %s, %s, %s, %s
FROM users s JOIN courses c JOIN users i ON i.id = c.instructor_id
WHERE s.id = %s AND c.id = %s
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
    """Issue a certificate. Raises DuplicateKey when the student has one for the course."""
    await tx.execute(_INSERT, (certificate_id, score_percent, complete_time, _VALID, now, student_id, course_id))


async def by_id(db: Reader, certificate_id: str) -> CertificateRow | None:
    """One certificate, whoever asks."""
    row = await db.fetch_one(f"{_SELECT} WHERE c.id = %s", (certificate_id,))
    return CertificateRow(*row) if row else None


async def of_course(db: Reader, student_id: bytes, course_id: bytes) -> CertificateRow | None:
    """The student's certificate for the course."""
    row = await db.fetch_one(f"{_SELECT} WHERE c.student_id = %s AND c.course_id = %s", (student_id, course_id))
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
    """The certificate and its file, if it is the reader's own, a child's of the parent, of the reader's course, or an
    admin asks."""
    sql = f"""
        SELECT {_COLUMNS}, file.pdf FROM certificates c LEFT JOIN certificate_files file ON file.certificate_id = c.id
        WHERE c.id = %s AND (%s OR c.student_id = %s OR c.instructor_id = %s OR {_OF_CHILD})
    """
    row = await db.fetch_one(sql, (certificate_id, is_admin, reader_id, reader_id, parent_id))
    return Reading(CertificateRow(*row[:-1]), row[-1]) if row else None


async def keep_file(db: Database, certificate_id: str, pdf: bytes, now: datetime) -> None:
    """Keep the certificate's PDF. Raises DuplicateKey when there is one."""
    sql = "INSERT INTO certificate_files (certificate_id, pdf, create_time) VALUES (%s, %s, %s)"
    await db.execute(sql, (certificate_id, pdf, now))


async def file(db: Reader, certificate_id: str) -> bytes | None:
    """The certificate's PDF, if it was made."""
    row = await db.fetch_one("SELECT pdf FROM certificate_files WHERE certificate_id = %s", (certificate_id,))
    return row[0] if row else None
