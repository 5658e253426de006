"""Courses and their outlines, kept in the process: what every reader of a course starts from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.courses import messages, queries
from core.courses.flights import Flight
from core.courses.rows import CourseRow, OutlineRow
from core.db import Database, Reader, Transaction
from core.redis import Invalidations, LocalCache
from skillforge.v1 import courses_pb2

# Changes drop entries at once, everywhere; the age bounds what nothing announces: enrollment counts and names.
OUTLINE_SECONDS = 15.0
LIST_SECONDS = 5.0
LECTURE_SECONDS = 300.0
MAX_OUTLINES = 1000
MAX_LECTURES = 50_000
MAX_LISTS = 256
# A longer page than this is not kept, so that the lists together stay below 64 MiB.
MAX_LIST_BYTES = 256 * 1024

_ALL_LISTS = "published"


@dataclass(frozen=True, slots=True)
class OutlineLecture:
    """A lecture's place in the outline."""

    lecture_id: bytes
    title: str
    duration_seconds: int
    preview: bool
    has_notes: bool
    quiz_id: bytes | None


@dataclass(frozen=True, slots=True)
class OutlineModule:
    """A module and its lectures in order."""

    module_id: bytes
    title: str
    lectures: tuple[OutlineLecture, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A course in any state with its outline. `lecture_ids` and `quiz_ids` (of lectures) are in the outline's order;
    `message` is shared by all who read it and never changed."""

    course_id: bytes
    instructor_id: bytes
    instructor_name: str
    title: str
    description: str
    status: int
    price_minor: int
    currency: str
    version: int
    modules: tuple[OutlineModule, ...]
    exam_id: bytes | None
    lecture_ids: tuple[bytes, ...]
    quiz_ids: tuple[bytes, ...]
    message: courses_pb2.Course


# The cached lists: one book of flights, dropped whole.
_Book = dict[bytes, Flight[courses_pb2.ListCoursesResponse]]


class CourseCatalog:
    """Cached outlines, lists and lectures' courses. Every author's write calls `changed` in its transaction."""

    def __init__(self, db: Database, invalidations: Invalidations) -> None:
        self._db = db
        self._outlines: LocalCache[bytes, Flight[Outline | None]] = invalidations.cache("courses", MAX_OUTLINES, OUTLINE_SECONDS)
        self._lectures: LocalCache[bytes, bytes] = invalidations.cache("lectures", MAX_LECTURES, LECTURE_SECONDS)
        self._lists: LocalCache[str, _Book] = invalidations.cache("course-lists", 1, LIST_SECONDS)

    async def outline(self, course_id: bytes, db: Reader | None = None) -> Outline | None:
        """The course and its outline, at most seconds old; None: there is no such course.

        Inside of a transaction give it as `db`: what is not cached is then read there. Waiting for another connection
        while holding one, and locks, could wait for those who wait for these.
        """
        flight = self._outlines.get(course_id)
        if flight is not None and flight.landed:
            return flight.value
        if db is not None and db is not self._db:
            return await load_outline(db, course_id)
        if flight is None or flight.failed:
            flight = Flight(lambda: load_outline(self._db, course_id))
            self._outlines.put(course_id, flight)
        return await flight.join()

    async def course_of_lecture(self, lecture_id: bytes) -> bytes | None:
        """The course a lecture belongs to; None: there is no such lecture."""
        course_id = self._lectures.get(lecture_id)
        if course_id is None:
            token = self._lectures.begin(lecture_id)
            course_id = await queries.course_of_lecture(self._db, lecture_id)
            if course_id is not None:
                self._lectures.put_if(token, course_id)
        return course_id

    async def shared_list(
        self, key: bytes, load: Callable[[], Awaitable[courses_pb2.ListCoursesResponse]]
    ) -> courses_pb2.ListCoursesResponse:
        """A list of published courses, the same object for all who ask with this key for some seconds."""
        book = self._lists.get(_ALL_LISTS)
        if book is None:
            book = {}
            self._lists.put(_ALL_LISTS, book)
        flight = book.get(key)
        if flight is not None and flight.landed:
            return flight.value
        if flight is None or flight.failed:
            flight = Flight(load)
            if len(book) >= MAX_LISTS:
                del book[next(iter(book))]
            book[key] = flight
        reply = await flight.join()
        if reply.ByteSize() > MAX_LIST_BYTES and book.get(key) is flight:
            del book[key]
        return reply

    async def changed(
        self, tx: Transaction, course_id: bytes, *, listed: bool = False, gone_lectures: Sequence[bytes] = ()
    ) -> None:
        """Drop what is cached of a course once the transaction is committed. `listed`: lists of published courses
        show the change too."""

        async def drop() -> None:
            await self._outlines.drop(course_id)
            if listed:
                await self._lists.drop(_ALL_LISTS)
            for lecture_id in gone_lectures:
                await self._lectures.drop(lecture_id)

        tx.after_commit(drop)


async def load_outline(db: Reader, course_id: bytes) -> Outline | None:
    """The course and its outline as they are now; three statements."""
    row = await queries.course(db, course_id)
    if row is None:
        return None
    tags = await queries.tags(db, [course_id])
    rows = await queries.outline(db, course_id)
    return _outline(row, rows, messages.course(row, tags[course_id], rows))


def _outline(row: CourseRow, rows: Sequence[OutlineRow], message: courses_pb2.Course) -> Outline:
    modules = tuple(
        OutlineModule(module_id, title, tuple(_lecture(lecture) for lecture in lectures))
        for (module_id, title), lectures in messages.by_module(rows)
    )
    lectures = [lecture for module in modules for lecture in module.lectures]
    return Outline(
        course_id=row.course_id,
        instructor_id=row.instructor_id,
        instructor_name=row.instructor_name,
        title=row.title,
        description=row.description,
        status=row.status,
        price_minor=row.price_minor,
        currency=row.currency,
        version=row.version,
        modules=modules,
        exam_id=row.exam_id,
        lecture_ids=tuple(lecture.lecture_id for lecture in lectures),
        quiz_ids=tuple(lecture.quiz_id for lecture in lectures if lecture.quiz_id),
        message=message,
    )


def _lecture(row: OutlineRow) -> OutlineLecture:
    assert row.lecture_id is not None  # by_module leaves the rows of empty modules out
    return OutlineLecture(row.lecture_id, row.title, row.duration_seconds, bool(row.preview), bool(row.has_notes), row.quiz_id)
