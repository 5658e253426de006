"""All SQL of enrollments and entitlements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Reader, Transaction
from core.enrollments.rules import Grant, Pair, Sight
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
    # The index has the enrollments by status.
    part = f"""
        SELECT e.student_id, e.course_id FROM enrollments e FORCE INDEX (enrollments_by_entry)
        WHERE e.course_id = %s AND e.status = %s {where} ORDER BY e.create_time DESC, e.student_id DESC LIMIT %s
    """
    sql = f"""
        {_SELECT_STUDENTS} JOIN (({part}) UNION ALL ({part})) page
          ON page.student_id = e.student_id AND page.course_id = e.course_id
        ORDER BY e.create_time DESC, e.student_id DESC LIMIT %s
    """
    parts = [value for status in (_ACTIVE, _ENDED) for value in (course_id, status, *params, limit)]
    return [StudentRow(*row) for row in await db.fetch_all(sql, (*parts, limit))]


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


# Granting and ending. Writes are posted; where another transaction was before this one, all of it runs again. A course's row is
# the last that is written, for whoever else grants access to the course waits for it until the end.


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


async def sight(tx: Transaction, pair: Pair) -> Sight | None:
    """What is seen of a student and a course, which are not locked; None: one of them is not there."""
    sql = """
        SELECT e.status = %s, u.display_name, c.title, c.lecture_count FROM users u STRAIGHT_JOIN courses c
        LEFT JOIN enrollments e ON e.student_id = u.id AND e.course_id = c.id WHERE u.id = %s AND c.id = %s
    """
    row = await tx.fetch_one(sql, (_ACTIVE, *pair))
    return Sight(*row) if row else None


def raise_counts(tx: Transaction, rises: Mapping[int, Sequence[bytes]]) -> None:
    """Count so many more active enrollments (fewer: negative) in each course: all in one statement, which takes the rows in the
    order of their ids."""
    course_ids = [course_id for group in rises.values() for course_id in group]
    if course_ids:
        cases = [value for rise, group in rises.items() for value in (list(group), rise)]
        # Reading all courses, where there are few, would wait for every course that another transaction holds.
        sql = f"""
            UPDATE courses FORCE INDEX (PRIMARY)
            SET enrollment_count = GREATEST(0, enrollment_count + CASE {"WHEN id IN %s THEN %s " * len(rises)}END)
            WHERE id IN %s
        """
        tx.post(sql, (*cases, sorted(course_ids)))


def insert_active(tx: Transaction, sights: Mapping[Pair, Sight], now: datetime) -> None:
    """New active enrollments, with the students' names, which a foreign key compares with those of now."""
    sql = "INSERT INTO enrollments (student_id, course_id, status, create_time, student_name) VALUES (%s, %s, %s, %s, %s)"
    tx.post_many(sql, [(*pair, _ACTIVE, now, sight.student_name) for pair, sight in sights.items()])


def new_enrollment(pair: Pair, sight: Sight, now: datetime) -> EnrollmentRow:
    """The row of a pair that is being enrolled for the first time: nothing is complete in it."""
    status = enrollments_pb2.ENROLLMENT_STATUS_ACTIVE
    return EnrollmentRow(pair[1], sight.course_title, pair[0], status, 0, sight.lecture_count, now, None)


def reopen(tx: Transaction, pairs: Sequence[Pair]) -> None:
    """Make ended enrollments active."""
    sql = "UPDATE enrollments FORCE INDEX (PRIMARY) SET status = %s WHERE (student_id, course_id) IN %s AND status = %s"
    tx.post(sql, (_ACTIVE, list(pairs), _ENDED), rows=len(pairs))


def put_entitlements(tx: Transaction, grants: Sequence[Grant], now: datetime) -> None:
    """Add reasons for access; one that had ended counts again."""
    sql = """
        INSERT INTO entitlements (student_id, course_id, source_kind, source_id, grant_time) VALUES (%s, %s, %s, %s, %s)
        ON DUPLICATE KEY UPDATE grant_time = IF(end_time IS NULL, grant_time, VALUES(grant_time)), end_time = NULL
    """
    tx.post_many(sql, [(*grant, now) for grant in sorted(grants)])


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
