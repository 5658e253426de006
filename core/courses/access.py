"""Who may read and who may change a course. Quizzes and enrollments ask here too."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from core.call import Call
from core.courses import queries
from core.courses.rows import CourseHead
from core.db import Reader, Transaction
from core.errors import NotAllowed, missing, stale_etag
from skillforge.v1 import courses_pb2


class Viewing(NamedTuple):
    """What decides whether somebody may read a part of a course: read in the statement that reads the part."""

    instructor_id: bytes
    status: int
    # Anyone may read it while the course is published.
    preview: bool
    # The caller's own enrollment is active; for a parent, that of a child.
    enrolled: bool


def is_owner(call: Call, instructor_id: bytes) -> bool:
    """Whether the caller is this instructor or an admin."""
    caller = call.caller
    return caller is not None and (caller.user_id == instructor_id or caller.is_admin)


def caller_id(call: Call) -> bytes:
    """The caller's id for a statement; that of nobody when nobody is signed in."""
    return call.caller.user_id if call.caller else b""


def require_reader(call: Call, what: str, viewing: Viewing) -> bool:
    """Whether the caller reads `what` as its owner, with all there is (True), or as a reader (False).

    Raises NotFound for a part of a course that is not published, else Unauthenticated or NotAllowed (NOT_ENROLLED).
    """
    if is_owner(call, viewing.instructor_id):
        return True
    published = viewing.status == courses_pb2.COURSE_STATUS_PUBLISHED
    if viewing.enrolled or (viewing.preview and published):
        return False
    if not published:
        raise missing(what)
    raise_not_enrolled(call)


def raise_not_enrolled(call: Call) -> NoReturn:
    """Refuse a caller without an active enrollment: Unauthenticated when nobody is signed in."""
    _ = call.user
    raise NotAllowed("NOT_ENROLLED", "Only those enrolled in the course may do this. Enroll first.")


async def require_owner(db: Reader, call: Call, course_id: bytes, what: str = "course") -> CourseHead:
    """The course, when the caller is its instructor or an admin; else NotFound for `what`, the part asked for."""
    head = await queries.course_head(db, course_id, call.user.user_id, call.user.is_admin)
    if head is None:
        raise missing(what)
    return head


async def lock_owned(tx: Transaction, call: Call, course_id: bytes, what: str = "course") -> CourseHead:
    """As `require_owner`, and every other write to the course or its outline waits for this transaction (on a
    cluster: one of the two is repeated). Make it the first write of every change an author makes."""
    if not await queries.touch_course(tx, course_id, call.user.user_id, call.user.is_admin, call.now):
        raise missing(what)
    return await require_owner(tx, call, course_id, what)


def check_etag(call: Call, what: str, version: int | None) -> None:
    """Raise the stale-etag error when `If-Match` names another version than this; None: there is nothing yet."""
    if call.if_match is not None and call.if_match != str(version):
        raise stale_etag(what)
