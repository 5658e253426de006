"""All SQL of quizzes and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import Database, Reader, Transaction
from core.families.access import LINKS
from core.quizzes.rows import AttemptFilter, AttemptHead, AttemptRow, NewAttempt, QuizFields, QuizRow
from core.quizzes.rules import Grade
from skillforge.v1 import enrollments_pb2, quizzes_pb2

_ACTIVE = int(enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)
_OPEN = int(quizzes_pb2.ATTEMPT_STATUS_IN_PROGRESS)
_SUBMITTED = int(quizzes_pb2.ATTEMPT_STATUS_SUBMITTED)

# Quizzes

_QUIZ = """
SELECT q.id, q.course_id, q.lecture_id, q.title, q.pass_percent, q.time_limit_seconds, q.max_attempts, q.shuffle, q.version,
  q.question_count, v.questions, c.instructor_id, c.status, COALESCE(l.preview, 0),
  EXISTS (SELECT 1 FROM {viewer} AND e.course_id = q.course_id AND e.status = %s)
FROM quizzes q
JOIN quiz_versions v ON v.quiz_id = q.id AND v.version = q.version
JOIN courses c ON c.id = q.course_id
LEFT JOIN lectures l ON l.id = q.lecture_id
"""
_QUIZ_FOR_STUDENT = _QUIZ.format(viewer="enrollments e WHERE e.student_id = %s")
_QUIZ_FOR_PARENT = _QUIZ.format(viewer=f"{LINKS} JOIN enrollments e ON e.student_id = f.child_id WHERE f.parent_id = %s")
_QUIZ_OF_CHILD = f"""
SELECT 1 FROM {LINKS} JOIN enrollments e ON e.student_id = f.child_id JOIN quizzes q ON q.course_id = e.course_id
WHERE f.parent_id = %s AND f.child_id = %s AND e.status = %s AND q.id = %s
"""
# What is left of a deleted quiz are the attempts at it.
_DELETED_QUIZ = """
SELECT c.instructor_id, EXISTS (SELECT 1 FROM attempts own WHERE own.quiz_id = a.quiz_id AND own.student_id = %s)
FROM attempts a JOIN courses c ON c.id = a.course_id
WHERE a.quiz_id = %s AND NOT EXISTS (SELECT 1 FROM quizzes q WHERE q.id = a.quiz_id) LIMIT 1
"""


async def quiz(db: Reader, quiz_id: bytes, viewer_id: bytes, *, as_parent: bool = False) -> QuizRow | None:
    """A quiz or exam, and whether the viewer (`as_parent`: a child of the viewer) is enrolled in its course."""
    return await _quiz(db, "WHERE q.id = %s", quiz_id, viewer_id, as_parent)


async def quiz_of_lecture(db: Reader, lecture_id: bytes, viewer_id: bytes, *, as_parent: bool = False) -> QuizRow | None:
    """The lecture's quiz, likewise."""
    return await _quiz(db, "WHERE q.lecture_id = %s", lecture_id, viewer_id, as_parent)


async def exam_of_course(db: Reader, course_id: bytes, viewer_id: bytes, *, as_parent: bool = False) -> QuizRow | None:
    """The course's final exam, likewise."""
    return await _quiz(db, "WHERE q.course_id = %s AND q.exam_slot = 1", course_id, viewer_id, as_parent)


async def _quiz(db: Reader, where: str, key: bytes, viewer_id: bytes, as_parent: bool) -> QuizRow | None:
    sql = _QUIZ_FOR_PARENT if as_parent else _QUIZ_FOR_STUDENT
    row = await db.fetch_one(sql + where, (viewer_id, _ACTIVE, key))
    return QuizRow(*row) if row else None


async def is_quiz_of_child(db: Reader, quiz_id: bytes, parent_id: bytes, child_id: bytes) -> bool:
    """Whether the quiz belongs to a course that a child of the parent is enrolled in."""
    return await db.fetch_one(_QUIZ_OF_CHILD, (parent_id, child_id, _ACTIVE, quiz_id)) is not None


