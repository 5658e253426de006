"""Rows of quizzes and attempts as messages of the contract, and the parts that are stored serialized."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.ids import to_text
from core.quizzes import rules
from core.quizzes.rows import AttemptHead, AttemptRow, QuizRow
from core.times import to_timestamp
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, Attempt, Question, QuestionResult, Quiz


def pack_questions(questions: Iterable[Question]) -> bytes:
    return Quiz(questions=questions).SerializeToString()


def unpack_questions(stored: bytes) -> Sequence[Question]:
    return Quiz.FromString(stored).questions


def pack_answers(answers: Iterable[Answer]) -> bytes:
    return Attempt(answers=answers).SerializeToString()


def unpack_answers(stored: bytes) -> Sequence[Answer]:
    return Attempt.FromString(stored).answers


def pack_results(results: Iterable[QuestionResult]) -> bytes:
    return Attempt(results=results).SerializeToString()


def quiz(row: QuizRow, *, with_keys: bool) -> Quiz:
    """A quiz; without keys as students see it."""
    questions = unpack_questions(row.questions)
    return Quiz(
        id=to_text(row.quiz_id),
        course_id=to_text(row.course_id),
        lecture_id=to_text(row.lecture_id),
        kind=quizzes_pb2.QUIZ_KIND_LECTURE if row.lecture_id else quizzes_pb2.QUIZ_KIND_FINAL_EXAM,
        title=row.title,
        pass_percent=row.pass_percent,
        time_limit_seconds=row.time_limit_seconds,
        max_attempts=row.max_attempts,
        shuffle=bool(row.shuffle),
        questions=questions if with_keys else rules.stripped(questions),
        etag=str(row.version),
    )


def attempt_head(row: AttemptHead) -> Attempt:
    """An attempt as lists show it: without questions, answers and results."""
    return Attempt(
        id=to_text(row.attempt_id),
        quiz_id=to_text(row.quiz_id),
        course_id=to_text(row.course_id),
        student_id=to_text(row.student_id),
        number=row.number,
        status=row.status,
        start_time=to_timestamp(row.start_time),
        deadline=to_timestamp(row.deadline),
        submit_time=to_timestamp(row.submit_time),
        points_earned=row.points_earned,
        points_possible=row.points_possible,
        percent=row.percent,
        passed=bool(row.passed),
    )


def attempt(row: AttemptRow, *, with_keys: bool = True) -> Attempt:
    """An attempt with all it holds; keys and explanations only once it is submitted, and never without `with_keys`."""
    message = attempt_head(row.head)
    questions = rules.shuffled(unpack_questions(row.questions), row.shuffle_seed)
    message.questions.extend(questions if with_keys and not row.head.is_open else rules.stripped(questions))
    message.answers.extend(unpack_answers(row.answers))
    message.results.extend(Attempt.FromString(row.results).results)
    return message
