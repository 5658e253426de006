"""Rows of enrollments as messages of the contract."""

from __future__ import annotations

from core.enrollments.queries import EnrollmentRow, StudentRow
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import enrollments_pb2


def enrollment(row: EnrollmentRow) -> enrollments_pb2.Enrollment:
    """An enrollment as its student sees it."""
    return enrollments_pb2.Enrollment(
        course_id=to_text(row.course_id),
        course_title=row.course_title,
        student_id=to_text(row.student_id),
        status=row.status,
        lectures_completed=row.lectures_completed,
        lectures_total=row.lectures_total,
        create_time=to_timestamp(row.create_time),
        complete_time=to_timestamp(row.complete_time),
    )


def student(row: StudentRow) -> enrollments_pb2.CourseStudent:
    """An enrollment as the course's instructor sees it."""
    return enrollments_pb2.CourseStudent(
        student_id=to_text(row.student_id),
        display_name=row.display_name,
        email=row.email,
        status=row.status,
        lectures_completed=row.lectures_completed,
        lectures_total=row.lectures_total,
        create_time=to_timestamp(row.create_time),
        complete_time=to_timestamp(row.complete_time),
    )
