"""What everybody reads: the catalogue, a course, a lecture."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.call import Call
from core.courses import access, messages, queries, search
from core.courses.access import Viewing
from core.courses.catalog import CourseCatalog, load_outline
from core.courses.rows import CourseRow, ListFilter, Place
from core.db import Database
from core.errors import NotAllowed, missing
from core.families.access import is_parent
from core.ids import to_bytes
from core.pages import Key, Pages
from skillforge.v1 import courses_pb2, identity_pb2

_AUTHORS = frozenset({identity_pb2.ROLE_INSTRUCTOR, identity_pb2.ROLE_ADMIN})


class CourseReading:
    """The reading half of the courses service."""

    _db: Database
    _catalog: CourseCatalog
    _pages: Pages

    async def list_courses(self, call: Call, request: courses_pb2.ListCoursesRequest) -> courses_pb2.ListCoursesResponse:
        """Published courses, or with `mine` the caller's own. Raises InvalidArgument for a bad page token."""
        if request.mine:
            if call.user.role not in _AUTHORS:
                raise NotAllowed("ROLE_NOT_ALLOWED", "Only instructors and admins have courses of their own.")
            return await self._load_list(call, request, call.user.user_id)
        call.shared_reply = True
        key = request.SerializeToString(deterministic=True)
        # Everybody sees the same list, so its page tokens are nobody's own.
        return await self._catalog.shared_list(key, lambda: self._load_list(replace(call, caller=None), request, None))

    async def get_course(self, call: Call, request: courses_pb2.GetCourseRequest) -> courses_pb2.Course:
        """A course with its outline: the kept one for readers, the present one for its owner."""
        course_id = to_bytes(request.course_id)
        outline = await self._catalog.outline(course_id)
        if outline is None:
            raise missing("course")
        if access.is_owner(call, outline.instructor_id):
            outline = await load_outline(self._db, course_id)
            if outline is None:
                raise missing("course")
            return outline.message
        if outline.status != courses_pb2.COURSE_STATUS_PUBLISHED and not (
            call.caller and await queries.is_enrolled(self._db, call.caller.user_id, course_id)
        ):
            raise missing("course")
        call.shared_reply = True
        return outline.message

    async def get_lecture(self, call: Call, request: courses_pb2.GetLectureRequest) -> courses_pb2.Lecture:
        """A lecture with video and notes, for those `access.require_reader` lets in."""
        row = await queries.lecture(self._db, to_bytes(request.lecture_id), access.caller_id(call), as_parent=is_parent(call))
        if row is None:
            raise missing("lecture")
        viewing = Viewing(row.instructor_id, row.course_status, bool(row.preview), bool(row.enrolled))
        access.require_reader(call, "lecture", viewing)
        return messages.lecture(row)

    async def own_lecture(self, call: Call, lecture_id: bytes) -> courses_pb2.Lecture:
        """A lecture of the caller's own course, or any for an admin. Raises NotFound for every other."""
        row = await queries.lecture(self._db, lecture_id, call.user.user_id)
        if row is None or not access.is_owner(call, row.instructor_id):
            raise missing("lecture")
        return messages.lecture(row)

    async def _load_list(
        self, call: Call, request: courses_pb2.ListCoursesRequest, mine: bytes | None
    ) -> courses_pb2.ListCoursesResponse:
        wanted = ListFilter(
            mine=mine,
            instructor_id=to_bytes(request.instructor_id) if request.instructor_id else None,
            search=search.expression(request.query),
            tag=request.tag,
            level=request.level,
            free=request.free if request.HasField("free") else None,
            order=request.order_by or courses_pb2.COURSE_ORDER_NEWEST,
        )
        page = self._pages.open(call, request, scope=("courses", *wanted))
        rows = await queries.list_courses(self._db, wanted, _place(wanted, page.after), page.size + 1)
        kept, token = page.close(rows, key=lambda row: _key(wanted, row))
        tags = await queries.tags(self._db, [row.course_id for row in kept])
        return courses_pb2.ListCoursesResponse(
            courses=[messages.course(row, tags[row.course_id]) for row in kept], next_page_token=token
        )


def _key(wanted: ListFilter, row: CourseRow) -> Key:
    place = (row.course_id.hex(),)
    if wanted.order == courses_pb2.COURSE_ORDER_POPULAR:
        return (*place, row.enrollment_count)
    if wanted.order == courses_pb2.COURSE_ORDER_TITLE:
        return (*place, row.title)
    if wanted.mine is None and row.publish_time:
        return (*place, row.publish_time.isoformat())
    return place


def _place(wanted: ListFilter, key: Key | None) -> Place | None:
    if key is None:
        return None
    course_id, value = bytes.fromhex(str(key[0])), key[1] if len(key) > 1 else None
    if value is None or (isinstance(value, str) and wanted.order == courses_pb2.COURSE_ORDER_TITLE):
        return Place(course_id, value)
    return Place(course_id, datetime.fromisoformat(value) if isinstance(value, str) else int(value))
