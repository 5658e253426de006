"""What the audit log keeps of courses and their parts."""

from __future__ import annotations

from collections.abc import Sequence

from core.audit.record import State, summary
from core.courses.rows import LectureFields, LectureRow
from core.ids import to_text
from skillforge.v1 import courses_pb2


def course(message: courses_pb2.Course) -> State:
    """A course's metadata."""
    return {
        "title": message.title,
        "description": summary(message.description),
        "priceMinor": message.price.amount_minor,
        "currency": message.price.currency,
        "tags": list(message.tags),
        "level": courses_pb2.CourseLevel.Name(message.level),
        "language": message.language,
    }


def status(number: int) -> State:
    """A course's status."""
    return {"status": courses_pb2.CourseStatus.Name(courses_pb2.CourseStatus.ValueType(number))}


def lecture(content: LectureFields | LectureRow) -> State:
    """A lecture's content."""
    return {
        "title": content.title,
        "videoUrl": content.video_url,
        "durationSeconds": content.duration_seconds,
        "notes": summary(content.notes),
        "preview": bool(content.preview),
    }


def outline(order: Sequence[tuple[bytes, Sequence[bytes]]]) -> State:
    """The order of modules and lectures."""
    modules = [{"moduleId": to_text(item), "lectureIds": [to_text(one) for one in lectures]} for item, lectures in order]
    return {"modules": modules}
