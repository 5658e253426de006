"""Standings as messages of the contract.

Most of a course's progress is its outline, so that part is serialized once an outline and parsed for every
answer, which costs a tenth of setting the fields one by one.
"""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from core.courses.catalog import Outline
from core.ids import to_text
from core.progress import rules
from core.progress.queries import ChildCourseRow, GradeRow
from core.progress.rules import UNTRIED, QuizState, Standing
from core.times import to_timestamp
from skillforge.v1 import families_pb2, progress_pb2

MAX_SHEETS = 1000


class Sheet:
    """The progress of somebody who has not begun, and where each lecture and quiz stands in it."""

    __slots__ = ("_blank", "_lectures", "_totals", "outline")

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self._totals = [len(module.lectures) for module in outline.modules]
        self._blank = _blank(outline).SerializeToString()
        # Its place among the lectures, its module's place, its length in seconds.
        self._lectures: dict[bytes, tuple[int, int, int]] = {}
        for number, module in enumerate(outline.modules):
            for lecture in module.lectures:
                self._lectures[lecture.lecture_id] = (len(self._lectures), number, lecture.duration_seconds)

    def __contains__(self, lecture_id: bytes) -> bool:
        return lecture_id in self._lectures

    def index(self, lecture_id: bytes) -> int:
        """Where the lecture stands in `CourseProgress.lectures`."""
        return self._lectures[lecture_id][0]

    def duration(self, lecture_id: bytes) -> int:
        """The lecture's length in seconds; 0: unknown."""
        return self._lectures[lecture_id][2]

    def fill(self, message: progress_pb2.CourseProgress, standing: Standing) -> None:
        """Write the student's progress into an empty message."""
        message.MergeFromString(self._blank)
        message.student_id = to_text(standing.student_id)
        self._fill_lectures(message, standing)
        for number, quiz_id in enumerate(self.outline.quiz_ids):
            if quiz_id in standing.quizzes:
                _fill_quiz(message.quizzes[number], standing.quizzes[quiz_id])
        if self.outline.exam_id is not None:
            _fill_quiz(message.exam, standing.quizzes.get(self.outline.exam_id, UNTRIED))
        message.certificate_id = standing.certificate_id
        if standing.activity:
            _set_time(message.last_activity_time, standing.activity)
        if standing.complete:
            _set_time(message.complete_time, standing.complete)

    def _fill_lectures(self, message: progress_pb2.CourseProgress, standing: Standing) -> None:
        completed = [0] * len(self._totals)
        lectures = message.lectures
        for lecture_id, state in standing.lectures.items():
            place = self._lectures.get(lecture_id)
            if place is None:
                continue  # deleted since
            lecture = lectures[place[0]]
            lecture.position_seconds = state.position_seconds
            if state.complete:
                _set_time(lecture.complete_time, state.complete)
                completed[place[1]] += 1
        for count, total, module in zip(completed, self._totals, message.modules, strict=True):
            if count:
                module.lectures_completed = count
                module.percent = rules.percent(count, total)
        message.lectures_completed = sum(completed)
        message.percent = rules.percent(message.lectures_completed, len(self._lectures))


def child_course(row: ChildCourseRow) -> families_pb2.ChildCourse:
    """A course of a child, in short."""
    return families_pb2.ChildCourse(
        course_id=to_text(row.course_id),
        course_title=row.title,
        status=row.status,
        percent=rules.percent(row.lectures_completed, row.lectures_total),
        lectures_completed=row.lectures_completed,
        lectures_total=row.lectures_total,
        certificate_id=row.certificate_id or "",
        enroll_time=to_timestamp(row.enroll_time),
        last_activity_time=to_timestamp(row.last_activity_time),
        complete_time=to_timestamp(row.complete_time),
    )


def grade(row: GradeRow) -> progress_pb2.Grade:
    """A line of the gradebook."""
    return progress_pb2.Grade(
        student_id=to_text(row.student_id),
        display_name=row.display_name,
        email=row.email,
        percent=rules.percent(row.lectures_completed, row.lectures_total),
        lectures_completed=row.lectures_completed,
        lectures_total=row.lectures_total,
        quiz_average_percent=row.quiz_percent,
        exam_best_percent=row.exam_percent,
        exam_passed=bool(row.exam_passed),
        score_percent=None if row.score < 0 else row.score,
        last_activity_time=to_timestamp(row.last_activity_time),
        complete_time=to_timestamp(row.complete_time),
        enroll_time=to_timestamp(row.enroll_time),
    )


class Sheets:
    """The sheets of the outlines in use."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Sheet] = {}

    def of(self, outline: Outline) -> Sheet:
        """The outline's sheet; made anew when the outline is another one than last time."""
        sheet = self._kept.get(outline.course_id)
        if sheet is None or sheet.outline is not outline:
            if len(self._kept) >= MAX_SHEETS:
                self._kept.clear()
            sheet = self._kept[outline.course_id] = Sheet(outline)
        return sheet


def _blank(outline: Outline) -> progress_pb2.CourseProgress:
    blank = progress_pb2.CourseProgress(course_id=to_text(outline.course_id), lectures_total=len(outline.lecture_ids))
    for module in outline.modules:
        blank.modules.add(module_id=to_text(module.module_id), lectures_total=len(module.lectures))
    for lecture_id in outline.lecture_ids:
        blank.lectures.add(lecture_id=to_text(lecture_id))
    for quiz_id in outline.quiz_ids:
        blank.quizzes.add(quiz_id=to_text(quiz_id))
    if outline.exam_id is not None:
        blank.exam.quiz_id = to_text(outline.exam_id)
    return blank


def _set_time(message: Timestamp, moment: int) -> None:
    seconds, microseconds = divmod(moment, 1_000_000)
    message.seconds = seconds
    message.nanos = microseconds * 1000


def _fill_quiz(message: progress_pb2.QuizProgress, state: QuizState) -> None:
    message.best_percent = state.best_percent
    message.passed = state.passed
    message.attempts = state.attempts
