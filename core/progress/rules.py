"""Pure decisions about progress: what a mark changes, percentages, when a course is complete.

Times are whole microseconds since 1970 (UTC), 0 for never: they come packed from the database by the thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from contract.errors import Violation
from core.courses.catalog import Outline
from core.ids import to_text

# Who watched this share of a lecture's known length has completed it.
WATCHED_SHARE = 0.9
# Nobody watches faster than the clock; a share of slack forgives calls that come late and early in turn.
WATCH_SLACK = 1.25
# What the first report of a lecture may claim: nothing tells how long before it the student began.
FIRST_REPORT_SECONDS = 120
# A call that changes nothing else moves the last activity at most this often.
ACTIVITY_MICROSECONDS = 60 * 1_000_000

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a naive UTC time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(moment: int) -> datetime | None:
    """The naive UTC time; None for 0."""
    return _EPOCH + timedelta(microseconds=moment) if moment else None


class LectureState(NamedTuple):
    """What a student did in a lecture."""

    complete: int = 0
    position_seconds: int = 0
    watched_seconds: int = 0
    update: int = 0


class QuizState(NamedTuple):
    """A student's standing in a quiz."""

    best_percent: float = 0.0
    passed: bool = False
    attempts: int = 0


UNSEEN = LectureState()
UNTRIED = QuizState()


@dataclass(slots=True)
class Standing:
    """All a student did in a course. `active`: the enrollment gives access now."""

    student_id: bytes
    course_id: bytes
    active: bool
    activity: int
    complete: int
    certificate_id: str
    lectures: dict[bytes, LectureState] = field(default_factory=dict)
    quizzes: dict[bytes, QuizState] = field(default_factory=dict)


class Mark(NamedTuple):
    """What a call says of a lecture; None: not said. `duration_seconds` is the lecture's, 0: unknown."""

    student_id: bytes
    lecture_id: bytes
    outline: Outline
    duration_seconds: int
    completed: bool | None
    position_seconds: int | None
    watched_seconds: int | None
    now: int

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.student_id, self.outline.course_id


def apply_mark(state: LectureState, mark: Mark) -> LectureState:
    """The lecture's state after a mark; the same object when nothing changes. Completion only ever comes."""
    watched = watched_after(state, mark)
    position = state.position_seconds
    if mark.position_seconds is not None:
        position = min(mark.position_seconds, mark.duration_seconds or mark.position_seconds)
    complete = state.complete or (mark.now if completes(mark, watched) else 0)
    if complete == state.complete and position == state.position_seconds and watched == state.watched_seconds:
        return state
    return LectureState(complete, position, watched, max(mark.now, state.update))


def completes(mark: Mark, watched: int) -> bool:
    """Whether a mark completes its lecture: it says so, says nothing at all, or enough is watched now."""
    if mark.completed:
        return True
    if mark.completed is None and mark.position_seconds is None and mark.watched_seconds is None:
        return True
    return mark.watched_seconds is not None and 0 < WATCHED_SHARE * mark.duration_seconds <= watched


def watched_after(state: LectureState, mark: Mark) -> int:
    """Seconds watched after a mark: never more than the clock allows since the last update, nor than the length."""
    if not mark.watched_seconds:
        return state.watched_seconds
    allowed = FIRST_REPORT_SECONDS
    if state.update:
        allowed = int(max(0, mark.now - state.update) * WATCH_SLACK) // 1_000_000
    total = state.watched_seconds + min(mark.watched_seconds, allowed)
    # A lecture may have been shortened since: what was watched is not taken back.
    return max(state.watched_seconds, min(total, mark.duration_seconds or total))


def activity_due(standing: Standing, now: int) -> bool:
    """Whether a call that changes nothing else should move the last activity."""
    return now - standing.activity >= ACTIVITY_MICROSECONDS


def percent(completed: int, total: int) -> int:
    """Rounded down, so that only all of them make 100; 0 of nothing."""
    return 100 * completed // total if total else 0


def missing_lectures(outline: Outline, standing: Standing) -> list[bytes]:
    """The lectures of the outline that are not complete, in its order."""
    return [item for item in outline.lecture_ids if not standing.lectures.get(item, UNSEEN).complete]


def exam_passed(outline: Outline, standing: Standing) -> bool:
    """Whether the final exam is passed, or there is none."""
    return outline.exam_id is None or standing.quizzes.get(outline.exam_id, UNTRIED).passed


def is_done(outline: Outline, standing: Standing) -> bool:
    """Whether every lecture is complete and the exam, if there is one, passed. A course without lectures never is."""
    return bool(outline.lecture_ids) and exam_passed(outline, standing) and not missing_lectures(outline, standing)


def score(outline: Outline, standing: Standing) -> float:
    """What a certificate says: the final exam's best, 100 where the course has none."""
    return 100.0 if outline.exam_id is None else standing.quizzes.get(outline.exam_id, UNTRIED).best_percent


def missing_violations(outline: Outline, standing: Standing) -> list[Violation]:
    """A violation for everything that stands between the student and completion."""
    wanting = set(missing_lectures(outline, standing))
    found = [
        Violation(f"lectures[{to_text(lecture.lecture_id)}]", "complete", f"Complete the lecture “{lecture.title}”.")
        for module in outline.modules
        for lecture in module.lectures
        if lecture.lecture_id in wanting
    ]
    if not standing.active:
        found.append(Violation("enrollment", "active", "The enrollment has ended. Enroll in the course again."))
    if not outline.lecture_ids:
        found.append(Violation("lectures", "required", "The course has no lectures now, so nobody can complete it."))
    if not exam_passed(outline, standing):
        found.append(Violation("exam", "passed", "Pass the final exam."))
    return found
