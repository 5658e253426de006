"""The whole student journey through every door: from a course nobody has written to a certificate that verifies."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from rich.console import Console

from cli.client import ApiError
from cli.tour import run_tour
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.doors import Door, Outcome
from tests.support.pdf_text import text_of
from tests.support.polling import eventually
from tests.support.world import World, exam_content, right_answers

CARD = "4242424242424242"
TEACHER, STUDENT = "Ольга Ångström", "李小龍 محمد"
DOORS = ["grpc", "rest", "remote"]


@dataclass
class Traveller:
    """Somebody who uses one door. `token` "" is a visitor."""

    door: Door
    token: str = ""

    async def do(self, request: Message, name: str = "") -> Any:
        """The answer to a request, which is named after its RPC; fails the test on an error."""
        outcome = await self.attempt(request, name)
        assert outcome.ok, f"{type(request).__name__}: {outcome}"
        return outcome.message

    async def attempt(self, request: Message, name: str = "") -> Outcome:
        return await self.door.call(name or type(request).__name__.removesuffix("Request"), request, self.token)


async def sign_in(world: World, door: Door, email: str, name: str, role: str) -> Traveller:
    body = {"email": email, "displayName": name, "role": role}
    status, _, answer = await world.request("POST", "/dev/sign-in", url=world.fakes.url, json=body)
    assert status == 200, answer
    traveller = Traveller(door, answer["token"])
    user = await traveller.do(identity_pb2.SyncUserRequest())
    assert (user.email, user.display_name) == (email, name)
    assert user.role == identity_pb2.Role.Value(f"ROLE_{role}")
    assert await traveller.do(identity_pb2.GetMeRequest()) == user
    return traveller


async def author(teacher: Traveller, title: str) -> courses_pb2.Course:
    """Write a course of two modules with a lecture each, a quiz and an exam, and publish it."""
    price = courses_pb2.Money(amount_minor=4900, currency="EUR")
    request = courses_pb2.CreateCourseRequest(title=title, description="Halve it.", price=price, tags=["search"], language="en")
    draft = await teacher.do(request)
    assert draft.status == courses_pb2.COURSE_STATUS_DRAFT
    assert draft.instructor.display_name == TEACHER
    refused = await teacher.attempt(courses_pb2.PublishCourseRequest(course_id=draft.id))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "COURSE_NOT_PUBLISHABLE")
    for number in (1, 2):
        module = await teacher.do(courses_pb2.CreateModuleRequest(course_id=draft.id, title=f"Part {number}"))
        lecture = courses_pb2.CreateLectureRequest(module_id=module.id, title=f"Lecture {number}", notes="# Read this")
        lecture.video.url, lecture.video.duration_seconds = "https://videos.example.com/1.mp4", 300
        last = await teacher.do(lecture)
    await teacher.do(quizzes_pb2.PutLectureQuizRequest(lecture_id=last.id, **exam_content()))
    await teacher.do(quizzes_pb2.PutExamRequest(course_id=draft.id, **exam_content(max_attempts=2)))
    course = await teacher.do(courses_pb2.PublishCourseRequest(course_id=draft.id))
    assert course.status == courses_pb2.COURSE_STATUS_PUBLISHED
    assert [len(module.lectures) for module in course.modules] == [1, 1]
    return course  # type: ignore[no-any-return]


async def find(visitor: Traveller, title: str) -> courses_pb2.Course:
    """Look for the course as somebody who is not signed in."""
    found = await visitor.do(courses_pb2.ListCoursesRequest(query=title, tag="search"))
    [listed] = found.courses
    assert not listed.modules
    shown = await visitor.do(courses_pb2.GetCourseRequest(course_id=listed.id))
    assert shown.title == title
    locked = await visitor.attempt(courses_pb2.GetLectureRequest(lecture_id=lecture_ids(shown)[0]))
    assert locked.code == "UNAUTHENTICATED"
    return shown  # type: ignore[no-any-return]


async def buy(world: World, student: Traveller, course: courses_pb2.Course) -> None:
    """Pay at the provider's page; its webhook, and nothing else, unlocks the course."""
    payment = await student.do(payments_pb2.CreatePaymentRequest(course_id=course.id))
    assert payment.status == payments_pb2.PAYMENT_STATUS_PENDING
    assert payment.amount == course.price
    locked = await student.attempt(courses_pb2.GetLectureRequest(lecture_id=lecture_ids(course)[0]))
    assert (locked.code, locked.reason) == ("PERMISSION_DENIED", "NOT_ENROLLED")
    status, _, page = await world.request("GET", "", url=payment.checkout_url)
    assert status == 200
    assert b"49.00 EUR" in page
    status, _, page = await world.request("POST", "", url=payment.checkout_url, json={"card": CARD})
    assert status == 200, page

    async def read() -> int:
        return (await student.do(payments_pb2.GetPaymentRequest(payment_id=payment.id))).status  # type: ignore[no-any-return]

    await eventually(read, lambda status: status == payments_pb2.PAYMENT_STATUS_SUCCEEDED)
    [enrollment] = (await student.do(enrollments_pb2.ListEnrollmentsRequest())).enrollments
    assert (enrollment.course_id, enrollment.status) == (course.id, enrollments_pb2.ENROLLMENT_STATUS_ACTIVE)


