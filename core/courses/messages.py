"""Rows of courses as messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from core.courses.rows import CourseRow, LectureRow, ModuleRow, OutlineRow
from core.ids import to_text
from core.times import to_timestamp
from skillforge.v1 import courses_pb2


def course(row: CourseRow, tags: Sequence[str], outline: Sequence[OutlineRow] = ()) -> courses_pb2.Course:
    """A course; lists leave the outline out."""
    return courses_pb2.Course(
        id=to_text(row.course_id),
        instructor=courses_pb2.CourseInstructor(id=to_text(row.instructor_id), display_name=row.instructor_name),
        title=row.title,
        description=row.description,
        price=courses_pb2.Money(amount_minor=row.price_minor, currency=row.currency),
        tags=tags,
        level=row.level,
        language=row.language,
        status=row.status,
        modules=modules(outline),
        exam_id=to_text(row.exam_id),
        lecture_count=row.lecture_count,
        enrollment_count=row.enrollment_count,
        etag=str(row.version),
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        publish_time=to_timestamp(row.publish_time),
    )


def modules(rows: Sequence[OutlineRow]) -> list[courses_pb2.OutlineModule]:
    """The outline, numbered as it stands."""
    return [
        courses_pb2.OutlineModule(
            id=to_text(module_id),
            title=title,
            position=position,
            lectures=[_outline_lecture(row, number) for number, row in enumerate(lectures, 1)],
        )
        for position, ((module_id, title), lectures) in enumerate(by_module(rows), 1)
    ]


def by_module(rows: Sequence[OutlineRow]) -> list[tuple[tuple[bytes, str], list[OutlineRow]]]:
    """Each module's id and title with its lectures, in the order of the rows."""
    groups = groupby(rows, key=lambda row: (row.module_id, row.module_title))
    return [(module, [row for row in lectures if row.lecture_id]) for module, lectures in groups]


def _outline_lecture(row: OutlineRow, position: int) -> courses_pb2.OutlineLecture:
    return courses_pb2.OutlineLecture(
        id=to_text(row.lecture_id),
        title=row.title,
        position=position,
        duration_seconds=row.duration_seconds,
        preview=bool(row.preview),
        has_notes=bool(row.has_notes),
        quiz_id=to_text(row.quiz_id),
    )


def module(row: ModuleRow) -> courses_pb2.Module:
    return courses_pb2.Module(id=to_text(row.module_id), course_id=to_text(row.course_id), title=row.title, position=row.position)


def lecture(row: LectureRow) -> courses_pb2.Lecture:
    """A lecture with all it holds. Without a video there is no `video`."""
    video = courses_pb2.Video(url=row.video_url, duration_seconds=row.duration_seconds)
    return courses_pb2.Lecture(
        id=to_text(row.lecture_id),
        module_id=to_text(row.module_id),
        course_id=to_text(row.course_id),
        title=row.title,
        position=row.position,
        video=video if row.video_url or row.duration_seconds else None,
        notes=row.notes,
        preview=bool(row.preview),
        quiz_id=to_text(row.quiz_id),
        etag=str(row.version),
    )
