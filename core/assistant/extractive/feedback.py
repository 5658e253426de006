"""Feedback from the numbers alone."""

from __future__ import annotations

from collections.abc import Iterator

from core.assistant.engines import FeedbackTask, QuizFact
from core.assistant.extractive.phrases import Phrases, phrases_for
from core.assistant.extractive.summary import joined
from skillforge.v1.assistant_pb2 import Feedback, NextStep

MAX_STRENGTHS, MAX_STEPS = 5, 5
_GOOD_PERCENT = 80.0
# A pause worth telling.
_IDLE_DAYS = 7


def feedback(task: FeedbackTask) -> Feedback:
    """Where the student stands, what went well, and what to do next, each from a number."""
    say = phrases_for(task.language)
    return Feedback(
        feedback=joined(_standing(say, task)),
        strengths=list(_strengths(say, task))[:MAX_STRENGTHS],
        next_steps=list(_steps(say, task))[:MAX_STEPS],
    )


def percent(value: float) -> str:
    """A percentage as short as it is exact enough: 66.5, 100."""
    return f"{value:.1f}".removesuffix(".0")


def _standing(say: Phrases, task: FeedbackTask) -> Iterator[str]:
    if task.completed:
        yield say.complete
    elif task.idle_days is None and task.lectures_completed == 0:
        yield say.begun
    yield say.lectures.format(done=task.lectures_completed, total=task.lectures_total, percent=task.percent)
    tried = [quiz.best_percent for quiz in task.quizzes if quiz.attempts]
    if tried:
        yield say.average.format(percent=percent(sum(tried) / len(tried)))
    if task.idle_days is not None and task.idle_days >= _IDLE_DAYS and not task.completed:
        yield say.idle.format(days=task.idle_days)


def _strengths(say: Phrases, task: FeedbackTask) -> Iterator[str]:
    if task.exam is not None and task.exam.passed:
        yield say.exam_passed.format(percent=percent(task.exam.best_percent))
    if task.lectures_total and not task.open_lectures:
        yield say.all_lectures
    good = [quiz for quiz in task.quizzes if quiz.passed and quiz.best_percent >= _GOOD_PERCENT]
    for quiz in sorted(good, key=lambda item: -item.best_percent):
        yield say.good.format(title=quiz.title, percent=percent(quiz.best_percent))


def _steps(say: Phrases, task: FeedbackTask) -> Iterator[NextStep]:
    """What failed first, the worst of it before the rest; then what is open, in the course's order; the exam last."""
    failed = [quiz for quiz in task.quizzes if quiz.attempts and not quiz.passed]
    for quiz in sorted(failed, key=lambda item: item.best_percent):
        yield NextStep(text=_result(say.repeat, quiz), lecture_id=quiz.lecture_id)
    if task.open_lectures:
        next_one = task.open_lectures[0]
        phrase = say.go_on if task.lectures_completed or task.idle_days is not None else say.begin
        yield NextStep(text=phrase.format(title=next_one.title), lecture_id=next_one.lecture_id)
    still_open = {lecture.lecture_id for lecture in task.open_lectures}
    for quiz in task.quizzes:
        if not quiz.attempts and quiz.lecture_id not in still_open:
            yield NextStep(text=say.try_quiz.format(title=quiz.title), lecture_id=quiz.lecture_id)
    if task.exam is not None and not task.exam.passed and not task.open_lectures:
        yield NextStep(text=_result(say.exam_again, task.exam) if task.exam.attempts else say.exam_open)


def _result(phrase: str, quiz: QuizFact) -> str:
    return phrase.format(title=quiz.title, percent=percent(quiz.best_percent), attempts=quiz.attempts)
