"""What becomes of courses whose author's account is erased."""

from __future__ import annotations

from contract.errors import Violation
from core.analytics import rollups
from core.courses import queries
from core.courses.catalog import CourseCatalog
from core.courses.rows import OwnedCourse
from core.db import Transaction
from core.errors import FailedPrecondition
from core.ids import to_text
from skillforge.v1 import courses_pb2

_PUBLISHED = courses_pb2.COURSE_STATUS_PUBLISHED
_ARCHIVED = courses_pb2.COURSE_STATUS_ARCHIVED
# More are not named; their number is.
_NAMED = 20


class CourseLeaving:
    """The part of courses in the erasure of an account."""

    _catalog: CourseCatalog

    async def leave(self, tx: Transaction, author_id: bytes) -> dict[str, object]:
        """Archive all courses of an author who leaves; returns how many that were, for the audit log.

        Raises FailedPrecondition (COURSES_WITH_STUDENTS) while published ones have students: those need a teacher.
        """
        owned = await queries.lock_all_of(tx, author_id)
        taught = [course for course in owned if course.status == _PUBLISHED and course.enrollment_count > 0]
        if taught:
            raise FailedPrecondition(
                "COURSES_WITH_STUDENTS",
                f"{len(taught)} of your published courses have students. Unpublish or archive them first.",
                violations=[_violation(course) for course in taught[:_NAMED]],
            )
        left = [course for course in owned if course.status != _ARCHIVED]
        if left:
            await queries.archive(tx, [course.course_id for course in left])
            await rollups.courses_moved(tx, [course.status for course in left], [_ARCHIVED] * len(left))
        for course in owned:  # all of them show their author's name
            await self._catalog.changed(tx, course.course_id, listed=course.status == _PUBLISHED)
        return {"archivedCourses": len(left)} if owned else {}


def _violation(course: OwnedCourse) -> Violation:
    return Violation(f"courses[{to_text(course.course_id)}]", "no_students", f"{course.title!r} has {course.enrollment_count}")
