"""What authors do inside a course: modules, lectures and their order.

Each change first locks the course (`access.lock_owned`), so that positions and counts are changed by one at a time.
"""

from __future__ import annotations

from typing import Protocol

from google.protobuf.empty_pb2 import Empty

from core.analytics import rollups
from core.audit.record import changed, record
from core.call import Call
from core.courses import access, audited, messages, queries, rules
from core.courses.authoring import load_message
from core.courses.catalog import CourseCatalog
from core.courses.rows import CourseHead, LectureFields, LectureRow, ModuleRow
from core.creations.repeats import created_before
from core.db import Database, Transaction
from core.errors import FailedPrecondition, InvalidArgument, missing, stale_etag
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import courses_pb2

_Order = list[tuple[bytes, list[bytes]]]


class OutlineAuthoring:
    """Modules and lectures of courses."""

    _db: Database
    _catalog: CourseCatalog

    async def update_outline(self, call: Call, request: courses_pb2.UpdateOutlineRequest) -> courses_pb2.Course:
        """Reorder. Raises InvalidArgument (OUTLINE_NOT_A_PERMUTATION) with all that is missing, extra or repeated."""
        course_id = to_bytes(request.course_id)
        wanted = [(to_bytes(module.module_id), [to_bytes(item) for item in module.lecture_ids]) for module in request.modules]

        async def work(tx: Transaction) -> courses_pb2.Course:
            head = await access.lock_owned(tx, call, course_id)
            access.check_etag(call, "course", head.version)
            present = await _order(tx, course_id)
            _check_permutation(present, wanted)
            if not await queries.bump_version(tx, course_id, head.version):
                raise stale_etag("course")
            await queries.order_modules(tx, course_id, [module_id for module_id, _ in wanted])
            before = dict(present)
            for module_id, lecture_ids in wanted:
                if before[module_id] != lecture_ids:
                    await queries.order_lectures(tx, course_id, module_id, lecture_ids)
            await self._catalog.changed(tx, course_id, listed=_listed(head))
            await record(tx, call, "course", request.course_id, audited.outline(present), audited.outline(wanted))
            return await load_message(tx, course_id)

        return await self._db.transact(work)

    async def create_module(self, call: Call, request: courses_pb2.CreateModuleRequest) -> courses_pb2.Module:
        """Append a module. Raises FailedPrecondition (LIMIT_REACHED)."""
        course_id, module_id = to_bytes(request.course_id), new_id()

        async def work(tx: Transaction) -> courses_pb2.Module:
            known_id = await created_before(tx, call, request, module_id)
            if known_id is not None:
                return messages.module(await _module(tx, known_id))
            await access.lock_owned(tx, call, course_id)
            last = await queries.last_module_position(tx, course_id)
            if last >= rules.MAX_MODULES:
                raise FailedPrecondition("LIMIT_REACHED", f"A course has at most {rules.MAX_MODULES} modules.")
            row = ModuleRow(module_id, course_id, request.title, last + 1)
            await queries.insert_module(tx, row, call.now)
            await self._catalog.changed(tx, course_id)
            await record(tx, call, "module", to_text(module_id), after={"title": row.title, "courseId": request.course_id})
            return messages.module(row)

        return await self._db.transact(work)

    async def update_module(self, call: Call, request: courses_pb2.UpdateModuleRequest) -> courses_pb2.Module:
        """Rename a module."""

        async def work(tx: Transaction) -> courses_pb2.Module:
            row, _ = await _locked_module(tx, call, to_bytes(request.module_id))
            await queries.rename_module(tx, row.module_id, request.title)
            await self._catalog.changed(tx, row.course_id)
            await record(tx, call, "module", request.module_id, before={"title": row.title}, after={"title": request.title})
            return messages.module(row._replace(title=request.title))

        return await self._db.transact(work)

    async def delete_module(self, call: Call, request: courses_pb2.DeleteModuleRequest) -> Empty:
        """Delete a module, its lectures and their quizzes."""

        async def work(tx: Transaction) -> Empty:
            row, head = await _locked_module(tx, call, to_bytes(request.module_id))
            gone = await queries.lectures_of_module(tx, row.module_id)
            await self._delete_lectures(tx, head, gone)
            await queries.delete_module(tx, row)
            lectures = [to_text(item) for item in gone]
            before = {"title": row.title, "courseId": to_text(row.course_id), "lectureIds": lectures}
            await record(tx, call, "module", request.module_id, before=before)
            return Empty()

        return await self._db.transact(work)

    async def create_lecture(self, call: Call, request: courses_pb2.CreateLectureRequest) -> courses_pb2.Lecture:
        """Append a lecture. Raises FailedPrecondition (LIMIT_REACHED)."""
        fields, lecture_id = _fields(request), new_id()

        async def work(tx: Transaction) -> courses_pb2.Lecture:
            known_id = await created_before(tx, call, request, lecture_id)
            if known_id is not None:
                return messages.lecture(await _lecture(tx, call, known_id))
            row, head = await _locked_module(tx, call, to_bytes(request.module_id))
            if not await queries.add_lecture_count(tx, row.course_id, 1, rules.MAX_LECTURES):
                raise FailedPrecondition("LIMIT_REACHED", f"A course has at most {rules.MAX_LECTURES} lectures.")
            position = await queries.last_lecture_position(tx, row.module_id) + 1
            await queries.insert_lecture(tx, lecture_id, row, position, fields, call.now)
            await self._catalog.changed(tx, row.course_id, listed=_listed(head))
            after = {"moduleId": request.module_id, **audited.lecture(fields)}
            await record(tx, call, "lecture", to_text(lecture_id), after=after)
            return messages.lecture(await _lecture(tx, call, lecture_id))

        return await self._db.transact(work)

    async def update_lecture(self, call: Call, request: courses_pb2.UpdateLectureRequest) -> courses_pb2.Lecture:
        """Replace a lecture's content."""
        fields, lecture_id = _fields(request), to_bytes(request.lecture_id)

        async def work(tx: Transaction) -> courses_pb2.Lecture:
            row, _ = await _locked_lecture(tx, call, lecture_id)
            if not await queries.update_lecture(tx, lecture_id, row.version, fields, call.now):
                raise stale_etag("lecture")
            await self._catalog.changed(tx, row.course_id)
            await record(tx, call, "lecture", request.lecture_id, *changed(audited.lecture(row), audited.lecture(fields)))
            return messages.lecture(await _lecture(tx, call, lecture_id))

        return await self._db.transact(work)

    async def delete_lecture(self, call: Call, request: courses_pb2.DeleteLectureRequest) -> Empty:
        """Delete a lecture and its quiz."""

        async def work(tx: Transaction) -> Empty:
            row, head = await _locked_lecture(tx, call, to_bytes(request.lecture_id))
            await self._delete_lectures(tx, head, [row.lecture_id])
            await queries.close_lecture_gap(tx, row.module_id, row.position)
            before = {"moduleId": to_text(row.module_id), **audited.lecture(row)}
            await record(tx, call, "lecture", request.lecture_id, before=before)
            return Empty()

        return await self._db.transact(work)

    async def _delete_lectures(self, tx: Transaction, head: CourseHead, lecture_ids: list[bytes]) -> None:
        count = await queries.delete_lectures(tx, lecture_ids)
        await queries.add_lecture_count(tx, head.course_id, -count, rules.MAX_LECTURES)
        if count:
            await rollups.content_deleted(tx, head.course_id)
        await self._catalog.changed(tx, head.course_id, listed=_listed(head), gone_lectures=lecture_ids)


