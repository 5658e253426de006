"""POST /users/me/erase: the person is gone everywhere at once, what must stay stays under a pseudonym."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from google.api.httpbody_pb2 import HttpBody

from cli.servers import LocalServers
from cli.worker import running_core
from contract.errors import CallError
from core.db import Database
from fakes.clerk import svix_headers
from skillforge.v1 import (
    audit_pb2,
    certificates_pb2,
    courses_pb2,
    enrollments_pb2,
    families_pb2,
    identity_pb2,
    payments_pb2,
    progress_pb2,
    quizzes_pb2,
)
from tests.conftest import fresh_database
from tests.support.doors import METHODS
from tests.support.polling import eventually
from tests.support.world import CLERK_WEBHOOK_SECRET, Person, World, running_world

ERASE = identity_pb2.EraseMeRequest(confirm="ERASE")
CONFESSION = "nobody but my teacher may read this"
GONE = {"ACCOUNT_MISSING", "SESSION_REVOKED"}
TEXT_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND data_type IN ('char', 'varchar', 'text', 'mediumtext', 'longtext', 'blob', 'mediumblob',
  'longblob', 'varbinary')
"""


async def erase(world: World, person: Person, door: str = "rest") -> identity_pb2.EraseMeResponse:
    outcome = await world.doors[door].call("EraseMe", ERASE, person.token)
    assert outcome.ok, outcome
    return outcome.message  # type: ignore[no-any-return]


async def traces(db: Database, words: dict[str, str]) -> list[str]:
    """Where in the database any of these words stands."""
    columns: dict[str, list[str]] = {}
    for table, column in await db.fetch_all(TEXT_COLUMNS):
        columns.setdefault(table, []).append(column)
    found = []
    for table, names in columns.items():
        places = [(f"{word} in {table}.{column}", column, words[word].encode()) for column in names for word in words]
        counts = ", ".join(f"COUNT(IF(INSTR(CAST(`{column}` AS BINARY), %s) > 0, 1, NULL))" for _, column, _ in places)
        [row] = await db.fetch_all(f"SELECT {counts} FROM `{table}`", [text for _, _, text in places])
        found += [place for (place, _, _), count in zip(places, row, strict=True) if count]
    return sorted(found)


def words_of(person: Person) -> dict[str, str]:
    return {"e-mail": person.user.email, "name": person.user.display_name, "Clerk id": person.user.clerk_id}


async def course_with_an_essay(world: World, teacher: Person) -> Any:
    """A course of one lecture, and an exam that takes any text."""
    course = await world.course(teacher, lectures=1, exam=False, publish=False)
    question = quizzes_pb2.Question(id="q1", prompt="Who are you?", kind=quizzes_pb2.QUESTION_KIND_SHORT_TEXT, points=1)
    question.answer_key.accepted_texts.append(CONFESSION)
    exam = quizzes_pb2.PutExamRequest(course_id=course.id, title="Essay", pass_percent=50, questions=[question])
    await world.call("PutExam", exam, teacher)
    return await world.call("PublishCourse", courses_pb2.PublishCourseRequest(course_id=course.id), teacher)


async def graduate(world: World, course: Any, name: str = "") -> Person:
    student = await world.person(name=name)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    lecture_id = course.modules[0].lectures[0].id
    await world.call(
        "MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture_id, position_seconds=42, completed=True), student
    )
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    answers = [quizzes_pb2.Answer(question_id="q1", text=CONFESSION)]
    await world.call("SubmitAttempt", quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=answers), student)
    return student


async def certificate_of(world: World, student: Person) -> certificates_pb2.Certificate:
    listed = await world.call("ListCertificates", certificates_pb2.ListCertificatesRequest(), student)
    return listed.certificates[0]  # type: ignore[no-any-return]


async def test_it_must_be_meant(world: World) -> None:
    student = await world.person()
    for confirm in ("", "erase", "yes"):
        outcome = await world.rest.call("EraseMe", identity_pb2.EraseMeRequest(confirm=confirm), student.token)
        assert (outcome.status, outcome.fields) == (400, ["confirm"])
    assert (await world.call("GetMe", identity_pb2.GetMeRequest(), student)).id == student.id


