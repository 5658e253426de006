"""The JSON codec alone: a course with 4 modules of 5 lectures, encoded by ours and by the reference."""

from __future__ import annotations

import json
import timeit

from google.protobuf import json_format
from rich.console import Console

from http_gateway.json_codec import JsonCodec
from skillforge.v1 import courses_pb2

ROUNDS = 2000


def course_tree() -> courses_pb2.Course:
    """A course of 4 modules and 20 lectures."""
    course = courses_pb2.Course(
        id="0190e7a8-0000-7000-8000-000000000001", title="Course", description="lorem ipsum dolor " * 20,
        tags=["one", "two"], level=courses_pb2.COURSE_LEVEL_BEGINNER, language="en", status=courses_pb2.COURSE_STATUS_PUBLISHED,
        lecture_count=20, enrollment_count=1000, etag="7",
    )  # fmt: skip
    course.price.amount_minor, course.price.currency = 4900, "USD"
    course.instructor.id, course.instructor.display_name = course.id, "Ada Lovelace"
    for stamp in (course.create_time, course.update_time, course.publish_time):
        stamp.seconds, stamp.nanos = 1_790_000_000, 123_456_000
    for module in range(1, 5):
        added = course.modules.add(id=course.id, title=f"Module {module}", position=module)
        for lecture in range(1, 6):
            added.lectures.add(
                id=course.id,
                title=f"Lecture {lecture}",
                position=lecture,
                duration_seconds=300,
                has_notes=True,
                quiz_id=course.id,
            )
    return course


def print_figures(console: Console) -> None:
    """Print microseconds a message, best of five."""
    encode = JsonCodec([courses_pb2.Course.DESCRIPTOR]).encoder(courses_pb2.Course)
    course = course_tree()
    ours = best(lambda: encode(course))
    reference = best(lambda: json.dumps(json_format.MessageToDict(course, always_print_fields_with_no_presence=True)), 50)
    console.print(
        f"codec, course of 4 modules and 20 lectures: ours {ours:.1f} µs, json_format {reference:.0f} µs (target ≤ 35 µs)"
    )


def best(work: object, rounds: int = ROUNDS) -> float:
    return min(timeit.repeat(work, number=rounds, repeat=5)) / rounds * 1e6  # type: ignore[arg-type]
