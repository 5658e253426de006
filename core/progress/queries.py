"""All SQL of progress."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.analytics.truth import EXAM_PASSED, EXAM_PERCENT, LECTURES_COMPLETED, QUIZ_PERCENT, SCORE
from core.db import Database, Reader, Transaction
from core.families.access import LINKS
from core.progress.rules import LectureState, QuizState, Standing, from_microseconds
from core.progress.stretches import Stretches, pack, unpack
from skillforge.v1 import enrollments_pb2, progress_pb2

Pair = tuple[bytes, bytes]
# Student, course, lecture.
LectureKey = tuple[bytes, bytes, bytes]

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)

# A student's rows of a course travel as one value: the driver's price is per value, and these are the hottest reads.
# Lectures: id, completed (microseconds since 1970, 0: not), position, watched, updated; big-endian.
_LECTURE = struct.Struct(">16sQIIQ")
_MICROSECONDS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {})"
_EIGHT = "UNHEX(LPAD(HEX({}), 16, '0'))"
_FOUR = "UNHEX(LPAD(HEX({}), 8, '0'))"
_LECTURES = f"""
(SELECT GROUP_CONCAT(p.lecture_id,
   {_EIGHT.format("COALESCE(" + _MICROSECONDS.format("p.complete_time") + ", 0)")},
   {_FOUR.format("p.position_seconds")}, {_FOUR.format("p.watched_seconds")},
   {_EIGHT.format(_MICROSECONDS.format("p.update_time"))} SEPARATOR '')
 FROM lecture_progress p WHERE p.student_id = e.student_id AND p.course_id = e.course_id)
"""
# Quizzes: "<hex id> <best percent> <passed> <attempts>" with commas between them.
_QUIZZES = """
(SELECT GROUP_CONCAT(HEX(q.quiz_id), ' ', q.best_percent, ' ', q.passed, ' ', q.attempts)
 FROM quiz_results q WHERE q.student_id = e.student_id AND q.course_id = e.course_id)
"""
# Many pairs would make the optimizer weigh every index for each of them: it is told which one they are ranges of.
_STANDINGS = f"""
SELECT e.student_id, e.course_id, e.status, {_MICROSECONDS.format("e.last_activity_time")},
  {_MICROSECONDS.format("e.complete_time")}, c.id, {_LECTURES}, {_QUIZZES},
  EXISTS (SELECT 1 FROM family_links f WHERE f.child_id = e.student_id), e.activity_day
FROM enrollments e FORCE INDEX (PRIMARY) LEFT JOIN certificates c
  ON c.student_id = e.student_id AND c.course_id = e.course_id AND c.current_slot = 1
WHERE (e.student_id, e.course_id) IN %s
"""
_OF_CHILD = f"EXISTS (SELECT 1 FROM {LINKS} WHERE f.parent_id = %s AND f.child_id = e.student_id)"
_COURSES_OF_CHILD = f"""
SELECT e.course_id, c.title, e.status,
  (SELECT COUNT(*) FROM lecture_progress p JOIN lectures l ON l.id = p.lecture_id
   WHERE p.student_id = e.student_id AND p.course_id = e.course_id AND p.complete_time IS NOT NULL),
  c.lecture_count, x.id, e.create_time, NULLIF(e.last_activity_time, '1970-01-01'), e.complete_time
FROM enrollments e JOIN courses c ON c.id = e.course_id
LEFT JOIN certificates x ON x.student_id = e.student_id AND x.course_id = e.course_id AND x.current_slot = 1
WHERE e.student_id = %s AND {_OF_CHILD}
"""
_PUT_LECTURE = """
INSERT INTO lecture_progress
  (student_id, course_id, lecture_id, complete_time, position_seconds, watched_seconds, update_time, watched)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON DUPLICATE KEY UPDATE complete_time = COALESCE(complete_time, VALUES(complete_time)),
  position_seconds = VALUES(position_seconds), watched_seconds = GREATEST(watched_seconds, VALUES(watched_seconds)),
  update_time = VALUES(update_time), watched = COALESCE(VALUES(watched), watched)
