"""Who may enter a course and who may learn in it: asked by every feature that teaches or sells."""

from __future__ import annotations

from collections.abc import Collection

from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import Outline
from core.db import Reader
from core.enrollments import queries
from core.errors import FailedPrecondition, NotAllowed, missing
from skillforge.v1 import courses_pb2


async def is_enrolled(db: Reader, student_id: bytes, course_id: bytes) -> bool:
    """Whether the student has access to the course now."""
    return await queries.is_active(db, student_id, course_id)


async def taught_among(db: Reader, pairs: Collection[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
    """Those pairs of people of whom one teaches the other, who is enrolled now; whichever stands first."""
    people = {person for pair in pairs for person in pair}
    taught = await queries.taught_among(db, people)
    return {pair for pair in pairs if pair in taught or pair[::-1] in taught}


async def require_enrolled(db: Reader, student_id: bytes, course_id: bytes) -> None:
    """Raise NotAllowed (NOT_ENROLLED) unless the student has access to the course now."""
    if not await is_enrolled(db, student_id, course_id):
        raise not_enrolled()


def not_enrolled() -> NotAllowed:
    """The error for a student without access to a course."""
    return NotAllowed("NOT_ENROLLED", "Only those enrolled in the course may do this. Enroll first.")


def require_open(call: Call, outline: Outline | None) -> Outline:
    """The course, when it takes students: a published one.

    Raises NotFound when the caller may not even see it, FailedPrecondition (COURSE_NOT_PUBLISHED) for its owner and admins.
    """
    if outline is not None and outline.status == courses_pb2.COURSE_STATUS_PUBLISHED:
        return outline
    if outline is None or not is_owner(call, outline.instructor_id):
        raise missing("course")
    raise FailedPrecondition("COURSE_NOT_PUBLISHED", "The course is not published, so nobody can enroll in it. Publish it first.")