async def test_nothing_of_the_person_is_left_and_what_counts_is(world: World) -> None:
    teacher, admin, parent = await world.person("INSTRUCTOR"), await world.person("ADMIN"), await world.person("PARENT")
    course = await course_with_an_essay(world, teacher)
    student = await graduate(world, course, "Gwendolyn Unmistakable")
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), student)
    await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), parent)
    certificate = await certificate_of(world, student)
    download = certificates_pb2.DownloadCertificateRequest(certificate_id=certificate.id)
    old_pdf = (await world.call("DownloadCertificate", download, student)).data
    paid = await world.course(teacher, price=4900)
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=paid.id), student)
    db = world.core.resources.db
    words = words_of(student)
    assert await traces(db, words)

    answer = await erase(world, student)

    own_course = {"confession": CONFESSION}
    assert await traces(db, words) == []
    assert await traces(db, own_course) == ["confession in quiz_versions.questions"]  # the teacher's key
    assert answer.user_id == student.id
    user = await world.call("GetUser", identity_pb2.GetUserRequest(user_id=student.id), admin)
    assert (user.status, user.role) == (identity_pb2.USER_STATUS_DELETED, identity_pb2.ROLE_STUDENT)
    assert (user.display_name, user.email, user.image_url) == (answer.pseudonym, "", "")
    # What others rely on.
    verified = await world.call("VerifyCertificate", certificates_pb2.VerifyCertificateRequest(certificate_id=certificate.id))
    assert (verified.valid, verified.snapshot.student_name) == (True, answer.pseudonym)
    assert verified.snapshot.instructor_name == teacher.user.display_name
    assert verified.snapshot.score_percent == certificate.snapshot.score_percent
    new_pdf = (await world.call("DownloadCertificate", download, teacher)).data
    assert new_pdf != old_pdf
    kept = await world.call("GetPayment", payments_pb2.GetPaymentRequest(payment_id=payment.id), admin)
    assert (kept.student_id, kept.amount.amount_minor) == (student.id, 4900)
    students = await world.call("ListCourseStudents", enrollments_pb2.ListCourseStudentsRequest(course_id=course.id), teacher)
    assert [(item.display_name, item.email) for item in students.students] == [(answer.pseudonym, "")]
    attempts = await world.call("ListAttempts", quizzes_pb2.ListAttemptsRequest(quiz_id=course.exam_id), teacher)
    assert [(item.passed, item.percent) for item in attempts.attempts] == [(True, 100)]
    shown = await world.call("GetAttempt", quizzes_pb2.GetAttemptRequest(attempt_id=attempts.attempts[0].id), teacher)
    assert (len(shown.answers), shown.results[0].correct) == (0, True)
    assert not (await world.call("ListChildren", families_pb2.ListChildrenRequest(), parent)).children


async def test_it_is_audited_without_personal_data(world: World) -> None:
    student, admin = await world.person(), await world.person("ADMIN")
    outcome = await world.rest.call("EraseMe", ERASE, student.token, x_request_id="erase-me")
    asked = audit_pb2.ListAuditEventsRequest(action="user.erase", target_type="user", target_id=student.id)
    [event] = (await world.call("ListAuditEvents", asked, admin)).events
    assert (event.actor.id, event.actor.display_name) == (student.id, outcome.message.pseudonym)
    assert event.request_id == "erase-me"
    assert dict(event.before) == {"role": "ROLE_STUDENT", "status": "USER_STATUS_ACTIVE"}
    assert dict(event.after) == {"status": "USER_STATUS_DELETED"}


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_the_account_is_gone_at_every_door_and_in_other_processes_within_a_second(world: World, door: str) -> None:
    student = await world.person()
    other_session = world.fakes.clerk.mint(student.user.clerk_id)
    me, method = identity_pb2.GetMeRequest(), METHODS["GetMe"]
    async with running_core(world.settings) as other_process:

        async def there(token: str) -> str:
            try:
                await other_process.dispatcher.call(method, me, {"authorization": f"Bearer {token}"}, 5)
            except CallError as error:
                return error.reason
            return ""

        for token in (student.token, other_session):
            assert await eventually(lambda token=token: there(token), lambda reason: reason == "") == ""  # type: ignore[misc]
        started = time.monotonic()
        await erase(world, student, door)
        for name in ("grpc", "rest", "remote"):
            for token in (student.token, other_session):
                assert (await world.doors[name].call("GetMe", me, token)).reason in GONE
        for token in (student.token, other_session):
            await eventually(lambda token=token: there(token), lambda reason: reason in GONE, seconds=1)  # type: ignore[misc]
        assert time.monotonic() - started < 3
    assert (await world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), student.token)).reason == "SESSION_REVOKED"


