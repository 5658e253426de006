"""What authors do to quizzes and exams, and who may read them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol

from google.protobuf.empty_pb2 import Empty

from contract.errors import Violation
from core.analytics import rollups
from core.audit.record import State, changed, record, summary
from core.call import Call
from core.courses import access
from core.courses.access import Viewing
from core.courses.catalog import CourseCatalog
from core.courses.rows import CourseHead
from core.db import Database, Transaction
from core.errors import InvalidArgument, missing, stale_etag
from core.families.access import is_parent
from core.ids import new_id, to_bytes, to_text
from core.quizzes import messages, queries, questions
from core.quizzes.rows import QuizFields, QuizRow
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.quizzes_pb2 import Question, Quiz


class QuizAuthoring:
    """Quizzes as authors write and everybody reads them."""

    _db: Database
    _catalog: CourseCatalog

    async def get_quiz(self, call: Call, request: quizzes_pb2.GetQuizRequest) -> Quiz:
        """A quiz or exam by its id."""
        return _readable(call, await queries.quiz(self._db, to_bytes(request.quiz_id), call.user.user_id))

    async def get_lecture_quiz(self, call: Call, request: quizzes_pb2.GetLectureQuizRequest) -> Quiz:
        """The lecture's quiz."""
        lecture_id, viewer_id = to_bytes(request.lecture_id), call.user.user_id
        return _readable(call, await queries.quiz_of_lecture(self._db, lecture_id, viewer_id, as_parent=is_parent(call)))

    async def get_exam(self, call: Call, request: quizzes_pb2.GetExamRequest) -> Quiz:
        """The course's final exam."""
        course_id, viewer_id = to_bytes(request.course_id), call.user.user_id
        return _readable(call, await queries.exam_of_course(self._db, course_id, viewer_id, as_parent=is_parent(call)))

    async def put_lecture_quiz(self, call: Call, request: quizzes_pb2.PutLectureQuizRequest) -> Quiz:
        """Create or replace the lecture's quiz. Raises InvalidArgument (QUIZ_INVALID) with all that is wrong."""
        content, lecture_id = _checked(request.questions), to_bytes(request.lecture_id)

        async def work(tx: Transaction) -> tuple[Quiz, bool]:
            head = await _locked_lecture(tx, call, lecture_id)
            present = await queries.quiz_of_lecture(tx, lecture_id, call.user.user_id)
            return await self._put(tx, call, head, lecture_id, present, _fields(request), content)

        return _answer(call, await self._db.transact(work))

    async def put_exam(self, call: Call, request: quizzes_pb2.PutExamRequest) -> Quiz:
        """Create or replace the course's final exam. Raises as `put_lecture_quiz`."""
        content, course_id = _checked(request.questions), to_bytes(request.course_id)

        async def work(tx: Transaction) -> tuple[Quiz, bool]:
            head = await access.lock_owned(tx, call, course_id)
            present = await queries.exam_of_course(tx, course_id, call.user.user_id)
            return await self._put(tx, call, head, None, present, _fields(request), content)

        return _answer(call, await self._db.transact(work))

    async def delete_lecture_quiz(self, call: Call, request: quizzes_pb2.DeleteLectureQuizRequest) -> Empty:
        """Delete the lecture's quiz; attempts stay."""
        lecture_id = to_bytes(request.lecture_id)

        async def work(tx: Transaction) -> Empty:
            head = await _locked_lecture(tx, call, lecture_id)
            return await self._delete(tx, call, head, await queries.quiz_of_lecture(tx, lecture_id, call.user.user_id))

        return await self._db.transact(work)

    async def delete_exam(self, call: Call, request: quizzes_pb2.DeleteExamRequest) -> Empty:
        """Delete the course's final exam; attempts stay."""
        course_id = to_bytes(request.course_id)

        async def work(tx: Transaction) -> Empty:
            head = await access.lock_owned(tx, call, course_id)
            return await self._delete(tx, call, head, await queries.exam_of_course(tx, course_id, call.user.user_id))

        return await self._db.transact(work)

    async def _put(
        self,
        tx: Transaction,
        call: Call,
        head: CourseHead,
        lecture_id: bytes | None,
        present: QuizRow | None,
        fields: QuizFields,
        content: list[Question],
    ) -> tuple[Quiz, bool]:
        """The quiz as it is now, and whether it is new."""
        access.check_etag(call, "quiz", present.version if present else None)
        _refuse_empty(head, content)
        quiz_id = present.quiz_id if present else new_id()
        version = present.version + 1 if present else 1
        if present is None:
            await queries.insert_quiz(tx, quiz_id, head.course_id, lecture_id, fields, len(content), call.now)
        elif not await queries.update_quiz(tx, quiz_id, present.version, fields, len(content), call.now):
            raise stale_etag("quiz")
        packed = messages.pack_questions(content)
        await queries.insert_version(tx, quiz_id, version, fields.pass_percent, packed)
        await self._catalog.changed(tx, head.course_id, listed=lecture_id is None and _is_published(head))
        after = {**_audited(fields, packed, len(content)), **_place(head, lecture_id)}
        before = {**_audited(present, present.questions, present.question_count), **_place(head, lecture_id)} if present else {}
        await record(tx, call, "quiz", to_text(quiz_id), *changed(before, after))
        return _readable(call, await queries.quiz(tx, quiz_id, call.user.user_id)), present is None

    async def _delete(self, tx: Transaction, call: Call, head: CourseHead, present: QuizRow | None) -> Empty:
        if present is None:
            raise missing("quiz")
        access.check_etag(call, "quiz", present.version)
        if not await queries.delete_quiz(tx, present.quiz_id, present.version):
            raise stale_etag("quiz")
        await rollups.content_deleted(tx, head.course_id)
        await self._catalog.changed(tx, head.course_id, listed=present.lecture_id is None and _is_published(head))
        before = {**_audited(present, present.questions, present.question_count), **_place(head, present.lecture_id)}
        await record(tx, call, "quiz", to_text(present.quiz_id), before=before)
        return Empty()