async def deleted_quiz(db: Reader, quiz_id: bytes, student_id: bytes) -> tuple[bytes, bool] | None:
    """The instructor of a deleted quiz that somebody attempted, and whether the student did."""
    row = await db.fetch_one(_DELETED_QUIZ, (student_id, quiz_id))
    return (row[0], bool(row[1])) if row else None


async def course_of_lecture(db: Reader, lecture_id: bytes) -> bytes | None:
    row = await db.fetch_one("SELECT course_id FROM lectures WHERE id = %s", (lecture_id,))
    return row[0] if row else None


async def insert_quiz(
    tx: Transaction, quiz_id: bytes, course_id: bytes, lecture_id: bytes | None, fields: QuizFields, count: int, now: datetime
) -> None:
    """A new quiz of the lecture, or without one the course's final exam; version 1."""
    sql = """
        INSERT INTO quizzes (id, course_id, lecture_id, exam_slot, title, pass_percent, time_limit_seconds, max_attempts, shuffle,
          version, question_count, create_time, update_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s, %s)
    """
    exam_slot = 1 if lecture_id is None else None
    await tx.execute(sql, (quiz_id, course_id, lecture_id, exam_slot, *fields, count, now, now))


async def update_quiz(tx: Transaction, quiz_id: bytes, version: int, fields: QuizFields, count: int, now: datetime) -> bool:
    """Replace this version of the quiz; False: it is another version by now."""
    sql = """
        UPDATE quizzes SET title = %s, pass_percent = %s, time_limit_seconds = %s, max_attempts = %s, shuffle = %s,
          question_count = %s, version = version + 1, update_time = %s
        WHERE id = %s AND version = %s
    """
    return await tx.execute(sql, (*fields, count, now, quiz_id, version)) == 1


async def insert_version(tx: Transaction, quiz_id: bytes, version: int, pass_percent: int, questions: bytes) -> None:
    """Keep the questions of a version for the attempts that start with it."""
    sql = "INSERT INTO quiz_versions (quiz_id, version, pass_percent, questions) VALUES (%s, %s, %s, %s)"
    await tx.execute(sql, (quiz_id, version, pass_percent, questions))


async def delete_quiz(tx: Transaction, quiz_id: bytes, version: int) -> bool:
    """Delete this version of the quiz; its questions stay for the attempts. False: it is another version by now."""
    return await tx.execute("DELETE FROM quizzes WHERE id = %s AND version = %s", (quiz_id, version)) == 1


# Attempts

_HEAD_COLUMNS = """a.id, a.quiz_id, a.course_id, a.student_id, a.number, a.status, a.points_earned, a.points_possible, a.percent,
  a.passed, a.start_time, a.deadline, a.submit_time"""
_HEAD_COUNT = 13
_ATTEMPT = f"""
SELECT {_HEAD_COLUMNS}, a.shuffle_seed, a.answers, a.results, v.pass_percent, v.questions
FROM attempts a
JOIN quiz_versions v ON v.quiz_id = a.quiz_id AND v.version = a.quiz_version
"""
_OF_CHILD = f"EXISTS (SELECT 1 FROM {LINKS} WHERE f.parent_id = %s AND f.child_id = a.student_id)"


def _attempt(row: tuple[object, ...] | None) -> AttemptRow | None:
    return AttemptRow(AttemptHead._make(row[:_HEAD_COUNT]), *row[_HEAD_COUNT:]) if row else None  # type: ignore[arg-type]


async def attempt(db: Reader, attempt_id: bytes) -> AttemptRow | None:
    """One attempt, whoever asks."""
    return _attempt(await db.fetch_one(_ATTEMPT + "WHERE a.id = %s", (attempt_id,)))


async def own_attempt(db: Reader, attempt_id: bytes, student_id: bytes) -> AttemptRow | None:
    """One of the student's own attempts."""
    return _attempt(await db.fetch_one(_ATTEMPT + "WHERE a.id = %s AND a.student_id = %s", (attempt_id, student_id)))


async def visible_attempt(
    db: Reader, attempt_id: bytes, viewer_id: bytes, *, is_admin: bool, parent_id: bytes
) -> AttemptRow | None:
    """An attempt of the viewer's, of a child's of the parent, or at a quiz of the viewer's course; any for admins."""
    sql = f"""{_ATTEMPT} JOIN courses c ON c.id = a.course_id
        WHERE a.id = %s AND (a.student_id = %s OR c.instructor_id = %s OR %s OR {_OF_CHILD})
    """
    return _attempt(await db.fetch_one(sql, (attempt_id, viewer_id, viewer_id, is_admin, parent_id)))


