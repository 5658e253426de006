"""A call means the same through every door: one table of cases, tried through gRPC, REST in process and REST to a remote core."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from google.protobuf.message import Message

from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.doors import Door, Outcome
from tests.support.world import Person, World, exam_content, right_answers

NOWHERE = str(uuid.UUID(int=7))
USD = courses_pb2.Money(amount_minor=4900, currency="USD")


@dataclass
class Scene:
    """Some people, and courses of the teacher's."""

    people: dict[str, Person]
    free: courses_pb2.Course
    paid: courses_pb2.Course
    draft: courses_pb2.Course
    attempt: quizzes_pb2.Attempt

    @property
    def lecture_id(self) -> str:
        return self.free.modules[0].lectures[0].id


@pytest.fixture(scope="module")
async def scene(world: World) -> Scene:
    """The student has bought nothing, is enrolled in the free course and has finished its exam's only attempt."""
    roles = {"admin": "ADMIN", "teacher": "INSTRUCTOR", "other": "INSTRUCTOR", "student": "STUDENT", "outsider": "STUDENT"}
    people = {name: await world.person(role) for name, role in roles.items()}
    teacher, student = people["teacher"], people["student"]
    free = await world.course(teacher)
    await world.call("PutExam", quizzes_pb2.PutExamRequest(course_id=free.id, **exam_content(max_attempts=1)), teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=free.id), student)
    for lecture in free.modules[0].lectures:
        await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=free.exam_id), student)
    done = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    await world.call("SubmitAttempt", done, student)
    paid = await world.course(teacher, price=4900)
    draft = await world.call("CreateCourse", courses_pb2.CreateCourseRequest(title="Not ready"), teacher)
    return Scene(people, free, paid, draft, attempt)


class Refusal(NamedTuple):
    """What an error says, whichever way it came."""

    code: str
    reason: str
    fields: tuple[str, ...] = ()


class Case(NamedTuple):
    """A call that is refused. `who` names one of the scene's people, "" nobody."""

    who: str
    request: Callable[[Scene], Message]
    refusal: Refusal
    metadata: Mapping[str, str] = {}


def course(course_id: str) -> Message:
    return courses_pb2.GetCourseRequest(course_id=course_id)


def edited(scene: Scene) -> Message:
    return courses_pb2.UpdateCourseRequest(course_id=scene.draft.id, title="Changed")


def wrong_quiz(scene: Scene) -> Message:
    question = quizzes_pb2.Question(prompt=" ", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, points=-1)
    return quizzes_pb2.PutExamRequest(course_id=scene.free.id, title="Exam", pass_percent=101, questions=[question])


def enroll(course_id: str, student_id: str = "") -> Message:
    return enrollments_pb2.EnrollInCourseRequest(course_id=course_id, student_id=student_id)


