"""Erasures that are interrupted or overtaken, and the one list of all that is known of a person against the schema."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import core.db as migrations_of
from core.identity.personal import queries
from core.identity.personal.rules import SETTLE, nobody, pseudonym
from core.identity.personal.sections import SECTIONS
from core.ids import new_id, to_bytes
from core.times import utc_now
from skillforge.v1 import enrollments_pb2, identity_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World, right_answers

ERASE = identity_pb2.EraseMeRequest(confirm="ERASE")

# Columns that hold the id of a row of `users`, by name; every other 16-byte id is of something else.
PEOPLE = {
    "student_id", "user_id", "actor_id", "instructor_id", "parent_id", "child_id", "done_student_id", "low_id", "high_id",
    "sender_id", "caller_id", "callee_id",
}  # fmt: skip
THINGS = {
    "id", "course_id", "module_id", "lecture_id", "quiz_id", "payment_id", "source_id", "resource_id",
    "coupon_id", "refund_id", "template_id",
}  # fmt: skip
# Columns of people that the export leaves out, and why.
NOT_EXPORTED = {
    # An erasure deletes the account's own; those of a batch of messages are there until they are published.
    "outbox.user_id": "events on their way; what they tell of is in the other sections",
    "erasures.user_id": "the account is gone",
    "link_codes.child_id": "the hash of a secret that lives for a quarter of an hour; an erasure deletes it",
    "certificates.instructor_id": "certificates of others",
    "activity_days.student_id": "derived from progress and attempts, which are exported",
    "messages.low_id": "what a person wrote is exported, with whom it was for",
    "messages.high_id": "what a person wrote is exported, with whom it was for",
    "course_recounts.done_student_id": "how far a sweep has come",
}
IDS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND column_type = 'binary(16)'
"""


# Other tests of the same database make tables of their own.
MIGRATIONS = list(Path(migrations_of.__file__).parent.glob("migrations/*.sql"))


