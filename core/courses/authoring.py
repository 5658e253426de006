"""What authors do to a course as a whole: its metadata and its status."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.empty_pb2 import Empty

from contract.errors import Violation
from core.analytics import rollups
from core.audit.record import changed, record
from core.call import Call
from core.courses import access, audited, indexing, messages, queries, rules
from core.courses.catalog import CourseCatalog, load_outline
from core.courses.rows import CourseFields, CourseHead, OutlineRow
from core.creations.repeats import created_before
from core.db import Database, Reader, Transaction
from core.errors import FailedPrecondition, InvalidArgument, missing, stale_etag
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import courses_pb2

_DRAFT = courses_pb2.COURSE_STATUS_DRAFT
_PUBLISHED = courses_pb2.COURSE_STATUS_PUBLISHED
_ARCHIVED = courses_pb2.COURSE_STATUS_ARCHIVED


class CourseAuthoring:
    """Metadata and status of courses."""

    _db: Database
    _catalog: CourseCatalog

    async def create_course(self, call: Call, request: courses_pb2.CreateCourseRequest) -> courses_pb2.Course:
        """A new draft of the caller's."""
        fields, course_id = _fields(request), new_id()

        async def work(tx: Transaction) -> courses_pb2.Course:
            known_id = await created_before(tx, call, request, course_id)
            if known_id is not None:
                return await load_message(tx, known_id)
            await queries.insert_course(tx, course_id, call.user.user_id, fields, call.now)
            await queries.replace_tags(tx, course_id, rules.tidy_tags(request.tags))
            message = await _indexed(tx, course_id)
            await record(tx, call, "course", to_text(course_id), after=audited.course(message))
            await rollups.courses_moved(tx, [], [_DRAFT])
            return message

        return await self._db.transact(work)

    async def update_course(self, call: Call, request: courses_pb2.UpdateCourseRequest) -> courses_pb2.Course:
        """Replace the metadata."""
        fields, course_id = _fields(request), to_bytes(request.course_id)

        async def work(tx: Transaction) -> courses_pb2.Course:
            head = await access.lock_owned(tx, call, course_id)
            access.check_etag(call, "course", head.version)
            before = await load_message(tx, course_id)
            if not await queries.update_course(tx, course_id, head.version, fields):
                raise stale_etag("course")
            await queries.replace_tags(tx, course_id, rules.tidy_tags(request.tags))
            await self._catalog.changed(tx, course_id, listed=head.status == _PUBLISHED)
            after = await _indexed(tx, course_id)
            await record(tx, call, "course", request.course_id, *changed(audited.course(before), audited.course(after)))
            return after

        return await self._db.transact(work)

    async def delete_course(self, call: Call, request: courses_pb2.DeleteCourseRequest) -> Empty:
        """Archive. A repeat changes nothing."""

        async def work(tx: Transaction) -> Empty:
            head = await self._head(tx, call, request.course_id)
            await self._move(tx, call, head, _ARCHIVED)
            return Empty()

        return await self._db.transact(work)

    async def publish_course(self, call: Call, request: courses_pb2.PublishCourseRequest) -> courses_pb2.Course:
        """Publish a draft. Raises FailedPrecondition: COURSE_NOT_PUBLISHABLE with all that is missing, COURSE_ARCHIVED."""

        async def work(tx: Transaction) -> courses_pb2.Course:
            head = await self._head(tx, call, request.course_id)
            _refuse_archived(head)
            if head.status == _DRAFT:
                await _check_publishable(tx, head)
            await self._move(tx, call, head, _PUBLISHED)
            return await load_message(tx, head.course_id)

        return await self._db.transact(work)

    async def unpublish_course(self, call: Call, request: courses_pb2.UnpublishCourseRequest) -> courses_pb2.Course:
        """Make a published course a draft again. Raises FailedPrecondition (COURSE_ARCHIVED)."""

        async def work(tx: Transaction) -> courses_pb2.Course:
            head = await self._head(tx, call, request.course_id)
            _refuse_archived(head)
            await self._move(tx, call, head, _DRAFT)
            return await load_message(tx, head.course_id)

        return await self._db.transact(work)

    async def _head(self, tx: Transaction, call: Call, course_id: str) -> CourseHead:
        head = await access.lock_owned(tx, call, to_bytes(course_id))
        access.check_etag(call, "course", head.version)
        return head

    async def _move(self, tx: Transaction, call: Call, head: CourseHead, status: int) -> None:
        """Set the status, unless it is that already."""
        if head.status != status:
            publish_time = head.publish_time if status == _ARCHIVED else call.now if status == _PUBLISHED else None
            if not await queries.set_status(tx, head, status, publish_time):
                raise stale_etag("course")
            await self._catalog.changed(tx, head.course_id, listed=_PUBLISHED in (head.status, status))
            await rollups.courses_moved(tx, [head.status], [status])
        await record(tx, call, "course", to_text(head.course_id), audited.status(head.status), audited.status(status))


async def load_message(db: Reader, course_id: bytes) -> courses_pb2.Course:
    """The course as it is now."""
    outline = await load_outline(db, course_id)
    if outline is None:
        raise missing("course")
    return outline.message


async def _indexed(tx: Transaction, course_id: bytes) -> courses_pb2.Course:
    """The course as it is now, and found by what it says now."""
    message = await load_message(tx, course_id)
    await indexing.put(tx, course_id, message)
    return message


async def _check_publishable(tx: Transaction, head: CourseHead) -> None:
    row = await queries.course(tx, head.course_id)
    modules = [
        rules.ModuleContent(title, [_content(lecture) for lecture in lectures])
        for (_, title), lectures in messages.by_module(await queries.outline(tx, head.course_id))
    ]
    lacking = rules.publish_violations(head.description, modules, row.exam_question_count if row else None)
    if lacking:
        raise FailedPrecondition("COURSE_NOT_PUBLISHABLE", "The course is not ready: see what is missing.", violations=lacking)


def _content(row: OutlineRow) -> rules.LectureContent:
    return rules.LectureContent(row.title, bool(row.has_video or row.has_notes), row.question_count)


def _refuse_archived(head: CourseHead) -> None:
    if head.status == _ARCHIVED:
        raise FailedPrecondition("COURSE_ARCHIVED", "The course is archived; it cannot be published again.")


class _Metadata(Protocol):
    """What creating and updating a course have in common."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def price(self) -> courses_pb2.Money: ...
    @property
    def level(self) -> courses_pb2.CourseLevel.ValueType: ...
    @property
    def language(self) -> str: ...


def _fields(request: _Metadata) -> CourseFields:
    price = request.price
    violations: list[Violation] = rules.price_violations(price.amount_minor, price.currency)
    if violations:
        raise InvalidArgument("INVALID_ARGUMENT", f"The price's currency {violations[0].description}.", violations=violations)
    currency = price.currency or rules.DEFAULT_CURRENCY
    return CourseFields(request.title, request.description, price.amount_minor, currency, request.level, request.language)
