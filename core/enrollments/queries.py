"""All SQL of enrollments and entitlements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction
from core.enrollments.rules import Grant, Pair
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_ENDED = int(enrollments_pb2.ENROLLMENT_STATUS_ENDED)
_PUBLISHED = int(courses_pb2.COURSE_STATUS_PUBLISHED)

# Complete lectures that are still in the outline.
_COMPLETED = """
(SELECT COUNT(*) FROM lecture_progress p JOIN lectures l ON l.id = p.lecture_id
 WHERE p.student_id = e.student_id AND p.course_id = e.course_id AND p.complete_time IS NOT NULL)
"""


class EnrollmentRow(NamedTuple):
    """An enrollment with what its reader wants to know of the course."""

    course_id: bytes
    course_title: str
    student_id: bytes
    status: enrollments_pb2.EnrollmentStatus.ValueType
    lectures_completed: int
    lectures_total: int
    create_time: datetime
    complete_time: datetime | None


class StudentRow(NamedTuple):
    """An enrollment with what an instructor wants to know of the student."""

    student_id: bytes
    display_name: str
    email: str
    status: enrollments_pb2.EnrollmentStatus.ValueType
    lectures_completed: int
    lectures_total: int
    create_time: datetime
    complete_time: datetime | None


# The last row of the page before: its time and the id that tells equal times apart.
After = tuple[datetime, bytes] | None

_SELECT = f"""
SELECT e.course_id, c.title, e.student_id, e.status, {_COMPLETED}, c.lecture_count, e.create_time, e.complete_time
FROM enrollments e JOIN courses c ON c.id = e.course_id
"""
# Where pairs are looked for, the optimizer is told the index: weighing every one for each pair takes it far longer.
_SELECT_PAIRS = _SELECT.replace("enrollments e", "enrollments e FORCE INDEX (PRIMARY)")
_SELECT_STUDENTS = f"""
SELECT e.student_id, u.display_name, u.email, e.status, {_COMPLETED}, c.lecture_count, e.create_time, e.complete_time
FROM enrollments e JOIN users u ON u.id = e.student_id JOIN courses c ON c.id = e.course_id
"""


async def taught_among(db: Reader, people: Collection[bytes]) -> set[tuple[bytes, bytes]]:
    """(instructor, student) of these people where the student is enrolled in a course of the instructor's."""
    sql = """
        SELECT DISTINCT c.instructor_id, e.student_id FROM enrollments e JOIN courses c ON c.id = e.course_id
        WHERE e.student_id IN %s AND e.status = %s AND c.instructor_id IN %s
    """
    asked = tuple(people)
    return {(row[0], row[1]) for row in await db.fetch_all(sql, (asked, _ACTIVE, asked))} if asked else set()


async def is_active(db: Reader, student_id: bytes, course_id: bytes) -> bool:
    """Whether the student has access now."""
    sql = "SELECT 1 FROM enrollments WHERE student_id = %s AND course_id = %s AND status = %s"
    return await db.fetch_one(sql, (student_id, course_id, _ACTIVE)) is not None


async def enrollments(db: Reader, pairs: Sequence[Pair]) -> list[EnrollmentRow]:
    """The enrollments of these pairs that there are."""
    rows = await db.fetch_all(_SELECT_PAIRS + "WHERE (e.student_id, e.course_id) IN %s", (list(pairs),))
    return [EnrollmentRow(*row) for row in rows]


async def list_of_student(db: Reader, student_id: bytes, after: After, limit: int) -> list[EnrollmentRow]:
    """A student's enrollments, newest first."""
    where, params = _keyset("e.course_id", after)
    sql = f"{_SELECT} WHERE e.student_id = %s {where} ORDER BY e.create_time DESC, e.course_id DESC LIMIT %s"
    return [EnrollmentRow(*row) for row in await db.fetch_all(sql, (student_id, *params, limit))]


async def list_of_course(db: Reader, course_id: bytes, after: After, limit: int) -> list[StudentRow]:
    """A course's students, newest first."""
    where, params = _keyset("e.student_id", after)
    sql = f"{_SELECT_STUDENTS} WHERE e.course_id = %s {where} ORDER BY e.create_time DESC, e.student_id DESC LIMIT %s"
    return [StudentRow(*row) for row in await db.fetch_all(sql, (course_id, *params, limit))]


def _keyset(column: str, after: After) -> tuple[str, tuple[object, ...]]:
    if after is None:
        return "", ()
    time, last_id = after
    return f"AND e.create_time <= %s AND (e.create_time < %s OR {column} < %s)", (time, time, last_id)


async def is_student(db: Reader, user_id: bytes) -> bool:
    """Whether the account exists, is active and is a student's."""
    sql = "SELECT 1 FROM users WHERE id = %s AND role = %s AND status = %s"
    params = (user_id, int(identity_pb2.ROLE_STUDENT), int(identity_pb2.USER_STATUS_ACTIVE))
    return await db.fetch_one(sql, params) is not None