"""
_PUT_QUIZ = """
INSERT INTO quiz_results (student_id, course_id, quiz_id, best_percent, passed, attempts, update_time)
VALUES (%s, %s, %s, %s, %s, 1, %s)
ON DUPLICATE KEY UPDATE best_percent = GREATEST(best_percent, VALUES(best_percent)),
  passed = passed OR VALUES(passed), attempts = attempts + 1, update_time = VALUES(update_time)
"""


class LectureRow(NamedTuple):
    """One lecture's state to be written."""

    student_id: bytes
    course_id: bytes
    lecture_id: bytes
    state: LectureState


class ChildCourseRow(NamedTuple):
    """A course of a child, in short."""

    course_id: bytes
    title: str
    status: enrollments_pb2.EnrollmentStatus.ValueType
    lectures_completed: int
    lectures_total: int
    certificate_id: str | None
    enroll_time: datetime
    last_activity_time: datetime | None
    complete_time: datetime | None


async def standings(db: Reader, pairs: Sequence[Pair]) -> dict[Pair, Standing]:
    """What each of these students did in each of these courses; pairs without an enrollment are left out."""
    rows = await db.fetch_all(_STANDINGS, (pairs,))
    return {(row[0], row[1]): _standing(row) for row in rows}


def _standing(row: tuple[Any, ...]) -> Standing:
    student_id, course_id, status, activity, complete, certificate_id, lectures, quizzes, followed, day = row
    return Standing(
        student_id, course_id, status == _ACTIVE, activity or 0, complete or 0, certificate_id or "",
        {item[0]: LectureState(*item[1:]) for item in _LECTURE.iter_unpack(lectures)} if lectures else {},
        _quizzes(quizzes) if quizzes else {}, bool(followed), day,
    )  # fmt: skip


def _quizzes(packed: str) -> dict[bytes, QuizState]:
    found = {}
    for item in packed.split(","):
        quiz_id, best, passed, attempts = item.split(" ")
        found[bytes.fromhex(quiz_id)] = QuizState(float(best), passed == "1", int(attempts))
    return found


async def standing_of_child(db: Reader, parent_id: bytes, pair: Pair) -> Standing | None:
    """What a student did in a course; None unless the student is enrolled and a child of the parent."""
    row = await db.fetch_one(f"{_STANDINGS} AND {_OF_CHILD}", ([pair], parent_id))
    return _standing(row) if row else None


async def courses_of_child(
    db: Reader, parent_id: bytes, child_id: bytes, after: tuple[datetime, bytes] | None, limit: int
) -> list[ChildCourseRow]:
    """A student's courses, the latest enrolled first; none unless the student is a child of the parent."""
    where, params = "", ()  # type: tuple[str, tuple[object, ...]]
    if after is not None:
        where = "AND e.create_time <= %s AND (e.create_time < %s OR e.course_id < %s)"
        params = (after[0], *after)
    sql = f"{_COURSES_OF_CHILD} {where} ORDER BY e.create_time DESC, e.course_id DESC LIMIT %s"
    return [ChildCourseRow(*row) for row in await db.fetch_all(sql, (child_id, parent_id, *params, limit))]


async def touch(db: Database | Transaction, pairs: Sequence[Pair], now: datetime) -> None:
    """Move the last activity of students with access. In a transaction, others who touch the same wait until its end."""
    sql = """
        UPDATE enrollments FORCE INDEX (PRIMARY) SET last_activity_time = GREATEST(last_activity_time, %s)
        WHERE (student_id, course_id) IN %s AND status = %s
    """
    await db.execute(sql, (now, pairs, _ACTIVE))


async def watched(db: Reader, keys: Sequence[LectureKey]) -> dict[LectureKey, Stretches]:
    """What these students (student, course, lecture) have watched, of those who have begun."""
    sql = """
        SELECT student_id, course_id, lecture_id, watched FROM lecture_progress WHERE (student_id, course_id, lecture_id) IN %s
    """
    return {(row[0], row[1], row[2]): unpack(row[3]) for row in await db.fetch_all(sql, (keys,))}


async def put_lectures(tx: Transaction, rows: Iterable[LectureRow]) -> None:
    """Write lectures' states; a completion that is there already stays as it is."""
    await tx.insert_many(
        _PUT_LECTURE,
        [
            (
                row.student_id, row.course_id, row.lecture_id, from_microseconds(row.state.complete),
                row.state.position_seconds, row.state.watched_seconds, from_microseconds(row.state.update),
                None if row.state.stretches is None else pack(row.state.stretches),
            )
            for row in rows
        ],
    )  # fmt: skip