async def open_attempt(db: Reader, student_id: bytes, quiz_id: bytes) -> AttemptRow | None:
    """The student's one attempt in progress at the quiz."""
    sql = _ATTEMPT + "WHERE a.student_id = %s AND a.quiz_id = %s AND a.open_slot = 1"
    return _attempt(await db.fetch_one(sql, (student_id, quiz_id)))


async def last_number(tx: Transaction, student_id: bytes, quiz_id: bytes) -> int:
    """How many attempts at the quiz the student has started."""
    sql = "SELECT COALESCE(MAX(number), 0) FROM attempts WHERE student_id = %s AND quiz_id = %s"
    row = await tx.fetch_one(sql, (student_id, quiz_id))
    return int(row[0]) if row else 0


async def insert_attempt(tx: Transaction, row: NewAttempt) -> None:
    """Start an attempt. Raises DuplicateKey when one is open already or has this number."""
    sql = """
        INSERT INTO attempts (id, quiz_id, quiz_version, course_id, student_id, number, shuffle_seed, start_time, deadline,
          status, open_slot, answers, results, points_earned, points_possible, percent, passed, submit_time)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, '', '', 0, 0, 0, FALSE, NULL)
    """
    await tx.execute(sql, (*row, _OPEN))


async def save_answers(db: Database, attempt_id: bytes, student_id: bytes, answers: bytes) -> bool:
    """Replace the answers of the student's open attempt; False: it is not open any more."""
    sql = "UPDATE attempts SET answers = %s WHERE id = %s AND student_id = %s AND status = %s"
    return await db.execute(sql, (answers, attempt_id, student_id, _OPEN)) == 1


async def close_attempt(tx: Transaction, attempt_id: bytes, submit_time: datetime) -> bool:
    """Take no more answers; False: somebody else closed the attempt before."""
    sql = "UPDATE attempts SET status = %s, open_slot = NULL, submit_time = %s WHERE id = %s AND status = %s"
    return await tx.execute(sql, (_SUBMITTED, submit_time, attempt_id, _OPEN)) == 1


async def write_grade(tx: Transaction, attempt_id: bytes, answers: bytes, results: bytes, grade: Grade) -> None:
    """Note what a closed attempt earned, and the answers that earned it."""
    sql = """
        UPDATE attempts SET answers = %s, results = %s, points_earned = %s, points_possible = %s, percent = %s, passed = %s
        WHERE id = %s
    """
    earned = (grade.points_earned, grade.points_possible, grade.percent, grade.passed)
    await tx.execute(sql, (answers, results, *earned, attempt_id))


async def list_attempts(db: Reader, wanted: AttemptFilter, after: tuple[datetime, bytes] | None, limit: int) -> list[AttemptHead]:
    """Attempts, newest first."""
    found = [("a.quiz_id = %s", wanted.quiz_id), ("a.student_id = %s", wanted.student_id), (_OF_CHILD, wanted.parent_id)]
    conditions = [condition for condition, value in found if value is not None]
    params: list[object] = [value for _, value in found if value is not None]
    if after is not None:
        conditions.append("a.start_time <= %s AND (a.start_time < %s OR a.id < %s)")
        params += [after[0], after[0], after[1]]
    sql = (
        f"SELECT {_HEAD_COLUMNS} FROM attempts a WHERE {' AND '.join(conditions)} ORDER BY a.start_time DESC, a.id DESC LIMIT %s"
    )
    return [AttemptHead._make(row) for row in await db.fetch_all(sql, (*params, limit))]


async def overdue_attempts(db: Reader, deadline: datetime, limit: int) -> Sequence[bytes]:
    """Open attempts whose deadline is before this one, the latest first: one that never can be graded holds up no newer one."""
    sql = "SELECT id FROM attempts WHERE status = %s AND deadline < %s ORDER BY deadline DESC LIMIT %s"
    return [row[0] for row in await db.fetch_all(sql, (_OPEN, deadline, limit))]
