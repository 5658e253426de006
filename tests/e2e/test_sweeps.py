"""What a started process does by itself, with nobody asking: whatever is due is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import core.app
from cli.worker import running_core
from core.ids import new_id, to_bytes
from core.times import utc_now
from fakes.web import Mode
from skillforge.v1 import enrollments_pb2, identity_pb2, payments_pb2, quizzes_pb2
from tests.support.polling import eventually
from tests.support.world import Person, World, exam_content

LONG_AGO = timedelta(days=40)


@pytest.fixture(scope="module")
async def sweeping(world: World) -> AsyncIterator[None]:
    """Another process on the same database, whose rounds follow each other at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.app, "SWEEP_SECONDS", 0.05)
        async with running_core(world.settings):
            yield


async def becomes(world: World, wanted: object, sql: str, *params: object) -> None:
    """Wait until the statement's one value is this."""

    async def value() -> object:
        row = await world.core.resources.db.fetch_one(sql, params)
        return row[0] if row else None

    await eventually(value, lambda found: found == wanted)


async def test_an_overdue_attempt_is_graded(world: World, sweeping: None) -> None:
    teacher, student = await world.person("INSTRUCTOR"), await world.person()
    course = await world.course(teacher, lectures=1, exam=False)
    lecture_id = course.modules[0].lectures[0].id
    put = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_id, time_limit_seconds=60, **exam_content())
    quiz = await world.call("PutLectureQuiz", put, teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=quiz.id), student)
    answers = [quizzes_pb2.Answer(question_id="q1", number=42)]
    await world.call("SaveAnswers", quizzes_pb2.SaveAnswersRequest(attempt_id=attempt.id, answers=answers), student)
    sql = "UPDATE attempts SET deadline = %s WHERE id = %s"
    await world.core.resources.db.execute(sql, (utc_now() - timedelta(minutes=1), to_bytes(attempt.id)))
    await becomes(world, 100.0, "SELECT percent FROM attempts WHERE id = %s", to_bytes(attempt.id))
    await becomes(world, 1, "SELECT attempts FROM quiz_results WHERE quiz_id = %s", to_bytes(quiz.id))


async def test_an_overdue_payment_expires(world: World, sweeping: None) -> None:
    course = await world.course(await world.person("INSTRUCTOR"), price=4900)
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=course.id), await world.person())
    sql = "UPDATE payments SET expire_time = %s WHERE id = %s"
    await world.core.resources.db.execute(sql, (utc_now() - timedelta(minutes=1), to_bytes(payment.id)))
    expired = int(payments_pb2.PAYMENT_STATUS_EXPIRED)
    await becomes(world, expired, "SELECT status FROM payments WHERE id = %s", to_bytes(payment.id))


async def test_what_is_old_is_dropped(world: World, sweeping: None) -> None:
    db, old = world.core.resources.db, utc_now() - LONG_AGO
    sql = "INSERT INTO revoked_sessions (session_id, user_id, revoke_time) VALUES ('sess_old', %s, %s)"
    await db.execute(sql, (new_id(), old))
    sql = "INSERT INTO creations (key_digest, request_digest, resource_id, create_time) VALUES (%s, %s, %s, %s)"
    await db.execute(sql, (b"k" * 32, b"r" * 32, new_id(), old))
    await db.execute("INSERT INTO activity_days (day, course_id, student_id) VALUES (1, %s, %s)", (new_id(), new_id()))
    for table, where in (("revoked_sessions", "revoke_time < %s"), ("creations", "create_time < %s")):
        await becomes(world, 0, f"SELECT COUNT(*) FROM {table} WHERE {where}", utc_now() - timedelta(days=31))
    await becomes(world, 0, "SELECT COUNT(*) FROM activity_days WHERE day = 1")


async def test_an_erasure_is_finished_at_clerk_too(world: World, sweeping: None) -> None:
    student: Person = await world.person()
    world.fakes.clerk.outage.mode = Mode.DOWN
    try:
        outcome = await world.rest.call("EraseMe", identity_pb2.EraseMeRequest(confirm="ERASE"), student.token)
        assert outcome.ok, outcome
    finally:
        world.fakes.clerk.outage.mode = Mode.UP
    await becomes(world, 0, "SELECT COUNT(*) FROM erasures WHERE user_id = %s AND clerk_id IS NOT NULL", to_bytes(student.id))
    assert world.fakes.clerk.users.get(student.user.clerk_id) is None
