"""The demo school of `skillforge up`: complete, the same every time, and completed after an interruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2

from cli.demo.client import Caller
from cli.demo.course_files import CourseFileError, answers, load_courses, read_course
from cli.demo.people import load_people, people, studies
from cli.demo.personas import demo_personas
from cli.demo.school import GOOD_CARD, REFUSED_CARD, DemoSchool, make_school
from cli.servers import LocalServers
from contract.client import CoreClient, Reply
from contract.errors import CallError
from contract.methods import Method
from core.courses.rules import CURRENCIES
from core.quizzes import rules
from core.quizzes.questions import check_questions, filled
from core.rpc.validate import check_rules
from skillforge.v1 import courses_pb2, identity_pb2, payments_pb2, quizzes_pb2
from tests.conftest import fresh_database
from tests.support.polling import eventually
from tests.support.world import Person, World, running_world

SHOWN = """
SELECT 'courses', c.title, c.status, c.lecture_count, c.enrollment_count FROM courses c
UNION ALL SELECT 'enrollments', u.email, c.title, e.lectures_completed, ROUND(e.score)
  FROM enrollments e JOIN users u ON u.id = e.student_id JOIN courses c ON c.id = e.course_id
UNION ALL SELECT 'attempts', u.email, a.number, ROUND(a.percent), a.status FROM attempts a JOIN users u ON u.id = a.student_id
UNION ALL SELECT 'payments', u.email, p.amount_minor, p.currency, p.status FROM payments p JOIN users u ON u.id = p.student_id
UNION ALL SELECT 'certificates', t.student_name, t.course_title, ROUND(t.score_percent), t.status FROM certificates t
UNION ALL SELECT 'families', p.email, s.email, 0, 0
  FROM family_links f JOIN users p ON p.id = f.parent_id JOIN users s ON s.id = f.child_id
"""


class Faltering:
    """A client that fails after so many calls."""

    def __init__(self, client: CoreClient, calls: int) -> None:
        self._client = client
        self._left = calls

    async def call(self, method: Method, request: Message, metadata: Mapping[str, str], timeout: float | None) -> Reply:
        self._left -= 1
        if self._left < 0:
            raise CallError.build(code_pb2.UNAVAILABLE, "UNAVAILABLE", "stopped here")
        return await self._client.call(method, request, metadata, timeout)

    def stream(self, *args: Any) -> Any:
        raise NotImplementedError


async def pending_payments(world: World) -> int:
    """How many payments wait for a webhook; the school leaves none open."""
    sql = "SELECT COUNT(*) FROM payments WHERE status = %s"
    ((count,),) = await world.core.resources.db.fetch_all(sql, (payments_pb2.PAYMENT_STATUS_PENDING,))
    return int(count)


async def shown(world: World) -> Counter[tuple[Any, ...]]:
    """All the school shows, without ids and times."""
    return Counter(await world.core.resources.db.fetch_all(SHOWN))


async def signed_in(world: World, key: str) -> Person:
    person = next(item for item in load_people() if item.key == key)
    _, token = await world.fakes.clerk.sign_in(person.email, person.name, person.role)
    outcome = await world.rest.call("GetMe", identity_pb2.GetMeRequest(), token)
    return Person(token, outcome.message)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_it_is_made_once_and_an_interrupted_start_is_completed(servers: LocalServers, worker_number: int) -> None:
    results = []
    for name, interruptions in (("whole", ()), ("stopped", (30, 150, 400))):
        url = fresh_database(servers, f"demo_{name}_{worker_number}")
        async with running_world(url, servers.redis_url(40 + worker_number)) as world:
            client, clerk = world.core.dispatcher, world.fakes.clerk
            for calls in interruptions:
                with pytest.raises(ExceptionGroup):
                    await make_school(Faltering(client, calls), clerk)
            assert await make_school(client, clerk)
            # A refused card's webhook is not waited for by the school.
            await eventually(lambda: pending_payments(world), lambda count: count == 0)
            results.append(await shown(world))
            assert not await make_school(client, clerk)
            assert await shown(world) == results[-1]
            if not interruptions:
                await check_the_school(world)
    assert results[0] == results[1]


@pytest.mark.parametrize(("card", "status"), [(REFUSED_CARD, "FAILED"), (GOOD_CARD, "SUCCEEDED")])
@pytest.mark.parametrize("charged", [False, True], ids=["before the checkout", "behind it"])
async def test_a_payment_that_was_interrupted_is_settled(world: World, card: str, status: str, charged: bool) -> None:
    """By the next start; and once, also when the first start's webhook is still on its way."""
    course = await world.course(await world.person("INSTRUCTOR"), price=4900)
    student, key = await world.person(), load_people()[0]
    payment = await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=course.id), student)
    async with aiohttp.ClientSession() as http:
        if charged:
            await http.post(payment.checkout_url, json={"card": card})
        school = DemoSchool(world.core.dispatcher, world.fakes.clerk, http, lambda done, total: None)
        for _ in range(2):
            paid = await school._pay(Caller(world.core.dispatcher, student.token, key), course.id, card)
            assert paid == (status == "SUCCEEDED")
            listed = await world.call("ListPayments", payments_pb2.ListPaymentsRequest(), student)
            assert [payments_pb2.PaymentStatus.Name(item.status) for item in listed.payments] == [f"PAYMENT_STATUS_{status}"]
            if paid:
                break  # whoever is enrolled does not pay


