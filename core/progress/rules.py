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
from core.progress.stretches import Stretches, cover, missed

# Who watched this share of a lecture's known length has completed it.
WATCHED_SHARE = 0.9
# Nobody watches faster than the clock; a share of slack forgives calls that come late and early in turn.
WATCH_SLACK = 1.25
# What the first report of a lecture may claim: nothing tells how long before it the student began.
FIRST_REPORT_SECONDS = 120
# A call that changes nothing else moves the last activity at most this often.
ACTIVITY_MICROSECONDS = 60 * 1_000_000
DAY_MICROSECONDS = 86_400 * 1_000_000

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
    # What was watched, where that matters; None: not read.
    stretches: Stretches | None = None


class QuizState(NamedTuple):
    """A student's standing in a quiz."""

    best_percent: float = 0.0
    passed: bool = False
    attempts: int = 0


UNSEEN = LectureState()
UNTRIED = QuizState()


@dataclass(slots=True)
class Standing:
    """All a student did in a course. `active`: the enrollment gives access now; `followed`: the student has parents.
    `activity_day`: the day since 1970 up to which activity is counted."""

    student_id: bytes
    course_id: bytes
    active: bool
    activity: int
    complete: int
    certificate_id: str
    lectures: dict[bytes, LectureState] = field(default_factory=dict)
    quizzes: dict[bytes, QuizState] = field(default_factory=dict)
    followed: bool = False
    activity_day: int = 0

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.student_id, self.course_id


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
    position = state.position_seconds
    if mark.position_seconds is not None:
        position = min(mark.position_seconds, mark.duration_seconds or mark.position_seconds)
    watched, stretches = state.watched_seconds, state.stretches
    if mark.watched_seconds:
        start, position = stretch(state, mark, position)
        watched, stretches = _watch(state, mark, start, position)
    complete = state.complete or (mark.now if completes(mark, watched) else 0)
    before = (state.complete, state.position_seconds, state.watched_seconds, state.stretches)
    if (complete, position, watched, stretches) == before:
        return state
    return LectureState(complete, position, watched, max(mark.now, state.update), stretches)


def completes(mark: Mark, watched: int) -> bool:
    """Whether a mark completes its lecture: it says so, says nothing at all, or enough is watched now."""
    if mark.completed:
        return True
    if mark.completed is None and mark.position_seconds is None and mark.watched_seconds is None:
        return True
    return mark.watched_seconds is not None and 0 < WATCHED_SHARE * mark.duration_seconds <= watched


def stretch(state: LectureState, mark: Mark, position: int) -> tuple[int, int]:
    """From where to where a mark says the student watched: up to its position, from the last one on if it names none.

    No longer than the clock allows since the last update; what is too much is taken off the beginning.
    """
    allowed = FIRST_REPORT_SECONDS
    if state.update:
        allowed = int(max(0, mark.now - state.update) * WATCH_SLACK) // 1_000_000
    length = min(mark.watched_seconds or 0, allowed)
    if mark.position_seconds is not None:
        return max(0, position - length), position
    return position, max(position, min(position + length, mark.duration_seconds or position + length))


def _watch(state: LectureState, mark: Mark, start: int, end: int) -> tuple[int, Stretches | None]:
    """Seconds watched, and which, after a stretch: each second counts once, however often it is watched."""
    before = state.stretches or ()
    total = state.watched_seconds + missed(before, start, end)
    after = cover(before, start, end)
    # A lecture may have been shortened since: what was watched is not taken back.
    watched = max(state.watched_seconds, min(total, mark.duration_seconds or total))
    return watched, state.stretches if after == before else after


def watches(mark: Mark) -> bool:
    """Whether it matters to a mark what was watched before."""
    return bool(mark.watched_seconds)


def activity_due(standing: Standing, now: int) -> bool:
    """Whether a call that changes nothing else should move the last activity."""
    return now - standing.activity >= ACTIVITY_MICROSECONDS


def first_today(standing: Standing, now: int) -> bool:
    """Whether a call is the student's first in the course on its day."""
    return standing.activity // DAY_MICROSECONDS < now // DAY_MICROSECONDS


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