async def learn(student: Traveller, course: courses_pb2.Course) -> None:
    """Complete every lecture, then pass the exam."""
    locked = await student.attempt(quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id))
    assert (locked.code, locked.reason, len(locked.fields)) == ("FAILED_PRECONDITION", "EXAM_LOCKED", 2)
    for done, lecture_id in enumerate(lecture_ids(course), 1):
        lecture = await student.do(courses_pb2.GetLectureRequest(lecture_id=lecture_id))
        assert (lecture.notes, lecture.video.duration_seconds) == ("# Read this", 300)
        marked = await student.do(progress_pb2.MarkLectureRequest(lecture_id=lecture_id, completed=True))
        assert marked.course.percent == done * 50
    attempt = await student.do(quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id))
    assert not any(question.HasField("answer_key") or question.explanation for question in attempt.questions)
    saved = await student.do(quizzes_pb2.SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()))
    assert (saved.status, list(saved.answers)) == (quizzes_pb2.ATTEMPT_STATUS_IN_PROGRESS, right_answers())
    graded = await student.do(quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id))
    assert (graded.passed, graded.percent) == (True, 100)
    assert graded.questions[0].answer_key.number == 42


async def prove(world: World, student: Traveller, visitor: Traveller, course: courses_pb2.Course) -> None:
    """The certificate is there by itself, says the right things, and anybody can verify it."""
    progress = await student.do(progress_pb2.GetCourseProgressRequest(course_id=course.id))
    [certificate] = (await student.do(certificates_pb2.ListCertificatesRequest())).certificates
    assert (progress.percent, progress.certificate_id, progress.exam.passed) == (100, certificate.id, True)
    snapshot = certificate.snapshot
    assert (snapshot.student_name, snapshot.course_title, snapshot.instructor_name) == (STUDENT, course.title, TEACHER)
    assert await student.do(certificates_pb2.GenerateCertificateRequest(course_id=course.id)) == certificate
    pdf = (await download(student, certificate.id)).message
    assert pdf.content_type == "application/pdf"
    text = text_of(pdf.data)
    for said in (*STUDENT.split(), *TEACHER.split(), course.title, certificate.id):
        assert said in text
    verdict = await visitor.do(certificates_pb2.VerifyCertificateRequest(certificate_id=certificate.id))
    assert verdict.valid
    assert verdict.snapshot == snapshot
    assert certificate.verify_url == f"{world.url}/certificates/{certificate.id}/verify"
    for url in (world.url, world.remote_url):
        path = f"/certificates/{certificate.id}/verify"
        status, headers, page = await world.request("GET", path, url=url, headers={"Accept": "text/html"})
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        for said in ("This certificate is valid", STUDENT, TEACHER, course.title):
            assert said in page.decode()


async def download(student: Traveller, certificate_id: str) -> Outcome:
    """The PDF; its first maker may still be starting on a busy machine, and says so."""
    request = certificates_pb2.DownloadCertificateRequest(certificate_id=certificate_id)
    busy = ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    outcome = await eventually(lambda: student.attempt(request), lambda outcome: outcome.code not in busy, 45)
    assert outcome.ok, outcome
    return outcome


def lecture_ids(course: courses_pb2.Course) -> list[str]:
    return [lecture.id for module in course.modules for lecture in module.lectures]


@pytest.mark.parametrize("name", DOORS)
async def test_a_student_pays_learns_passes_and_proves_it(world: World, name: str) -> None:
    door = world.doors[name]
    title = f"Searching by halves, {name} edition {uuid.uuid4().hex}"
    teacher = await sign_in(world, door, f"olga.{name}.{uuid.uuid4()}@example.com", TEACHER, "INSTRUCTOR")
    await author(teacher, title)
    visitor = Traveller(door)
    course = await find(visitor, title)
    student = await sign_in(world, door, f"li.{name}.{uuid.uuid4()}@example.com", STUDENT, "STUDENT")
    await buy(world, student, course)
    await learn(student, course)
    await prove(world, student, visitor, course)
    [seen] = (await teacher.do(enrollments_pb2.ListCourseStudentsRequest(course_id=course.id))).students
    assert (seen.display_name, seen.lectures_completed, seen.HasField("complete_time")) == (STUDENT, 2, True)


async def test_the_tour_walks_it_too(world: World, tmp_path: Path) -> None:
    said = io.StringIO()
    await run_tour(world.url, tmp_path / "certificate.pdf", Console(file=said, width=200))
    assert "李小龍" in text_of((tmp_path / "certificate.pdf").read_bytes())
    shown = " ".join(said.getvalue().split())
    for step in ("POST /auth/sync-user", "POST /payments/create", "POST /progress/lecture", "/verify", "Done."):
        assert step in shown
    assert "eyJ" not in shown, "the tour shows a token"


async def test_the_tour_says_where_it_broke(world: World, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"POST http://127\.0\.0\.1:1/dev/sign-in: .*Is `skillforge up` running there\?"):
        await run_tour("http://127.0.0.1:1", tmp_path / "certificate.pdf", Console(file=io.StringIO()))
