"""The gradebook: a course's students with their results, by the page or all as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from google.api.httpbody_pb2 import HttpBody

from core.call import Call
from core.courses.access import is_owner
from core.courses.catalog import CourseCatalog
from core.csv_text import Cell, csv_lines
from core.db import Database
from core.errors import missing
from core.ids import to_bytes, to_text
from core.pages import Key, Pages
from core.progress import queries
from core.progress.messages import grade
from core.progress.queries import GradeOrder, GradeRow
from core.progress.rules import percent
from skillforge.v1 import progress_pb2

CSV = "text/csv; charset=utf-8; header=present"
EXPORT_ROWS = 1000
_TIMES = frozenset({progress_pb2.GRADEBOOK_ORDER_LAST_ACTIVITY, progress_pb2.GRADEBOOK_ORDER_ENROLL_TIME})
_HEADER = (
    "studentId", "displayName", "email", "percent", "lecturesCompleted", "lecturesTotal", "quizAveragePercent",
    "examBestPercent", "examPassed", "scorePercent", "lastActivityTime", "completeTime", "enrollTime",
)  # fmt: skip


class Gradebook:
    """What the course's instructor and admins read of its students."""

    _db: Database
    _catalog: CourseCatalog
    _pages: Pages

    async def list_grades(self, call: Call, request: progress_pb2.ListGradesRequest) -> progress_pb2.ListGradesResponse:
        """A page of the students who have access now, in the order asked for. Raises NotFound."""
        course_id, order = await self._readable(call, request), _order(request)
        page = self._pages.open(call, request, scope=(course_id, int(order.by), order.descending))
        after = (_value(order, page.after[0]), bytes.fromhex(str(page.after[1]))) if page.after else None
        rows = await queries.grades(self._db, course_id, order, after, page.size + 1)
        kept, token = page.close(rows, _key)
        return progress_pb2.ListGradesResponse(grades=[grade(row) for row in kept], next_page_token=token)

    async def export_grades(self, call: Call, request: progress_pb2.ExportGradesRequest) -> AsyncIterator[HttpBody]:
        """The whole gradebook in the order asked for, some rows at a time. Raises NotFound.

        The rows are not of one moment: who moves in the order meanwhile may be left out or come twice.
        """
        course_id, order = await self._readable(call, request), _order(request)
        yield HttpBody(content_type=CSV, data=csv_lines([_HEADER]))
        after: tuple[object, bytes] | None = None
        while True:
            rows = await queries.grades(self._db, course_id, order, after, EXPORT_ROWS)
            if rows:
                yield HttpBody(content_type=CSV, data=csv_lines(_cells(row) for row in rows))
            if len(rows) < EXPORT_ROWS:
                return
            after = (rows[-1].place, rows[-1].student_id)

    async def _readable(self, call: Call, request: _Request) -> bytes:
        course_id = to_bytes(request.course_id)
        outline = await self._catalog.outline(course_id)
        if outline is None or not is_owner(call, outline.instructor_id):
            raise missing("course")
        return course_id


class _Request(Protocol):
    """What both requests say."""

    @property
    def course_id(self) -> str: ...
    @property
    def order_by(self) -> progress_pb2.GradebookOrder.ValueType: ...
    @property
    def descending(self) -> bool: ...


def _order(request: _Request) -> GradeOrder:
    return GradeOrder(request.order_by or progress_pb2.GRADEBOOK_ORDER_NAME, request.descending)


def _key(row: GradeRow) -> Key:
    place = row.place.isoformat() if isinstance(row.place, datetime) else row.place
    return place, row.student_id.hex()


def _value(order: GradeOrder, place: object) -> object:
    return datetime.fromisoformat(str(place)) if order.by in _TIMES else place


def _cells(row: GradeRow) -> Sequence[Cell]:
    return (
        to_text(row.student_id), row.display_name, row.email, percent(row.lectures_completed, row.lectures_total),
        row.lectures_completed, row.lectures_total, row.quiz_percent, row.exam_percent, bool(row.exam_passed),
        None if row.score < 0 else row.score, row.last_activity_time, row.complete_time, row.enroll_time,
    )  # fmt: skip