def viewing(row: QuizRow) -> Viewing:
    """What decides whether somebody may read this quiz: who may read its lecture may."""
    return Viewing(row.instructor_id, row.course_status, bool(row.preview), bool(row.enrolled))


def _readable(call: Call, row: QuizRow | None) -> Quiz:
    if row is None:
        raise missing("quiz")
    return messages.quiz(row, with_keys=access.require_reader(call, "quiz", viewing(row)))


async def _locked_lecture(tx: Transaction, call: Call, lecture_id: bytes) -> CourseHead:
    """The locked course of a lecture, when it is the caller's and the lecture is still there; else NotFound."""
    course_id = await queries.course_of_lecture(tx, lecture_id)
    if course_id is None:
        raise missing("lecture")
    head = await access.lock_owned(tx, call, course_id, "lecture")
    if await queries.course_of_lecture(tx, lecture_id) is None:
        raise missing("lecture")
    return head


def _checked(given: Sequence[Question]) -> list[Question]:
    violations = questions.check_questions(given)
    if violations:
        raise _invalid(violations)
    return questions.filled(given, lambda: secrets.token_hex(6))


def _refuse_empty(head: CourseHead, content: Sequence[Question]) -> None:
    """A draft's quiz may wait for its questions; a published course's may not."""
    if not content and _is_published(head):
        raise _invalid([Violation("questions", "required", "must not be empty: the course is published")])


def _invalid(violations: list[Violation]) -> InvalidArgument:
    return InvalidArgument("QUIZ_INVALID", "The quiz cannot be taken as it is: see what is wrong.", violations=violations)


def _is_published(head: CourseHead) -> bool:
    return head.status == courses_pb2.COURSE_STATUS_PUBLISHED


def _answer(call: Call, put: tuple[Quiz, bool]) -> Quiz:
    quiz, created = put
    if created:
        call.answer_with(201)
    return quiz


class _Settings(Protocol):
    """What lecture quizzes and exams have in common."""

    @property
    def title(self) -> str: ...
    @property
    def pass_percent(self) -> int: ...
    @property
    def time_limit_seconds(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def shuffle(self) -> bool: ...


def _audited(settings: QuizFields | QuizRow, packed: bytes, count: int) -> State:
    """What the audit log keeps of a quiz: its settings, and enough of the questions to see whether they changed."""
    return {
        "title": settings.title,
        "passPercent": settings.pass_percent,
        "timeLimitSeconds": settings.time_limit_seconds,
        "maxAttempts": settings.max_attempts,
        "shuffle": bool(settings.shuffle),
        "questionCount": count,
        "questions": summary(packed),
    }


def _place(head: CourseHead, lecture_id: bytes | None) -> State:
    return {"courseId": to_text(head.course_id), **({"lectureId": to_text(lecture_id)} if lecture_id else {})}


def _fields(request: _Settings) -> QuizFields:
    return QuizFields(request.title, request.pass_percent, request.time_limit_seconds, request.max_attempts, request.shuffle)