async def test_a_new_sign_up_is_a_new_account(world: World) -> None:
    student = await world.person()
    await erase(world, student)
    _, again = await world.fakes.clerk.sign_in(student.user.email, student.user.display_name, "STUDENT")
    outcome = await world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), again)
    assert outcome.status == 201
    assert (outcome.message.id, outcome.message.clerk_id) != (student.id, student.user.clerk_id)
    assert outcome.message.email == student.user.email
    # Which may be erased again.
    await erase(world, Person(again, outcome.message))
    assert await traces(world.core.resources.db, words_of(student)) == []


async def test_late_news_from_clerk_opens_nothing(world: World) -> None:
    student, bystander = await world.person(), await world.person()
    clerk_user = world.fakes.clerk.users.get(student.user.clerk_id)
    assert clerk_user is not None
    await erase(world, student)
    newer = {**clerk_user.as_clerk_json(), "updated_at": clerk_user.updated_at + 1000}
    for number, event in enumerate(
        (
            {"type": "user.updated", "data": newer},
            {"type": "user.created", "data": newer},
            {"type": "user.deleted", "data": {"id": student.user.clerk_id, "deleted": True}},
        )
    ):
        body = orjson.dumps(event)
        headers = svix_headers(CLERK_WEBHOOK_SECRET, f"msg_{student.id}_{number}", int(time.time()), body)
        outcome = await world.rest.call("ReceiveClerkWebhook", HttpBody(content_type="application/json", data=body), **headers)
        assert outcome.ok, outcome
        assert await traces(world.core.resources.db, words_of(student)) == []
    assert (await world.call("GetMe", identity_pb2.GetMeRequest(), bystander)).id == bystander.id


async def test_two_erasures_at_once_are_one(world: World) -> None:
    student, admin = await world.person(), await world.person("ADMIN")
    outcomes = await asyncio.gather(
        *(world.doors[name].call("EraseMe", ERASE, student.token) for name in world.doors for _ in "123")
    )
    done = [outcome.message for outcome in outcomes if outcome.ok]
    assert done
    assert len({item.erase_time.ToMicroseconds() for item in done}) == 1
    assert {outcome.reason for outcome in outcomes if not outcome.ok} <= GONE
    asked = audit_pb2.ListAuditEventsRequest(action="user.erase", target_type="user", target_id=student.id)
    assert len((await world.call("ListAuditEvents", asked, admin)).events) == 1


async def test_a_teacher_leaves_no_students_behind(world: World) -> None:
    teacher, student = await world.person("INSTRUCTOR", "Ferdinand Leaving"), await world.person()
    course, empty, draft = [await world.course(teacher, publish=publish) for publish in (True, True, False)]
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    refused = await world.rest.call("EraseMe", ERASE, teacher.token)
    assert (refused.status, refused.reason, refused.fields) == (400, "COURSES_WITH_STUDENTS", [f"courses[{course.id}]"])
    assert (await world.call("GetMe", identity_pb2.GetMeRequest(), teacher)).display_name == "Ferdinand Leaving"

    await world.call("UnpublishCourse", courses_pb2.UnpublishCourseRequest(course_id=course.id), teacher)
    answer = await erase(world, teacher)
    admin = await world.person("ADMIN")
    for item in (course, empty, draft):
        now = await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=item.id), admin)
        assert now.status == courses_pb2.COURSE_STATUS_ARCHIVED
        assert now.instructor.display_name == answer.pseudonym
    lecture = courses_pb2.GetLectureRequest(lecture_id=course.modules[0].lectures[0].id)
    assert (await world.call("GetLecture", lecture, student)).notes == "Read this."
    assert await traces(world.core.resources.db, words_of(teacher)) == []
    asked = audit_pb2.ListAuditEventsRequest(action="user.erase", actor_id=teacher.id)
    [event] = (await world.call("ListAuditEvents", asked, admin)).events
    assert event.after["archivedCourses"] == 3