async def check_the_school(world: World) -> None:
    """What visitors, students, parents and teachers see."""
    kinds = Counter(row[0] for row in (await shown(world)).elements())
    assert kinds["courses"] == len(load_courses())
    assert kinds["enrollments"] > 120
    assert kinds["attempts"] > 200
    assert kinds["certificates"] > 40
    assert kinds["families"] == sum(len(parent.children) for parent in people("PARENT"))
    listed = (await world.call("ListCourses", courses_pb2.ListCoursesRequest(page_size=100))).courses
    published = [course for course in load_courses() if course.status == "published"]
    assert {course.title for course in listed} == {course.title for course in published}
    found = (await world.call("ListCourses", courses_pb2.ListCoursesRequest(query="北极星"))).courses
    assert not found  # notes are not searched
    found = (await world.call("ListCourses", courses_pb2.ListCoursesRequest(query="观察"))).courses
    assert [course.title for course in found] == ["观察夜空"]
    parent = await signed_in(world, "lihua")
    status, _, answer = await world.request("GET", "/families/children", person=parent)
    assert (status, {child["childName"] for child in answer["children"]}) == (200, {"李小龍", "陈美"})
    sam = await signed_in(world, "sam")
    status, _, answer = await world.request("GET", "/chat/conversations", person=sam)
    assert (status, {item["peer"]["displayName"] for item in answer["conversations"]}) == (
        200,
        {"Nora Lindqvist", "Ada Lovelace"},
    )
    status, _, answer = await world.request("GET", "/friends/requests", person=sam)
    assert (status, [item["person"]["displayName"] for item in answer["requests"]]) == (200, ["陈美"])
    admin = await signed_in(world, "admin")
    payments = (await world.call("ListPayments", payments_pb2.ListPaymentsRequest(page_size=100), admin)).payments
    assert {payment.status for payment in payments} == {
        payments_pb2.PAYMENT_STATUS_SUCCEEDED,
        payments_pb2.PAYMENT_STATUS_FAILED,
    }


@pytest.mark.parametrize("course", load_courses(), ids=lambda course: course.slug)
def test_the_courses_are_sound(course: Any) -> None:
    """Rules of the contract hold; every quiz can be passed with its own keys, and failed."""
    check_rules(courses_pb2.CreateCourseRequest(**course.fields))
    assert course.fields["price"]["currency"] in CURRENCIES
    assert 2 <= len(course.lectures) <= 5
    assert course.instructor in {person.key for person in people("INSTRUCTOR")}
    for lecture in course.lectures:
        assert len(lecture.notes) > 80
    for quiz in [course.exam, *(lecture.quiz for lecture in course.lectures)]:
        if quiz is None:
            continue
        request = quizzes_pb2.PutExamRequest(**quiz.fields, questions=quiz.questions)
        request.course_id = "0190e7a8-0000-7000-8000-000000000001"
        check_rules(request)
        assert not check_questions(request.questions)
        assert all(question.explanation for question in request.questions)
        questions = filled(request.questions, lambda: "x")
        for right in range(len(questions) + 1):
            given = [quizzes_pb2.Answer(**answer) for answer in answers(quiz, right)]
            assert not rules.check_answers(questions, given)
            assert rules.grade(questions, given, quiz.fields["pass_percent"]).points_earned == right


def test_everybody_has_something_to_do() -> None:
    plans = [study for student in people("STUDENT") for study in studies(student)]
    assert len(people("STUDENT")) == 50
    assert {study.course.slug for study in plans} == {course.slug for course in load_courses() if course.status != "draft"}
    assert {study.entry for study in plans} == {"card", "refused card", "grant"}
    assert {len(study.exams) for study in plans} == {0, 1, 2}
    assert {child for parent in people("PARENT") for child in parent.children} <= {student.key for student in people("STUDENT")}
    assert len({person.email for person in load_people()}) == len(load_people())


def test_whom_the_console_suggests() -> None:
    """One of each role at least, and they are of the school."""
    people_by_email = {person.email: person for person in load_people()}
    for persona in demo_personas():
        person = people_by_email[persona.email]
        assert (persona.display_name, persona.role) == (person.name, person.role)
    assert {persona.role for persona in demo_personas()} == {"STUDENT", "INSTRUCTOR", "PARENT", "ADMIN"}


HEAD = "title: T\ninstructor: ada\nlanguage: en\nlevel: beginner\nprice: 0 USD\ntags: a\nstatus: draft\n\nAbout.\n\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("title: T\n\nAbout.", "must begin with"),
        (HEAD.replace("0 USD", "free"), "a price reads"),
        (HEAD + "# M\n## Lecture\n", "a lecture reads"),
        (HEAD + "## Lecture [1:00]\n", "x: ## Lecture"),
        (HEAD + "# M\n## L [1:00]\n@quiz Q | pass 50\n? What?\n! So.\n", "no answer: What?"),
    ],
)
def test_a_faulty_course_file_says_where(text: str, fault: str) -> None:
    with pytest.raises(CourseFileError, match=fault.replace("?", r"\?")):
        read_course("x", text)
