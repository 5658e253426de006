"""All SQL of progress."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.db import Database, Reader, Transaction
from core.progress.rules import LectureState, QuizState, Standing, from_microseconds
from skillforge.v1 import enrollments_pb2

Pair = tuple[bytes, bytes]

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
_STANDINGS = f"""
SELECT e.student_id, e.course_id, e.status, {_MICROSECONDS.format("e.last_activity_time")},
  {_MICROSECONDS.format("e.complete_time")}, c.id, {_LECTURES}, {_QUIZZES}
FROM enrollments e LEFT JOIN certificates c ON c.student_id = e.student_id AND c.course_id = e.course_id
WHERE (e.student_id, e.course_id) IN %s
"""
_PUT_LECTURE = """
INSERT INTO lecture_progress
  (student_id, course_id, lecture_id, complete_time, position_seconds, watched_seconds, update_time)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON DUPLICATE KEY UPDATE complete_time = COALESCE(complete_time, VALUES(complete_time)),
  position_seconds = VALUES(position_seconds), watched_seconds = GREATEST(watched_seconds, VALUES(watched_seconds)),
  update_time = VALUES(update_time)
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


async def standings(db: Reader, pairs: Sequence[Pair]) -> dict[Pair, Standing]:
    """What each of these students did in each of these courses; pairs without an enrollment are left out."""
    rows = await db.fetch_all(_STANDINGS, (pairs,))
    return {(row[0], row[1]): _standing(row) for row in rows}


def _standing(row: tuple[Any, ...]) -> Standing:
    student_id, course_id, status, activity, complete, certificate_id, lectures, quizzes = row
    return Standing(
        student_id, course_id, status == _ACTIVE, activity or 0, complete or 0, certificate_id or "",
        {item[0]: LectureState._make(item[1:]) for item in _LECTURE.iter_unpack(lectures)} if lectures else {},
        _quizzes(quizzes) if quizzes else {},
    )  # fmt: skip


def _quizzes(packed: str) -> dict[bytes, QuizState]:
    found = {}
    for item in packed.split(","):
        quiz_id, best, passed, attempts = item.split(" ")
        found[bytes.fromhex(quiz_id)] = QuizState(float(best), passed == "1", int(attempts))
    return found


async def touch(db: Database | Transaction, pairs: Sequence[Pair], now: datetime) -> None:
    """Move the students' last activity. In a transaction, others who touch the same wait until its end."""
    sql = """
        UPDATE enrollments SET last_activity_time = GREATEST(COALESCE(last_activity_time, %s), %s)
        WHERE (student_id, course_id) IN %s
    """
    await db.execute(sql, (now, now, pairs))


async def put_lectures(tx: Transaction, rows: Iterable[LectureRow]) -> None:
    """Write lectures' states; a completion that is there already stays as it is."""
    await tx.insert_many(
        _PUT_LECTURE,
        [
            (
                row.student_id, row.course_id, row.lecture_id, from_microseconds(row.state.complete),
                row.state.position_seconds, row.state.watched_seconds, from_microseconds(row.state.update),
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