async def learner(world: World) -> tuple[Person, Any]:
    """A student with an answered attempt and a position in a video; and the attempt."""
    teacher, student = await world.person("INSTRUCTOR"), await world.person()
    course = await world.course(teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for lecture in course.modules[0].lectures:
        request = progress_pb2.MarkLectureRequest(lecture_id=lecture.id, completed=True, position_seconds=50)
        await world.call("MarkLecture", request, student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    save = quizzes_pb2.SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
    return student, await world.call("SaveAnswers", save, student)


async def left(world: World, student: Person) -> tuple[int, int]:
    """How many answers and positions are left."""
    db, student_id = world.core.resources.db, to_bytes(student.id)
    [(answers,)] = await db.fetch_all("SELECT COUNT(*) FROM attempts WHERE student_id = %s AND answers <> ''", (student_id,))
    sql = "SELECT COUNT(*) FROM lecture_progress WHERE student_id = %s AND (position_seconds > 0 OR watched IS NOT NULL)"
    [(positions,)] = await db.fetch_all(sql, (student_id,))
    return answers, positions


async def finished(world: World, student: Person) -> bool:
    found = await queries.erasure(world.core.resources.db, to_bytes(student.id))
    return found is not None and found.finish_time is not None


async def test_an_erasure_that_broke_off_is_finished_by_any_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    student, _ = await learner(world)
    assert await left(world, student) == (1, 2)
    whole = queries.erase_content

    async def break_off(tx: Any, eraser: int, user_id: bytes) -> int:
        raise RuntimeError("the process ends here")

    monkeypatch.setattr(queries, "erase_content", break_off)
    assert (await world.rest.call("EraseMe", ERASE, student.token)).reason == "INTERNAL"
    # Nobody can act as the account any more, though its content is still there.
    assert (await world.rest.call("GetMe", identity_pb2.GetMeRequest(), student.token)).reason == "SESSION_REVOKED"
    assert await left(world, student) == (1, 2)
    monkeypatch.setattr(queries, "erase_content", whole)
    await world.core.identity.finish_erasures(utc_now(), 1000)
    assert not await finished(world, student), "calls that began before may still write"
    later = utc_now() + SETTLE
    await asyncio.gather(*(world.core.identity.finish_erasures(later, 1000) for _ in range(3)))
    assert await left(world, student) == (0, 0)
    assert await finished(world, student)
    assert student.id not in [item.hex() for item in await queries.unfinished(world.core.resources.db, later, 1000)]


async def test_what_a_call_in_flight_writes_is_erased_too(world: World) -> None:
    student, attempt = await learner(world)
    await world.call("EraseMe", ERASE, student)
    assert await left(world, student) == (0, 0)
    # What a call that was let in before the account was closed writes behind it.
    packed = quizzes_pb2.Attempt(answers=right_answers()).SerializeToString()
    db = world.core.resources.db
    await db.execute("UPDATE attempts SET answers = %s WHERE id = %s", (packed, to_bytes(attempt.id)))
    await db.execute("UPDATE lecture_progress SET position_seconds = 9 WHERE student_id = %s", (to_bytes(student.id),))
    await world.core.identity.finish_erasures(utc_now() + SETTLE, 1000)
    assert await left(world, student) == (0, 0)


async def test_more_rows_than_a_batch(world: World) -> None:
    student, attempt = await learner(world)
    sql = """
        INSERT INTO attempts SELECT %s, quiz_id, quiz_version, course_id, student_id, %s, 2, NULL, shuffle_seed, answers, results,
          points_earned, points_possible, percent, passed, start_time, deadline, submit_time FROM attempts WHERE id = %s
    """
    db, attempt_id = world.core.resources.db, to_bytes(attempt.id)

    async def fill(tx: Any) -> None:
        for number in range(2, 1203):
            await tx.execute(sql, (new_id(), number, attempt_id))

    await db.transact(fill)
    assert await left(world, student) == (1202, 2)
    await world.call("EraseMe", ERASE, student)
    assert await left(world, student) == (0, 0)


async def test_answers_saved_while_erasing_do_not_stay(world: World) -> None:
    student, attempt = await learner(world)
    save = quizzes_pb2.SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
    saves = [world.rest.call("SaveAnswers", save, student.token) for _ in range(20)]
    outcomes = await asyncio.gather(*saves[:10], world.rest.call("EraseMe", ERASE, student.token), *saves[10:])
    assert outcomes[10].ok
    assert {outcome.reason for outcome in outcomes} <= {"", "SESSION_REVOKED", "ACCOUNT_MISSING"}
    await world.core.identity.finish_erasures(utc_now() + SETTLE, 1000)
    assert await left(world, student) == (0, 0)


async def test_a_login_that_an_erasure_overtakes_opens_no_account(world: World) -> None:
    student = await world.person()
    sync = identity_pb2.SyncUserRequest()
    syncs = [world.rest.call("SyncUser", sync, student.token) for _ in range(10)]
    outcomes = await asyncio.gather(*syncs, world.rest.call("EraseMe", ERASE, student.token))
    assert outcomes[-1].ok
    assert {outcome.reason for outcome in outcomes} <= {"", "SESSION_REVOKED", "CONFLICT", "ACCOUNT_ERASED", "TOKEN_INVALID"}
    sql = "SELECT COUNT(*) FROM users WHERE clerk_id = %s OR email = %s"
    [(count,)] = await world.core.resources.db.fetch_all(sql, (student.user.clerk_id, student.user.email))
    assert count == 0


async def test_suspending_and_erasing_at_once(world: World) -> None:
    """Either the suspension came first and the account stays, suspended; or it is erased and stays so."""
    for _ in range(4):
        student, admin = await world.person(), await world.person("ADMIN")
        suspend = identity_pb2.UpdateUserRequest(user_id=student.id, status=identity_pb2.USER_STATUS_SUSPENDED)
        suspended, erased = await asyncio.gather(
            world.rest.call("UpdateUser", suspend, admin.token), world.rest.call("EraseMe", ERASE, student.token)
        )
        user = await world.call("GetUser", identity_pb2.GetUserRequest(user_id=student.id), admin)
        if erased.ok:
            assert (user.status, user.email) == (identity_pb2.USER_STATUS_DELETED, "")
            assert suspended.reason == "CONFLICT"
        else:
            assert erased.reason == "ACCOUNT_SUSPENDED"
            assert (user.status, user.email) == (identity_pb2.USER_STATUS_SUSPENDED, student.user.email)


async def test_a_suspended_account_cannot_erase_itself_to_start_anew(world: World) -> None:
    student, admin = await world.person(), await world.person("ADMIN")
    suspend = identity_pb2.UpdateUserRequest(user_id=student.id, status=identity_pb2.USER_STATUS_SUSPENDED)
    await world.call("UpdateUser", suspend, admin)
    assert (await world.rest.call("EraseMe", ERASE, student.token)).reason == "ACCOUNT_SUSPENDED"


async def test_every_column_that_names_a_person_is_thought_of(world: World) -> None:
    ours = set(re.findall(r"CREATE TABLE (\w+)", "".join(file.read_text() for file in MIGRATIONS)))
    columns = [(table, column) for table, column in await world.core.resources.db.fetch_all(IDS) if table in ours]
    assert [f"{table}.{column}" for table, column in columns if column not in PEOPLE | THINGS] == []
    exported = {" ".join(section.source.split()) for section in SECTIONS}
    people = {f"{table}.{column}" for table, column in columns if column in PEOPLE}
    shown = {
        name
        for name in people
        if any(
            item.startswith(f"{name.partition('.')[0]} t ") and f"t.{name.partition('.')[2]} = %s" in item for item in exported
        )
    }
    assert people - shown == NOT_EXPORTED.keys()


def test_a_pseudonym_is_nobody_s_and_always_the_same() -> None:
    first, second = new_id(), new_id()
    assert pseudonym(first) == pseudonym(first) != pseudonym(second)
    assert nobody(first) != nobody(second)
    assert len(nobody(first)) <= 64
    assert timedelta(seconds=60) < SETTLE, "no call runs for longer"
