"""Courses, quizzes and progress as services over a real MariaDB and Redis, called without a door."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from contract.methods import load_methods
from core.call import Call, Caller
from core.courses.catalog import CourseCatalog
from core.courses.service import CoursesService
from core.db import Database, Migrator
from core.errors import DomainError
from core.ids import new_id, to_bytes
from core.outbox import Outbox
from core.pages import Pages
from core.progress.service import ProgressService
from core.quizzes.service import QuizzesService
from core.redis import Invalidations, Redis
from core.rpc.validate import check_rules
from core.times import utc_now
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import Course, CreateCourseRequest, CreateLectureRequest, CreateModuleRequest, Lecture

METHODS = {method.name: method for method in load_methods()}
VIDEO = courses_pb2.Video(url="https://videos.example.com/1.mp4", duration_seconds=60)
_numbers = itertools.count(1)


class CountingDatabase(Database):
    """Counts the reads outside of transactions."""

    reads = 0

    async def fetch_one(self, sql: str, params: Sequence[object] = ()) -> tuple[Any, ...] | None:
        self.reads += 1
        return await super().fetch_one(sql, params)

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
        self.reads += 1
        return await super().fetch_all(sql, params)


class Classroom:
    """Use `open_classroom`. `now` is the time of the calls that follow."""

    def __init__(self, db: CountingDatabase, redis: Redis, invalidations: Invalidations) -> None:
        self.db = db
        self.now = utc_now()
        pages = Pages(b"secret of the tests")
        self.catalog = CourseCatalog(db, invalidations)
        self.progress = ProgressService(db, self.catalog, Outbox(db, redis), pages)
        self.courses = CoursesService(db, self.catalog, pages)
        self.quizzes = QuizzesService(db, self.catalog, self.progress, pages, lambda: self.now)
        self._services = {"CoursesService": self.courses, "QuizzesService": self.quizzes}
        self.last_call: Call | None = None

    async def person(self, role: str = "STUDENT") -> Caller:
        """A new account in the role."""
        number, user_id = next(_numbers), new_id()
        active = identity_pb2.USER_STATUS_ACTIVE
        caller = Caller(user_id, identity_pb2.Role.Value(f"ROLE_{role}"), active, f"{role.title()} {number}", user_id.hex(), "s")
        sql = "INSERT INTO users VALUES (%s, %s, %s, %s, '', %s, 1, 0, %s, %s)"
        row = (user_id, caller.clerk_id, f"{user_id.hex()}@example.com", caller.display_name, caller.role, self.now, self.now)
        await self.db.execute(sql, row)
        return caller

    async def run(self, request: Message, who: Caller | None = None, if_match: str | None = None, key: str = "") -> Any:
        """Call the RPC whose request this is, once the contract's rules allow it. `key`: the Idempotency-Key that the
        feature sees; nothing is replayed here."""
        method = METHODS[type(request).__name__.removesuffix("Request")]
        metadata = {
            name: value for name, value in (("if-match", if_match), ("idempotency-key", key or None)) if value is not None
        }
        deadline = asyncio.get_running_loop().time() + 10
        call = Call(method, metadata, "test", "127.0.0.1", self.now, deadline, caller=who)
        check_rules(request)
        service = self._services[method.service.rpartition(".")[2]]
        reply = await getattr(service, method.handler)(call, request)
        assert call.audited == bool(method.audit)
        self.last_call = call
        return reply

    @property
    def status(self) -> int:
        """The HTTP status of the last call."""
        assert self.last_call is not None
        return int(self.last_call.reply_metadata.get("x-http-status", self.last_call.method.success_status))

    def later(self, **duration: float) -> None:
        """Let time pass for the calls that follow."""
        self.now += timedelta(**duration)

    async def enroll(self, student: Caller, course_id: str, status: int = enrollments_pb2.ENROLLMENT_STATUS_ACTIVE) -> None:
        sql = """
            INSERT INTO enrollments (student_id, course_id, status, create_time, student_name)
            SELECT id, %s, %s, %s, display_name FROM users WHERE id = %s ON DUPLICATE KEY UPDATE status = VALUES(status)
        """
        await self.db.execute(sql, (to_bytes(course_id), status, self.now, student.user_id))

    async def complete(self, student: Caller, course: Course) -> None:
        """Every lecture of the course, at once."""
        sql = """
            INSERT INTO lecture_progress
              (student_id, course_id, lecture_id, complete_time, position_seconds, watched_seconds, update_time)
            VALUES (%s, %s, %s, %s, 0, 0, %s)
        """
        for lecture_id in lecture_ids(course):
            ids = (student.user_id, to_bytes(course.id), to_bytes(lecture_id))
            await self.db.execute(sql, (*ids, self.now, self.now))

    async def course(self, author: Caller, lectures: Sequence[int] = (2, 1), *, publish: bool = True, **fields: Any) -> Course:
        """A course with a module for each number, of so many lectures."""
        values = {"title": f"Course {next(_numbers)}", "description": "About it", **fields}
        course = await self.run(CreateCourseRequest(**values), author)
        for count in lectures:
            module = await self.run(CreateModuleRequest(course_id=course.id, title="Module"), author)
            for _ in range(count):
                await self.lecture(author, module.id)
        if publish:
            course = await self.run(courses_pb2.PublishCourseRequest(course_id=course.id), author)
            return course  # type: ignore[no-any-return]
        return await self.read(course.id, author)

    async def lecture(self, author: Caller, module_id: str, **fields: Any) -> Lecture:
        values = {"title": "Lecture", "video": VIDEO, "notes": "Read this.", **fields}
        return await self.run(CreateLectureRequest(module_id=module_id, **values), author)  # type: ignore[no-any-return]

    async def read(self, course_id: str, who: Caller | None = None) -> Course:
        return await self.run(courses_pb2.GetCourseRequest(course_id=course_id), who)  # type: ignore[no-any-return]

    async def value(self, sql: str, *params: object) -> Any:
        """The first value of the first row."""
        row = await self.db.fetch_one(sql, params)
        return row[0] if row else None


def lecture_ids(course: Course) -> list[str]:
    return [lecture.id for module in course.modules for lecture in module.lectures]


def questions() -> list[quizzes_pb2.Question]:
    """One of each kind, a point each; `right_answers` answers them."""
    quiz = quizzes_pb2.Quiz()
    pairs = [quizzes_pb2.Choice(id=item, text=item.upper()) for item in "abcd"]
    add = quiz.questions.add
    add(id="single", prompt="One?", kind=1, choices=pairs, explanation="It is b.").answer_key.choice_ids.append("b")
    add(id="multiple", prompt="Some?", kind=2, choices=pairs).answer_key.choice_ids.extend("ac")
    add(id="true-false", prompt="So?", kind=3).answer_key.choice_ids.append("true")
    add(id="text", prompt="What?", kind=4).answer_key.accepted_texts.append("Straße")
    add(id="number", prompt="How many?", kind=5).answer_key.number = 42
    return list(quiz.questions)


def right_answers() -> list[quizzes_pb2.Answer]:
    return [
        quizzes_pb2.Answer(question_id="single", choice_ids="b"),
        quizzes_pb2.Answer(question_id="multiple", choice_ids="ca"),
        quizzes_pb2.Answer(question_id="true-false", choice_ids=["true"]),
        quizzes_pb2.Answer(question_id="text", text=" STRASSE"),
        quizzes_pb2.Answer(question_id="number", number=42),
    ]


async def refused(kind: type[DomainError], reason: str, work: Awaitable[Any]) -> list[str]:
    """The violations of a call that must be refused so, as "field rule"."""
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.reason == reason
    return [f"{item.field} {item.rule}" for item in caught.value.violations]


@asynccontextmanager
async def open_classroom(database_url: str, redis_url: str) -> AsyncIterator[Classroom]:
    """Services on a migrated database."""
    db = CountingDatabase(database_url)
    await Migrator(db).apply()
    await db.start()
    redis = Redis(redis_url)
    invalidations = Invalidations(redis)
    await invalidations.start()
    try:
        yield Classroom(db, redis, invalidations)
    finally:
        await invalidations.close()
        await redis.close()
        await db.close()