async def test_a_course_found_by_its_teacher_s_name_is_not_any_more(world: World) -> None:
    teacher = await world.person("INSTRUCTOR", "Zebulon Quagmire")
    course = await world.course(teacher)
    find = courses_pb2.ListCoursesRequest(query="Quagmire", mine=True)
    assert [item.id for item in (await world.call("ListCourses", find, teacher)).courses] in ([course.id], [])
    await erase(world, teacher)
    assert await traces(world.core.resources.db, {"name": "Quagmire", "search term": "quagmire"}) == []


@pytest.fixture
async def own_world(servers: LocalServers, worker_number: int) -> AsyncIterator[World]:
    """A world without anybody else in it."""
    name = f"erasure_{worker_number}"
    async with running_world(fresh_database(servers, name), servers.redis_url(48 + worker_number)) as world:
        yield world


async def test_the_last_admin_stays(own_world: World) -> None:
    first, second = await own_world.person("ADMIN"), await own_world.person("ADMIN")
    outcomes = await asyncio.gather(*(own_world.rest.call("EraseMe", ERASE, admin.token) for admin in (first, second)))
    assert sorted(outcome.reason for outcome in outcomes) == ["", "LAST_ADMIN"]
    left = first if outcomes[1].ok else second
    listed = await own_world.call("ListUsers", identity_pb2.ListUsersRequest(role=identity_pb2.ROLE_ADMIN), left)
    assert [user.status for user in listed.users if user.id == left.id] == [identity_pb2.USER_STATUS_ACTIVE]
    [(count,)] = await own_world.core.resources.db.fetch_all("SELECT value FROM counters WHERE name = 'active_admins'")
    assert count == 1
    # A third may take over, and then the last one may go.
    third = await own_world.person("ADMIN")
    await erase(own_world, left)
    assert (await own_world.rest.call("EraseMe", ERASE, third.token)).reason == "LAST_ADMIN"


async def test_a_payment_that_comes_through_afterwards_is_kept_with_its_enrollment(world: World) -> None:
    """The money was taken: it and the access it bought stay one, under the pseudonym, to be refunded if need be."""
    teacher, admin = await world.person("INSTRUCTOR"), await world.person("ADMIN")
    course = await world.course(teacher, price=4900)
    for race in (False, True):
        student = await world.person()
        payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=course.id), student)
        paying = pay(world, payment)
        if race:
            await asyncio.gather(erase(world, student), paying)
        else:
            await erase(world, student)
            await paying

        async def status(payment_id: str = payment.id) -> Any:
            return (await world.call("GetPayment", payments_pb2.GetPaymentRequest(payment_id=payment_id), admin)).status

        await eventually(status, lambda found: found == payments_pb2.PAYMENT_STATUS_SUCCEEDED)
        students = await world.call("ListCourseStudents", enrollments_pb2.ListCourseStudentsRequest(course_id=course.id), teacher)
        [line] = [item for item in students.students if item.student_id == student.id]
        assert line.display_name.startswith("Erased user")
        assert await traces(world.core.resources.db, words_of(student)) == []


async def pay(world: World, payment: payments_pb2.Payment) -> None:
    """At the provider's checkout page, with a card that works."""
    async with world.session.post(payment.checkout_url, json={"card": "4242424242424242"}) as response:
        assert response.status < 400, await response.text()
