"""What generated courses count for, grouped by the server along its indexes. All enrollments of these courses are
generated, so active, and their students completed the first lectures of the outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from core.db import Database, Reader
from core.generate.plan import Plan
from core.generate.queries import Span
from core.payments.rules import EntryKind
from skillforge.v1 import enrollments_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_DAY = "DATEDIFF({}, '1970-01-01')"


class Fact(NamedTuple):
    """So many (`total`) in a course are alike in `value`."""

    course_id: bytes
    value: float
    total: int


class Money(NamedTuple):
    """What came in for a course in a currency on a day."""

    course_id: bytes
    currency: str
    day: int
    paid_minor: int


def _ends(plan: Plan, span: Span) -> tuple[bytes, bytes]:
    return plan.id_of("course", span.first), plan.id_of("course", span.end - 1)


async def count_enrollments(db: Database, plan: Plan, span: Span) -> None:
    """Set the number of active enrollments that courses show."""
    sql = """
        UPDATE courses SET enrollment_count =
          (SELECT COUNT(*) FROM enrollments e WHERE e.course_id = courses.id AND e.status = %s)
        WHERE id BETWEEN %s AND %s
    """
    await db.execute(sql, (_ACTIVE, *_ends(plan, span)))


async def counted(db: Reader, plan: Plan, span: Span) -> set[bytes]:
    """The courses that are counted already: by an earlier run, or because somebody works in them."""
    sql = "SELECT DISTINCT course_id FROM course_counts WHERE course_id BETWEEN %s AND %s"
    return {row[0] for row in await db.fetch_all(sql, _ends(plan, span))}


async def _facts(db: Reader, value: str, courses: Sequence[bytes], condition: str = "TRUE") -> list[Fact]:
    sql = f"""
        SELECT course_id, {value} AS value, COUNT(*) FROM enrollments
        WHERE course_id IN %s AND status = %s AND {condition} GROUP BY course_id, value
    """
    return [Fact(*row) for row in await db.fetch_all(sql, (courses, _ACTIVE))]


async def entries(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Enrollments by the day they began."""
    return await _facts(db, _DAY.format("create_time"), courses)


async def completions(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Completed courses by day."""
    return await _facts(db, _DAY.format("complete_time"), courses, "complete_time IS NOT NULL")


async def scores(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Enrollments with results by their score."""
    return await _facts(db, "score", courses, "score >= 0")


async def last_days(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Enrollments by the day of their last activity."""
    return await _facts(db, "activity_day", courses, "activity_day > 0")


async def depths(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Enrollments by how many lectures are complete."""
    return await _facts(db, "lectures_completed", courses)


async def lecture_days(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Completed lectures by day."""
    sql = f"""
        SELECT e.course_id, {_DAY.format("p.complete_time")} AS day, COUNT(*)
        FROM enrollments e STRAIGHT_JOIN lecture_progress p ON p.student_id = e.student_id AND p.course_id = e.course_id
        WHERE e.course_id IN %s AND p.complete_time IS NOT NULL GROUP BY e.course_id, day
    """
    return [Fact(*row) for row in await db.fetch_all(sql, (courses,))]


async def exams(db: Reader, courses: Sequence[bytes]) -> list[Fact]:
    """Submitted exams by how many answers are right."""
    sql = """
        SELECT course_id, points_earned AS points, COUNT(*) FROM attempts
        WHERE course_id IN %s AND results <> '' GROUP BY course_id, points
    """
    return [Fact(*row) for row in await db.fetch_all(sql, (courses,))]


async def active_days(db: Reader, courses: Sequence[bytes], days: Sequence[int]) -> list[Fact]:
    """Active students by day, of these days."""
    sql = "SELECT course_id, day, COUNT(*) FROM activity_days WHERE day IN %s AND course_id IN %s GROUP BY course_id, day"
    return [Fact(*row) for row in await db.fetch_all(sql, (days, courses))]


async def money(db: Reader, courses: Sequence[bytes]) -> list[Money]:
    """What came in, by course, currency and day."""
    sql = f"""
        SELECT course_id, currency, {_DAY.format("entry_time")} AS day, CAST(SUM(amount_minor) AS SIGNED)
        FROM payment_ledger WHERE course_id IN %s AND kind = %s GROUP BY course_id, currency, day
    """
    return [Money(row[0], row[1], row[2], int(row[3])) for row in await db.fetch_all(sql, (courses, int(EntryKind.CHARGE)))]
