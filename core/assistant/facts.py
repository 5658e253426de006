"""A student's progress as feedback looks at it: numbers and titles, and nothing of who the student is."""

from __future__ import annotations

from datetime import datetime

from core.assistant.engines import FeedbackTask, LectureFact, QuizFact
from core.courses.catalog import Outline
from core.ids import to_text
from core.times import from_unix
from skillforge.v1.progress_pb2 import CourseProgress, QuizProgress

# A longer course is told by its first open lectures and quizzes.
MAX_OPEN, MAX_QUIZZES = 10, 60


def facts(progress: CourseProgress, outline: Outline, now: datetime) -> FeedbackTask:
    """What there is to say about the progress at this time."""
    titles = {to_text(item.lecture_id): item.title for module in outline.modules for item in module.lectures}
    quiz_lectures = {to_text(item.quiz_id): item for module in outline.modules for item in module.lectures if item.quiz_id}
    open_lectures = [item.lecture_id for item in progress.lectures if not item.HasField("complete_time")]
    quizzes = []
    for quiz in progress.quizzes:
        if (lecture := quiz_lectures.get(quiz.quiz_id)) is not None:
            quizzes.append(_quiz(lecture.title, to_text(lecture.lecture_id), quiz))
    return FeedbackTask(
        course_title=outline.title,
        language=outline.message.language,
        lectures_completed=progress.lectures_completed,
        lectures_total=progress.lectures_total,
        percent=progress.percent,
        open_lectures=tuple(LectureFact(titles[item], item) for item in open_lectures if item in titles)[:MAX_OPEN],
        quizzes=tuple(quizzes[:MAX_QUIZZES]),
        exam=_quiz("", "", progress.exam) if progress.HasField("exam") else None,
        completed=progress.HasField("complete_time"),
        idle_days=_idle_days(progress, now),
    )


def _quiz(title: str, lecture_id: str, quiz: QuizProgress) -> QuizFact:
    return QuizFact(title, lecture_id, round(quiz.best_percent, 1), quiz.passed, quiz.attempts)


def _idle_days(progress: CourseProgress, now: datetime) -> int | None:
    if not progress.HasField("last_activity_time"):
        return None
    return max(0, (now - from_unix(progress.last_activity_time.seconds)).days)
