"""The typed rows and parameters of this feature's statements."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from skillforge.v1 import quizzes_pb2


class QuizFields(NamedTuple):
    """What an author writes of a quiz, without its questions."""

    title: str
    pass_percent: int
    time_limit_seconds: int
    max_attempts: int
    shuffle: bool


class QuizRow(NamedTuple):
    """A quiz in its present version (`questions` is a serialized Quiz) and what decides who may read it."""

    quiz_id: bytes
    course_id: bytes
    lecture_id: bytes | None
    title: str
    pass_percent: int
    time_limit_seconds: int
    max_attempts: int
    shuffle: int
    version: int
    question_count: int
    questions: bytes
    instructor_id: bytes
    course_status: int
    preview: int
    enrolled: int


class AttemptHead(NamedTuple):
    """An attempt as lists show it."""

    attempt_id: bytes
    quiz_id: bytes
    course_id: bytes
    student_id: bytes
    number: int
    status: quizzes_pb2.AttemptStatus.ValueType
    points_earned: float
    points_possible: int
    percent: float
    passed: int
    start_time: datetime
    deadline: datetime | None
    submit_time: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it may still be answered, as far as its status goes."""
        return self.status == quizzes_pb2.ATTEMPT_STATUS_IN_PROGRESS


class AttemptRow(NamedTuple):
    """An attempt with all it holds: `answers` and `results` are serialized Attempts, `questions` a serialized Quiz
    of the version it was started with."""

    head: AttemptHead
    shuffle_seed: int
    answers: bytes
    results: bytes
    pass_percent: int
    questions: bytes


class AttemptFilter(NamedTuple):
    """Which attempts a list holds, None: all. `parent_id`: those of this parent's children alone."""

    quiz_id: bytes | None
    student_id: bytes | None
    parent_id: bytes | None = None


class NewAttempt(NamedTuple):
    """An attempt about to start."""

    attempt_id: bytes
    quiz_id: bytes
    quiz_version: int
    course_id: bytes
    student_id: bytes
    number: int
    shuffle_seed: int
    start_time: datetime
    deadline: datetime | None