async def _locked_module(tx: Transaction, call: Call, module_id: bytes) -> tuple[ModuleRow, CourseHead]:
    """A module of a course of the caller's, read again once the course is locked; else NotFound."""
    found = await _module(tx, module_id)
    head = await access.lock_owned(tx, call, found.course_id, "module")
    return await _module(tx, module_id), head


async def _module(tx: Transaction, module_id: bytes) -> ModuleRow:
    row = await queries.module(tx, module_id)
    if row is None:
        raise missing("module")
    return row


async def _locked_lecture(tx: Transaction, call: Call, lecture_id: bytes) -> tuple[LectureRow, CourseHead]:
    """A lecture of a course of the caller's in the version `If-Match` names, read again once the course is locked."""
    course_id = await queries.course_of_lecture(tx, lecture_id)
    if course_id is None:
        raise missing("lecture")
    head = await access.lock_owned(tx, call, course_id, "lecture")
    row = await _lecture(tx, call, lecture_id)
    access.check_etag(call, "lecture", row.version)
    return row, head


async def _lecture(tx: Transaction, call: Call, lecture_id: bytes) -> LectureRow:
    row = await queries.lecture(tx, lecture_id, access.caller_id(call))
    if row is None:
        raise missing("lecture")
    return row


async def _order(tx: Transaction, course_id: bytes) -> _Order:
    rows = await queries.outline(tx, course_id)
    return [
        (module_id, [row.lecture_id for row in lectures if row.lecture_id])
        for (module_id, _), lectures in messages.by_module(rows)
    ]


def _check_permutation(present: _Order, wanted: _Order) -> None:
    violations = rules.outline_violations(_as_text(present), _as_text(wanted))
    if violations:
        raise InvalidArgument(
            "OUTLINE_NOT_A_PERMUTATION",
            "The outline must name every module and lecture of the course once, and nothing else.",
            violations=violations,
        )


def _as_text(order: _Order) -> list[tuple[str, list[str]]]:
    return [(to_text(module_id), [to_text(item) for item in lecture_ids]) for module_id, lecture_ids in order]


def _listed(head: CourseHead) -> bool:
    return head.status == courses_pb2.COURSE_STATUS_PUBLISHED


class _Content(Protocol):
    """What creating and updating a lecture have in common."""

    @property
    def title(self) -> str: ...
    @property
    def video(self) -> courses_pb2.Video: ...
    @property
    def notes(self) -> str: ...
    @property
    def preview(self) -> bool: ...


def _fields(request: _Content) -> LectureFields:
    video = request.video
    has_notes = bool(request.notes.strip())
    return LectureFields(request.title, video.url, video.duration_seconds, request.notes, has_notes, request.preview)