async def put_quiz_result(tx: Transaction, pair: Pair, quiz_id: bytes, percent: float, passed: bool, now: datetime) -> None:
    """Count one more submitted attempt, and keep the best."""
    await tx.execute(_PUT_QUIZ, (*pair, quiz_id, percent, passed, now))


async def set_complete(tx: Transaction, pair: Pair, now: datetime) -> bool:
    """Mark the course as completed; False: it was, or the student has no access."""
    sql = """
        UPDATE enrollments SET complete_time = %s
        WHERE student_id = %s AND course_id = %s AND complete_time IS NULL AND status = %s
    """
    return await tx.execute(sql, (now, *pair, _ACTIVE)) == 1


# The gradebook

_ORDERS = {
    progress_pb2.GRADEBOOK_ORDER_NAME: "e.student_name",
    progress_pb2.GRADEBOOK_ORDER_PROGRESS: "e.lectures_completed",
    progress_pb2.GRADEBOOK_ORDER_SCORE: "e.score",
    progress_pb2.GRADEBOOK_ORDER_LAST_ACTIVITY: "e.last_activity_time",
    progress_pb2.GRADEBOOK_ORDER_ENROLL_TIME: "e.create_time",
}
# From a deletion to its recount the truth is read: asked in the statement itself, so that no number of before the deletion
# stands beside an outline of after it.
_NUMBERS = ", ".join(
    f"IF(recount.course_id IS NULL, e.{stored}, {true})"
    for stored, true in {
        "lectures_completed": LECTURES_COMPLETED,
        "quiz_percent": QUIZ_PERCENT,
        "exam_percent": EXAM_PERCENT,
        "exam_passed": EXAM_PASSED,
        "score": SCORE,
    }.items()
)
_GRADES = """
SELECT u.display_name, u.email, c.lecture_count, {order}, {numbers}, e.student_id, NULLIF(e.last_activity_time, '1970-01-01'),
  e.complete_time, e.create_time
FROM enrollments e JOIN users u ON u.id = e.student_id JOIN courses c ON c.id = e.course_id
LEFT JOIN course_recounts recount ON recount.course_id = e.course_id
JOIN ({page}) page ON page.student_id = e.student_id
WHERE e.course_id = %s ORDER BY {order} {direction}, e.student_id {direction}
"""


class GradeOrder(NamedTuple):
    """An order of the gradebook."""

    by: progress_pb2.GradebookOrder.ValueType
    descending: bool


class GradeRow(NamedTuple):
    """A student's line; `place` is its value in the order asked for. `score` is -1 without any result."""

    display_name: str
    email: str
    lectures_total: int
    place: str | int | float | datetime
    lectures_completed: int
    quiz_percent: float | None
    exam_percent: float | None
    exam_passed: int
    score: float
    student_id: bytes
    last_activity_time: datetime | None
    complete_time: datetime | None
    enroll_time: datetime


async def grades(
    db: Reader, course_id: bytes, order: GradeOrder, after: tuple[object, bytes] | None, limit: int
) -> list[GradeRow]:
    """The next students of a course who have access. Only the order may, for a moment, be of before a deletion."""
    column = _ORDERS.get(order.by, "e.student_name")
    direction, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
    where, params = "", ()  # type: tuple[str, tuple[object, ...]]
    if after is not None:
        where = f"AND {column} {beyond}= %s AND ({column} {beyond} %s OR e.student_id {beyond} %s)"
        params = (after[0], *after)
    # The inner query takes a range of one index; whatever is joined to it is joined to one page.
    page = f"""
        SELECT e.student_id FROM enrollments e WHERE e.course_id = %s AND e.status = %s {where}
        ORDER BY {column} {direction}, e.student_id {direction} LIMIT %s
    """
    sql = _GRADES.format(order=column, numbers=_NUMBERS, page=page, direction=direction)
    return [GradeRow(*row) for row in await db.fetch_all(sql, (course_id, _ACTIVE, *params, limit, course_id))]