MISSING = Refusal("NOT_FOUND", "NOT_FOUND")
FORBIDDEN = Refusal("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
NOT_ENROLLED = Refusal("PERMISSION_DENIED", "NOT_ENROLLED")


def invalid(*fields: str, reason: str = "INVALID_ARGUMENT") -> Refusal:
    return Refusal("INVALID_ARGUMENT", reason, fields)


def failed(reason: str, *fields: str) -> Refusal:
    return Refusal("FAILED_PRECONDITION", reason, fields)


CASES = {
    "no such course": Case("", lambda s: course(NOWHERE), MISSING),
    "another's draft is not there": Case("other", lambda s: course(s.draft.id), MISSING),
    "another's course is not there to change": Case(
        "other", lambda s: courses_pb2.DeleteCourseRequest(course_id=s.draft.id), MISSING
    ),
    "another's attempt is not there": Case(
        "outsider", lambda s: quizzes_pb2.GetAttemptRequest(attempt_id=s.attempt.id), MISSING
    ),
    "no such payment": Case("student", lambda s: payments_pb2.GetPaymentRequest(payment_id=NOWHERE), MISSING),
    "no such user": Case("admin", lambda s: identity_pb2.GetUserRequest(user_id=NOWHERE), MISSING),
    "an id that is none": Case("", lambda s: course("x"), invalid("courseId")),
    "several wrong fields": Case(
        "teacher", lambda s: courses_pb2.CreateCourseRequest(title=" ", price=courses_pb2.Money(amount_minor=-1, currency="usd")),
        invalid("title", "price.amountMinor", "price.currency"),
    ),
    "a currency nobody has": Case(
        "teacher", lambda s: courses_pb2.CreateCourseRequest(title="T", price=courses_pb2.Money(amount_minor=1, currency="ZZZ")),
        invalid("price.currency"),
    ),
    "fields in a list": Case("teacher", wrong_quiz, invalid("passPercent", "questions[0].prompt", "questions[0].points")),
    "an enum's unknown number": Case(
        "teacher", lambda s: courses_pb2.CreateCourseRequest(title="T", level=99), invalid("level")  # type: ignore[arg-type]
    ),
    "a negative page": Case("", lambda s: courses_pb2.ListCoursesRequest(page_size=-1), invalid("pageSize")),
    "a page token nobody made": Case(
        "", lambda s: courses_pb2.ListCoursesRequest(page_token="AAAA"), invalid("pageToken", reason="PAGE_TOKEN_INVALID")
    ),
    "a certificate number that is none": Case(
        "", lambda s: certificates_pb2.VerifyCertificateRequest(certificate_id="SF-1"),
        invalid("certificateId", reason="CERTIFICATE_ID_MALFORMED"),
    ),
    "an idempotency key too long": Case(
        "teacher", lambda s: courses_pb2.CreateCourseRequest(title="T"), invalid("Idempotency-Key"),
        {"idempotency_key": "k" * 256},
    ),
    "nobody": Case("", lambda s: identity_pb2.GetMeRequest(), Refusal("UNAUTHENTICATED", "TOKEN_MISSING")),
    "nobody, with wrong fields": Case(
        "", lambda s: courses_pb2.CreateCourseRequest(), Refusal("UNAUTHENTICATED", "TOKEN_MISSING")
    ),
    "a forged token": Case(
        "", lambda s: identity_pb2.GetMeRequest(), Refusal("UNAUTHENTICATED", "TOKEN_INVALID"),
        {"authorization": "Bearer e30.e30."},
    ),
    "no bearer": Case(
        "", lambda s: course(s.free.id), Refusal("UNAUTHENTICATED", "TOKEN_INVALID"), {"authorization": "Basic eDp5"}
    ),
    "the wrong role": Case("student", lambda s: courses_pb2.CreateCourseRequest(title="T"), FORBIDDEN),
    "the wrong role, with wrong fields": Case("student", lambda s: courses_pb2.CreateCourseRequest(), FORBIDDEN),
    "an admin is no student": Case("admin", lambda s: payments_pb2.CreatePaymentRequest(course_id=s.paid.id), FORBIDDEN),
    "not enrolled": Case("outsider", lambda s: courses_pb2.GetLectureRequest(lecture_id=s.lecture_id), NOT_ENROLLED),
    "not enrolled to mark": Case("outsider", lambda s: progress_pb2.MarkLectureRequest(lecture_id=s.lecture_id), NOT_ENROLLED),
    "a role nobody takes": Case(
        "fresh", lambda s: identity_pb2.SyncUserRequest(requested_role=identity_pb2.ROLE_ADMIN),
        Refusal("PERMISSION_DENIED", "ROLE_NOT_SELF_ASSIGNABLE"),
    ),
    "nothing to pay": Case(
        "student", lambda s: payments_pb2.CreatePaymentRequest(course_id=s.free.id), failed("COURSE_FREE")
    ),
    "somebody else to enroll": Case(
        "student", lambda s: enroll(s.free.id, s.people["outsider"].id), Refusal("PERMISSION_DENIED", "NOT_ALLOWED")
    ),
    "not free": Case("outsider", lambda s: enroll(s.paid.id), failed("COURSE_NOT_FREE")),
    "nobody named to enroll": Case("admin", lambda s: enroll(s.free.id), invalid("studentId")),
    "nothing to publish": Case(
        "teacher", lambda s: courses_pb2.PublishCourseRequest(course_id=s.draft.id),
        failed("COURSE_NOT_PUBLISHABLE", "description", "modules"),
    ),
    "no attempt left": Case(
        "student", lambda s: quizzes_pb2.StartAttemptRequest(quiz_id=s.free.exam_id), failed("ATTEMPTS_EXHAUSTED")
    ),
    "answers after submitting": Case(
        "student", lambda s: quizzes_pb2.SaveAnswersRequest(attempt_id=s.attempt.id), failed("ATTEMPT_CLOSED")
    ),
    "a coupon nobody gave": Case(
        "outsider", lambda s: payments_pb2.CreatePaymentRequest(course_id=s.paid.id, coupon_code="FREE"),
        invalid("couponCode", reason="COUPON_INVALID"),
    ),
    "a stale version": Case("teacher", edited, Refusal("ABORTED", "ETAG_MISMATCH"), {"if_match": '"0"'}),
}  # fmt: skip


def said(outcome: Outcome) -> tuple[Refusal, str]:
    return Refusal(outcome.code, outcome.reason, tuple(outcome.fields)), outcome.detail


@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_is_the_same(world: World, scene: Scene, name: str) -> None:
    case = CASES[name]
    token = world.fakes.clerk.mint("user_nobody_made_yet") if case.who == "fresh" else ""
    token = scene.people[case.who].token if case.who in scene.people else token
    request = case.request(scene)
    rpc = type(request).__name__.removesuffix("Request")
    outcomes = {name: said(await door.call(rpc, request, token, **case.metadata)) for name, door in world.doors.items()}
    assert outcomes["grpc"][0] == case.refusal
    assert outcomes["grpc"][1], "an error says in a sentence what is wrong"
    assert outcomes["rest"] == outcomes["remote"] == outcomes["grpc"]


READS: dict[str, tuple[str, Callable[[Scene], Message]]] = {
    "the catalogue": ("", lambda s: courses_pb2.ListCoursesRequest(instructor_id=s.people["teacher"].id, page_size=1)),
    "own drafts": ("teacher", lambda s: courses_pb2.ListCoursesRequest(mine=True, order_by=courses_pb2.COURSE_ORDER_TITLE)),
    "a course": ("", lambda s: course(s.free.id)),
    "an own course": ("teacher", lambda s: course(s.draft.id)),
    "a lecture": ("student", lambda s: courses_pb2.GetLectureRequest(lecture_id=s.lecture_id)),
    "an exam with keys": ("teacher", lambda s: quizzes_pb2.GetExamRequest(course_id=s.free.id)),
    "an exam without": ("student", lambda s: quizzes_pb2.GetExamRequest(course_id=s.free.id)),
    "a graded attempt": ("student", lambda s: quizzes_pb2.GetAttemptRequest(attempt_id=s.attempt.id)),
    "progress": ("student", lambda s: progress_pb2.GetCourseProgressRequest(course_id=s.free.id)),
    "a student's progress": (
        "teacher", lambda s: progress_pb2.GetCourseProgressRequest(course_id=s.free.id, student_id=s.people["student"].id)
    ),
    "certificates": ("student", lambda s: certificates_pb2.ListCertificatesRequest()),
    "enrollments": ("student", lambda s: enrollments_pb2.ListEnrollmentsRequest()),
    "students": ("teacher", lambda s: enrollments_pb2.ListCourseStudentsRequest(course_id=s.free.id)),
    "accounts": ("admin", lambda s: identity_pb2.ListUsersRequest(role=identity_pb2.ROLE_ADMIN, page_size=2)),
    "oneself": ("student", lambda s: identity_pb2.GetMeRequest()),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
async def test_an_answer_is_the_same(world: World, scene: Scene, name: str) -> None:
    who, make = READS[name]
    token = scene.people[who].token if who else ""
    request = make(scene)
    rpc = type(request).__name__.removesuffix("Request")
    outcomes = {name: await door.call(rpc, request, token) for name, door in world.doors.items()}
    assert all(outcome.ok for outcome in outcomes.values()), outcomes
    assert outcomes["rest"].message == outcomes["remote"].message == outcomes["grpc"].message
    assert outcomes["grpc"].message != type(outcomes["grpc"].message)()


# What takes several calls: each is played through one door after the other, and what it tells must be the same.

Play = Callable[[World, Scene, Door], Awaitable[list[Any]]]


async def replay(world: World, scene: Scene, door: Door) -> list[Any]:
    """The same key and request is answered with the first answer; another request is refused."""
    key, token = uuid.uuid4().hex, scene.people["teacher"].token
    request = courses_pb2.CreateCourseRequest(title="Once", price=USD)
    first = await door.call("CreateCourse", request, token, idempotency_key=key)
    again = await door.call("CreateCourse", request, token, idempotency_key=key)
    other = await door.call("CreateCourse", courses_pb2.CreateCourseRequest(title="Twice"), token, idempotency_key=key)
    stranger = await door.call("CreateCourse", request, scene.people["other"].token, idempotency_key=key)
    return [
        first.message == again.message, stranger.message.id == first.message.id,
        *(outcome.metadata.get("idempotency-replayed") for outcome in (first, again, stranger)), said(other),
    ]  # fmt: skip


async def stale_write(world: World, scene: Scene, door: Door) -> list[Any]:
    """Whoever read an older version changes nothing."""
    token = scene.people["teacher"].token
    made = (await door.call("CreateCourse", courses_pb2.CreateCourseRequest(title="First"), token)).message
    change = courses_pb2.UpdateCourseRequest(course_id=made.id, title="Second")
    second = await door.call("UpdateCourse", change, token, if_match=f'"{made.etag}"')
    change.title = "Third"
    third = await door.call("UpdateCourse", change, token, if_match=f'"{made.etag}"')
    now = await door.call("GetCourse", course(made.id), token)
    return [second.message.title, said(third), now.message.title, now.message.etag == second.message.etag]


async def foreign_token(world: World, scene: Scene, door: Door) -> list[Any]:
    """A page token is bound to its query and its caller."""
    token = scene.people["teacher"].token
    for _ in range(2):
        await door.call("CreateCourse", courses_pb2.CreateCourseRequest(title="A page"), token)
    first = await door.call("ListCourses", courses_pb2.ListCoursesRequest(mine=True, page_size=1), token)
    page = courses_pb2.ListCoursesRequest(mine=True, page_size=1, page_token=first.message.next_page_token)
    next_page = await door.call("ListCourses", page, token)
    stranger = await door.call("ListCourses", page, scene.people["other"].token)
    page.level = courses_pb2.COURSE_LEVEL_ADVANCED
    return [len(next_page.message.courses), said(stranger), said(await door.call("ListCourses", page, token))]


async def enroll_twice(world: World, scene: Scene, door: Door) -> list[Any]:
    """The second time is no new enrollment; a student who has the course cannot pay for it."""
    newcomer = await world.person()
    both = [await door.call("EnrollInCourse", enroll(scene.free.id), newcomer.token) for _ in range(2)]
    admin = scene.people["admin"]
    granted = await door.call("EnrollInCourse", enroll(scene.paid.id, newcomer.id), admin.token)
    paying = await door.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=scene.paid.id), newcomer.token)
    return [both[0].message == both[1].message, granted.code, said(paying)]


REUSED = Refusal("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
STALE = Refusal("ABORTED", "ETAG_MISMATCH")
BAD_PAGE = invalid("pageToken", reason="PAGE_TOKEN_INVALID")
ENROLLED = Refusal("ALREADY_EXISTS", "ALREADY_ENROLLED")
PLAYS: dict[Play, list[Any]] = {
    replay: [True, False, None, "true", None, REUSED],
    stale_write: ["Second", STALE, "Second", True],
    foreign_token: [1, BAD_PAGE, BAD_PAGE],
    enroll_twice: [True, "OK", ENROLLED],
}


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
async def test_a_play_is_the_same(world: World, scene: Scene, play: Play) -> None:
    told = {name: await play(world, scene, door) for name, door in world.doors.items()}
    assert [item[0] if isinstance(item, tuple) else item for item in told["grpc"]] == PLAYS[play]
    assert told["rest"] == told["remote"] == told["grpc"]
