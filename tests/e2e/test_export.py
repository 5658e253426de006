"""GET /users/me/export: everything about me, nothing about others, as one JSON document through every door."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest

from cli.servers import LocalServers
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World, right_answers, running_world

SECTIONS = [
    "enrollments", "entitlements", "lectureProgress", "quizResults", "attempts", "payments", "paymentLedger",
    "couponUses", "certificates", "familyLinks", "friends", "conversations", "messages", "calls", "signOuts", "auditEvents",
    "courses", "courseTags", "modules", "lectures", "quizzes", "certificateTemplates", "coupons",
]  # fmt: skip


async def export(world: World, person: Person, door: str = "rest") -> dict[str, Any]:
    outcome = await world.doors[door].call("ExportMyData", identity_pb2.ExportMyDataRequest(), person.token)
    assert outcome.ok, outcome
    assert outcome.message.content_type == "application/json"
    document: dict[str, Any] = json.loads(outcome.message.data)
    assert list(document) == ["version", "exportTime", "account", *SECTIONS, "complete"]
    assert (document["version"], document["complete"]) == (1, True)
    return document


async def graduate(world: World, teacher: Person) -> tuple[Person, Any]:
    """A student who has completed a course of the teacher's; and the course."""
    student = await world.person()
    course = await world.course(teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for lecture in course.modules[0].lectures:
        request = progress_pb2.MarkLectureRequest(lecture_id=lecture.id, completed=True, position_seconds=7)
        await world.call("MarkLecture", request, student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    await world.call("SubmitAttempt", submit, student)
    return student, course


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_a_student_s_document_holds_all_of_their_learning(world: World, door: str) -> None:
    teacher = await world.person("INSTRUCTOR")
    student, course = await graduate(world, teacher)
    paid = await world.course(teacher, price=4900)
    gift = payments_pb2.CreateCouponRequest(code=f"GIFT-{door}-{student.id[-8:]}", course_id=paid.id, percent=100)
    await world.call("CreateCoupon", gift, teacher)
    request = payments_pb2.CreatePaymentRequest(course_id=paid.id, coupon_code=gift.code)
    payment = await world.call("CreatePayment", request, student)
    document = await export(world, student, door)
    account = document["account"]
    assert (account["id"], account["email"], account["role"]) == (student.id, student.user.email, "ROLE_STUDENT")
    assert account["createTime"].endswith("Z")
    enrollment, bought = sorted(document["enrollments"], key=lambda item: item["courseId"] == paid.id)
    assert bought["courseId"] == paid.id
    assert (enrollment["courseId"], enrollment["courseTitle"]) == (course.id, course.title)
    assert enrollment["status"] == "ENROLLMENT_STATUS_ACTIVE"
    assert enrollment["completeTime"]
    assert len(document["lectureProgress"]) == 2
    assert {line["positionSeconds"] for line in document["lectureProgress"]} == {7}
    [attempt] = document["attempts"]
    assert (attempt["percent"], attempt["passed"], attempt["answers"]) == (100, True, [{"questionId": "q1", "number": 42.0}])
    assert document["quizResults"][0]["passed"] is True
    assert [(item["id"], item["couponCode"]) for item in document["payments"]] == [(payment.id, gift.code)]
    assert [(item["kind"], item["refundId"], item["reason"]) for item in document["paymentLedger"]] == [("CHARGE", None, "")]
    assert [(item["code"], item["uses"]) for item in document["couponUses"]] == [(gift.code, 1)]
    assert [item["code"] for item in (await export(world, teacher))["coupons"]] == [gift.code]
    assert document["certificates"][0]["studentName"] == student.user.display_name
    assert {event["action"] for event in document["auditEvents"]} == {"enrollment.create", "payment.create"}
    assert document["courses"] == document["lectures"] == document["familyLinks"] == []
    assert teacher.user.email not in json.dumps(document)


async def test_an_author_s_document_holds_all_they_wrote(world: World) -> None:
    teacher, other = await world.person("INSTRUCTOR"), await world.person("INSTRUCTOR")
    course = await world.course(teacher)
    await world.course(other)
    document = await export(world, teacher)
    assert [item["id"] for item in document["courses"]] == [course.id]
    assert document["courses"][0]["status"] == "COURSE_STATUS_PUBLISHED"
    assert [(item["title"], item["notes"]) for item in document["lectures"]] == [
        ("Lecture 1", "Read this."), ("Lecture 2", "Read this."),
    ]  # fmt: skip
    [quiz] = document["quizzes"]
    assert (quiz["lectureId"], quiz["questions"][0]["answerKey"]) == (None, {"number": 42.0})
    create = next(event for event in document["auditEvents"] if event["action"] == "course.create")
    assert create["after"]["title"] == course.title


async def test_every_role_and_a_new_account_may_export(world: World) -> None:
    for role in ("ADMIN", "INSTRUCTOR", "STUDENT", "PARENT"):
        document = await export(world, await world.person(role))
        assert all(document[name] == [] for name in SECTIONS if name != "auditEvents")


async def test_long_lists_come_in_pieces_and_whole(world: World) -> None:
    """More rows than a batch and more bytes than a piece; each row once."""
    student = await world.person()
    session_ids = [f"sess_{student.id}_{number:05}" for number in range(1234)]
    db = world.core.resources.db
    sql = "INSERT INTO revoked_sessions (session_id, user_id, revoke_time) VALUES (%s, UNHEX(REPLACE(%s, '-', '')), NOW(6))"
    await db.transact(lambda tx: tx.insert_many(sql, [(item, student.id) for item in session_ids]))
    document = await export(world, student)
    assert [item["sessionId"] for item in document["signOuts"]] == session_ids


async def test_an_export_while_writing_is_whole(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")

    async def write() -> None:
        for number in range(10):
            draft = courses_pb2.CreateCourseRequest(title=f"Written {number}", description="Meanwhile.")
            await world.call("CreateCourse", draft, teacher)

    writing = asyncio.create_task(write())
    while not writing.done():
        titles = [item["title"] for item in (await export(world, teacher))["courses"]]
        assert titles == [f"Written {number}" for number in range(len(titles))]
    await writing
    assert len((await export(world, teacher))["courses"]) == 10


async def test_an_export_that_breaks_is_no_document(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks, so that nobody takes a part for the whole."""
    from core.identity.personal import queries

    student = await world.person()
    whole, calls = queries.section_rows, 0

    async def fail_in_the_middle(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise RuntimeError("gone")
        return await whole(*args)

    monkeypatch.setattr(queries, "section_rows", fail_in_the_middle)
    monkeypatch.setattr("core.identity.personal.export.PIECE_BYTES", 10)
    with pytest.raises(Exception, match=r"(?i)payload|disconnected|reset"):
        await world.request("GET", "/users/me/export", person=student)
    outcome = await world.doors["grpc"].call("ExportMyData", identity_pb2.ExportMyDataRequest(), student.token)
    assert outcome.code == "INTERNAL"


async def test_the_body_is_json_in_chunks_that_is_not_stored(world: World) -> None:
    student = await world.person()
    status, headers, body = await world.request("GET", "/users/me/export", person=student)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "no-store")
    assert headers["transfer-encoding"] == "chunked"
    assert body == orjson.loads(orjson.dumps(body))


async def test_exports_and_erasures_are_limited(database_url: str, servers: LocalServers, worker_number: int) -> None:
    redis_url = servers.redis_url(40 + worker_number)
    async with running_world(database_url, redis_url, RATE_LIMIT_PERSONAL_DATA="2/600") as narrow:
        person, other = await narrow.person(), await narrow.person()
        for _ in range(2):
            await export(narrow, person)
        status, headers, problem = await narrow.request("GET", "/users/me/export", person=person)
        assert (status, problem["reason"]) == (429, "RATE_LIMITED")
        assert int(headers["retry-after"]) > 0
        erase = identity_pb2.EraseMeRequest(confirm="ERASE")
        assert (await narrow.rest.call("EraseMe", erase, person.token)).reason == "RATE_LIMITED"
        assert (await narrow.rest.call("EraseMe", erase, other.token)).ok