# Granting and ending. A course's row is written before its enrollments are inserted: the foreign key would take a
# shared lock on it first, and two who then both want to write it would wait for each other.


async def lock_standing(tx: Transaction, pairs: Sequence[Pair]) -> dict[Pair, bool]:
    """Whether each enrollment of these pairs that exists is active; none of them changes until the end."""
    sql = """
        SELECT student_id, course_id, status FROM enrollments FORCE INDEX (PRIMARY)
        WHERE (student_id, course_id) IN %s ORDER BY student_id, course_id FOR UPDATE
    """
    return {(row[0], row[1]): row[2] == _ACTIVE for row in await tx.fetch_all(sql, (list(pairs),))}


async def hold_enterable(tx: Transaction, course_id: bytes, *, any_price: bool) -> bool:
    """Whether the course is published, and free unless `any_price`; so it stays until the end: its row is written."""
    sql = "UPDATE courses SET enrollment_count = enrollment_count WHERE id = %s AND status = %s AND (price_minor = 0 OR %s)"
    return await tx.execute(sql, (course_id, _PUBLISHED, any_price)) == 1


async def raise_count(tx: Transaction, course_ids: Sequence[bytes], by: int) -> None:
    """Count so many more active enrollments (fewer: negative) in each course."""
    # Reading all courses, where there are few, would wait for every course that another transaction holds.
    sql = "UPDATE courses FORCE INDEX (PRIMARY) SET enrollment_count = GREATEST(0, enrollment_count + %s) WHERE id IN %s"
    await tx.execute(sql, (by, list(course_ids)))


async def hold_names(tx: Transaction, student_ids: Sequence[bytes]) -> dict[bytes, str]:
    """The names of these accounts, which do not change until the end: enrollments hold them too."""
    sql = "SELECT id, display_name FROM users WHERE id IN %s LOCK IN SHARE MODE"
    return {row[0]: row[1] for row in await tx.fetch_all(sql, (list(student_ids),))}


async def insert_active(tx: Transaction, pairs: Sequence[Pair], names: Mapping[bytes, str], now: datetime) -> None:
    """New active enrollments, with the students' names. Raises DuplicateKey when one is there already."""
    sql = "INSERT INTO enrollments (student_id, course_id, status, create_time, student_name) VALUES (%s, %s, %s, %s, %s)"
    await tx.insert_many(sql, [(*pair, _ACTIVE, now, names.get(pair[0], "")) for pair in pairs])


async def new_enrollments(tx: Transaction, pairs: Sequence[Pair], now: datetime) -> list[EnrollmentRow]:
    """`enrollments` of pairs that the transaction has just enrolled for the first time: nothing is complete in them."""
    sql = "SELECT id, title, lecture_count FROM courses FORCE INDEX (PRIMARY) WHERE id IN %s"
    courses = {row[0]: row[1:] for row in await tx.fetch_all(sql, (sorted({course_id for _, course_id in pairs}),))}
    found = []
    for student_id, course_id in pairs:
        title, lecture_count = courses[course_id]
        found.append(
            EnrollmentRow(course_id, title, student_id, enrollments_pb2.ENROLLMENT_STATUS_ACTIVE, 0, lecture_count, now, None)
        )
    return found


async def reopen(tx: Transaction, pairs: Sequence[Pair]) -> int:
    """Make ended enrollments active; how many were ended."""
    sql = "UPDATE enrollments FORCE INDEX (PRIMARY) SET status = %s WHERE (student_id, course_id) IN %s AND status = %s"
    return await tx.execute(sql, (_ACTIVE, list(pairs), _ENDED))


async def put_entitlements(tx: Transaction, grants: Sequence[Grant], now: datetime) -> None:
    """Add reasons for access; one that had ended counts again."""
    sql = """
        INSERT INTO entitlements (student_id, course_id, source_kind, source_id, grant_time) VALUES (%s, %s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE grant_time = IF(end_time IS NULL, grant_time, VALUES(grant_time)), end_time = NULL
    """
    await tx.insert_many(sql, [(*grant, now) for grant in sorted(grants)])


async def end_entitlement(tx: Transaction, grant: Grant, now: datetime) -> bool:
    """End one reason for access; False: it had ended, or never was."""
    sql = """
        UPDATE entitlements SET end_time = %s
        WHERE student_id = %s AND course_id = %s AND source_kind = %s AND source_id = %s AND end_time IS NULL
    """
    return await tx.execute(sql, (now, *grant)) == 1


async def has_entitlement(tx: Transaction, pair: Pair) -> bool:
    """Whether a reason for access remains."""
    sql = "SELECT 1 FROM entitlements WHERE student_id = %s AND course_id = %s AND end_time IS NULL LIMIT 1"
    return await tx.fetch_one(sql, pair) is not None


async def end_enrollment(tx: Transaction, pair: Pair) -> bool:
    """End an active enrollment; False: it is not active."""
    sql = "UPDATE enrollments SET status = %s WHERE student_id = %s AND course_id = %s AND status = %s"
    return await tx.execute(sql, (_ENDED, *pair, _ACTIVE)) == 1
