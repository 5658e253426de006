"""The typed rows and parameters of this feature's statements."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from skillforge.v1 import courses_pb2


class CourseHead(NamedTuple):
    """What a change to a course starts from."""

    course_id: bytes
    instructor_id: bytes
    title: str
    description: str
    price_minor: int
    currency: str
    status: int
    version: int
    publish_time: datetime | None


class OwnedCourse(NamedTuple):
    """What decides whether an author may leave a course."""

    course_id: bytes
    title: str
    status: int
    enrollment_count: int


class CourseRow(NamedTuple):
    """A course as readers see it, without its tags and outline."""

    course_id: bytes
    instructor_id: bytes
    instructor_name: str
    title: str
    description: str
    price_minor: int
    currency: str
    level: courses_pb2.CourseLevel.ValueType
    language: str
    status: courses_pb2.CourseStatus.ValueType
    version: int
    lecture_count: int
    enrollment_count: int
    create_time: datetime
    update_time: datetime
    publish_time: datetime | None
    exam_id: bytes | None
    exam_question_count: int | None


class OutlineRow(NamedTuple):
    """One lecture in its module; a module without lectures is one row whose lecture fields are None."""

    module_id: bytes
    module_title: str
    lecture_id: bytes | None
    title: str
    duration_seconds: int
    preview: int
    has_notes: int
    has_video: int
    quiz_id: bytes | None
    question_count: int | None


class ModuleRow(NamedTuple):
    """A module and its place."""

    module_id: bytes
    course_id: bytes
    title: str
    position: int


class LectureFields(NamedTuple):
    """What an author writes of a lecture."""

    title: str
    video_url: str
    duration_seconds: int
    notes: str
    has_notes: bool
    preview: bool


class LectureRow(NamedTuple):
    """A lecture with all it holds, and what decides who may read it."""

    lecture_id: bytes
    module_id: bytes
    course_id: bytes
    title: str
    position: int
    video_url: str
    duration_seconds: int
    notes: str
    preview: int
    version: int
    quiz_id: bytes | None
    instructor_id: bytes
    course_status: int
    enrolled: int


class CourseFields(NamedTuple):
    """What an author writes of a course, without tags."""

    title: str
    description: str
    price_minor: int
    currency: str
    level: int
    language: str


class ListFilter(NamedTuple):
    """Which courses a list holds. `mine`: those of this instructor in every state, else published ones alone. `search`:
    see `core.courses.search.expression`."""

    mine: bytes | None
    instructor_id: bytes | None
    search: str | None
    tag: str
    level: int
    free: bool | None
    order: int


class Place(NamedTuple):
    """A course's place in an ordered list: its time of publication, number of enrollments or title as it was when the
    list was read; None where the id alone orders."""

    course_id: bytes
    value: datetime | int | str | None


class SearchSource(NamedTuple):
    """What a course is found by, without its tags."""

    course_id: bytes
    title: str
    description: str
    instructor_name: str


class SearchRow(NamedTuple):
    """The terms a course is found by."""

    course_id: bytes
    format: int
    content: str
    instructor: str
