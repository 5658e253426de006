"""Answer keys never leave before the attempt is submitted, by any route of the contract.

Every RPC is called over REST and gRPC by everybody who could be curious, and every byte of every answer (headers,
bodies, error details) is searched for what only the key and the explanations hold.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from contract.methods import Method, load_methods
from core.ids import to_bytes
from core.redis import keys
from skillforge.v1 import courses_pb2, enrollments_pb2, families_pb2, quizzes_pb2
from skillforge.v1.quizzes_pb2 import AnswerKey, Question
from tests.support.doors import rest_request
from tests.support.polling import eventually
from tests.support.world import Person, World

# Lasting streams have no end to look at; what they carry are the events, which are looked at where they are kept.
METHODS = tuple(method for method in load_methods() if not method.lasting)
BY_NAME = {method.name: method for method in METHODS}
# What ends the attempt, the person or the link: not before the attempt is submitted, and by somebody of their own.
ENDING = {"SubmitAttempt", "SignOut", "EraseMe", "UnlinkChild", "UnlinkParent"}

SINGLE, MULTIPLE, TRUE_FALSE, SHORT_TEXT, NUMERIC = (
    quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE,
    quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE,
    quizzes_pb2.QUESTION_KIND_TRUE_FALSE,
    quizzes_pb2.QUESTION_KIND_SHORT_TEXT,
    quizzes_pb2.QUESTION_KIND_NUMERIC,
)
TEXT, WHY = "kryptonite-7f3a", "because-of-b81d"
NUMBER, TOLERANCE = 7318.40625, 0.03125
RIGHT = "right-choice"


def double(value: float) -> bytes:
    return struct.pack("<d", value)


# The key as REST and as gRPC would write it. Which choice is right shows in the key alone: its field with its number.
MARKERS = [
    *(text.encode() for text in (TEXT, WHY, repr(NUMBER), repr(TOLERANCE), '"answerKey"', "answer_key")),
    double(NUMBER),
    double(TOLERANCE),
    Question(answer_key=AnswerKey(choice_ids=[RIGHT])).SerializeToString(),
    Question(answer_key=AnswerKey(choice_ids=["true"])).SerializeToString(),
]


def questions() -> list[Question]:
    choices = [quizzes_pb2.Choice(id=item, text=item) for item in ("one", RIGHT, "three")]
    found = [
        Question(id="single", kind=SINGLE, choices=choices, answer_key=AnswerKey(choice_ids=[RIGHT])),
        Question(id="multiple", kind=MULTIPLE, choices=choices, answer_key=AnswerKey(choice_ids=[RIGHT])),
        Question(id="yes", kind=TRUE_FALSE, answer_key=AnswerKey(choice_ids=["true"])),
        Question(id="text", kind=SHORT_TEXT, answer_key=AnswerKey(accepted_texts=[TEXT])),
        Question(id="number", kind=NUMERIC, answer_key=AnswerKey(number=NUMBER, tolerance=TOLERANCE)),
    ]
    for question in found:
        question.prompt, question.explanation = f"What about {question.id}?", WHY
    return found


def wrong_answers() -> list[quizzes_pb2.Answer]:
    return [quizzes_pb2.Answer(question_id="text", text="no"), quizzes_pb2.Answer(question_id="multiple", choice_ids=["one"])]


@dataclass
class Exam:
    """A lecture's quiz and an exam, each with a student's open attempt, and everybody who might look."""

    people: dict[str, Person | None]
    course: courses_pb2.Course
    quiz: quizzes_pb2.Quiz
    attempts: list[quizzes_pb2.Attempt]

    def person(self, name: str) -> Person:
        person = self.people[name]
        assert person is not None
        return person

    def requests(self, method: Method, attempt: quizzes_pb2.Attempt) -> Iterable[Message]:
        """The method's request about these things: with every id there is, and with those of the path alone."""
        lecture = self.course.modules[0].lectures[0]
        student = self.person("student").id
        ids = {
            "course_id": self.course.id, "module_id": self.course.modules[0].id, "lecture_id": lecture.id,
            "quiz_id": attempt.quiz_id, "attempt_id": attempt.id, "student_id": student, "child_id": student,
            "user_id": student, "parent_id": self.person("parent").id, "instructor_id": self.person("teacher").id,
        }  # fmt: skip
        for whole in (True, False):
            if issubclass(method.request_type, HttpBody):
                yield HttpBody(content_type="application/json", data=b"{}")
                return
            request = method.request_type()
            for field in request.DESCRIPTOR.fields:
                in_path = any(f"{{{field.name}}}" in route.template for route in method.routes)
                if field.type == field.TYPE_STRING and not field.is_repeated and (whole or in_path):
                    if field.name.endswith("_id"):
                        setattr(request, field.name, ids.get(field.name, str(uuid.uuid4())))
                    elif field.name in ("title", "text", "query"):
                        setattr(request, field.name, "What about")
            if isinstance(request, quizzes_pb2.SaveAnswersRequest):
                request.answers.extend(wrong_answers())
            yield request


@pytest.fixture
async def exam(world: World) -> Exam:
    roles = {
        "teacher": "INSTRUCTOR", "student": "STUDENT", "fellow": "STUDENT", "stranger": "STUDENT",
        "parent": "PARENT", "other parent": "PARENT", "other teacher": "INSTRUCTOR", "admin": "ADMIN",
    }  # fmt: skip
    people: dict[str, Person | None] = {name: await world.person(role) for name, role in roles.items()}
    people["nobody"] = None
    teacher, student = people["teacher"], people["student"]
    course = await world.course(teacher, lectures=2, exam=False)  # type: ignore[arg-type]
    content: dict[str, Any] = {"title": "Secrets", "pass_percent": 50, "questions": questions(), "shuffle": True}
    for lecture in course.modules[0].lectures:
        put = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture.id, **content)
        quiz = await world.call("PutLectureQuiz", put, teacher)
    await world.call("PutExam", quizzes_pb2.PutExamRequest(course_id=course.id, **content), teacher)
    course = await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id), teacher)
    for name in ("student", "fellow"):
        await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), people[name])
    for lecture in course.modules[0].lectures:
        mark = BY_NAME["MarkLecture"].request_type(lecture_id=lecture.id, completed=True)
        await world.call("MarkLecture", mark, student)
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), student)
    await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), people["parent"])
    attempts = [
        await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=quiz_id), student)
        for quiz_id in (quiz.id, course.exam_id)
    ]
    return Exam(people, course, quiz, attempts)


async def over_rest(world: World, method: Method, request: Message, person: Person | None) -> bytes:
    """Every byte that comes back, of the answer's headers and body."""
    verb, path, body, content_type = rest_request(method, request)
    headers = {**(person.headers if person else {}), **({"Content-Type": content_type} if body is not None else {})}
    if method.name.startswith("Export"):
        headers["Accept"] = "text/csv, application/json"
    async with world.session.request(verb, world.url + path, data=body, headers=headers) as response:
        seen = await response.read()
        assert response.status < 500, (method.name, seen)
        return b"\n".join([*(name + b": " + value for name, value in response.raw_headers), seen])


async def over_grpc(world: World, method: Method, request: Message, person: Person | None) -> bytes:
    """Every byte that comes back: the messages as they are on the wire, metadata and error details."""
    metadata = [("authorization", f"Bearer {person.token}")] if person else []
    seen: list[bytes] = []
    make: Any = world.channel.unary_stream if method.server_streaming else world.channel.unary_unary
    call = make(method.path, request_serializer=method.request_type.SerializeToString)(request, metadata=metadata, timeout=20)
    try:
        if method.server_streaming:
            seen += [message async for message in call]
        else:
            seen.append(await call)
        trailing = await call.trailing_metadata()
    except grpc.aio.AioRpcError as error:
        trailing = error.trailing_metadata()
        seen.append((error.details() or "").encode())
    for key, value in (*(await call.initial_metadata() or ()), *(trailing or ())):
        seen += [key.encode(), value if isinstance(value, bytes) else value.encode()]
    return b"\n".join(seen)


async def events(world: World, exam: Exam) -> bytes:
    """Every byte of the events that were sent to them."""
    await eventually(lambda: world.core.resources.db.fetch_one("SELECT COUNT(*) FROM outbox"), lambda row: row == (0,))
    streams = [keys.events(to_bytes(person.id)) for person in exam.people.values() if person is not None]
    entries = [await world.core.resources.redis.run("XRANGE", stream, "-", "+") for stream in streams]
    sent = [value for stream in entries for _, fields in stream for value in fields[1::2]]
    assert sent, "the marks of the lectures were told"
    return b"\n".join(sent)


def found(seen: bytes) -> list[bytes]:
    return [marker for marker in MARKERS if marker in seen]


async def looks(world: World, exam: Exam, method: Method, name: str, attempt: quizzes_pb2.Attempt) -> None:
    """Have somebody call the method in every way: whether it succeeds does not matter, what is seen does."""
    for request in exam.requests(method, attempt):
        for door in (over_rest, over_grpc) if method.routes else (over_grpc,):
            seen = await door(world, method, request, exam.people[name])
            assert not found(seen), (method.name, name, door.__name__, seen)


CURIOUS = ["student", "fellow", "stranger", "parent", "other parent", "other teacher", "nobody"]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_route_shows_a_key_before_the_attempt_is_submitted(world: World, exam: Exam) -> None:
    for attempt in exam.attempts:
        for method in METHODS:
            if method.name in ENDING:
                continue
            for name in CURIOUS:
                await looks(world, exam, method, name, attempt)
    for attempt in exam.attempts:
        now = await world.call("GetAttempt", quizzes_pb2.GetAttemptRequest(attempt_id=attempt.id), exam.person("student"))
        assert now.status == quizzes_pb2.ATTEMPT_STATUS_IN_PROGRESS, "all of that was before the submission"
    assert found(await events(world, exam)) == []
    for method in METHODS:
        if method.name in ENDING - {"SubmitAttempt"}:
            for name in CURIOUS:
                await looks(world, exam, method, name, exam.attempts[0])


async def test_the_search_would_find_them(world: World, exam: Exam) -> None:
    """Every marker is in what the author sees, through one door or the other."""
    request = quizzes_pb2.GetQuizRequest(quiz_id=exam.quiz.id)
    seen = set()
    for door in (over_rest, over_grpc):
        seen |= set(found(await door(world, BY_NAME["GetQuiz"], request, exam.person("teacher"))))
    assert set(MARKERS) - seen == {b"answer_key"}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_after_the_submission_they_are_for_the_student_and_the_owner_alone(world: World, exam: Exam) -> None:
    first, second = exam.attempts
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=first.id, answers=wrong_answers())
    graded = await world.call("SubmitAttempt", submit, exam.person("student"))
    review = {question.id: question for question in graded.questions}
    assert review["text"].answer_key.accepted_texts == [TEXT]
    assert review["number"].answer_key.number == NUMBER
    assert {question.explanation for question in graded.questions} == {WHY}
    assert [result.question_id for result in graded.results] == [question.id for question in graded.questions]
    assert list(graded.answers) == wrong_answers()
    get = quizzes_pb2.GetAttemptRequest(attempt_id=first.id)
    for name in ("student", "teacher", "admin"):
        for door in (over_rest, over_grpc):
            assert found(await door(world, BY_NAME["GetAttempt"], get, exam.people[name])), name
    seen = await world.call("GetAttempt", get, exam.person("parent"))
    assert (seen.percent, len(seen.results)) == (graded.percent, len(graded.results))
    for method in METHODS:
        if method.name not in ENDING:
            for name in set(CURIOUS) - {"student"}:
                await looks(world, exam, method, name, first)
            if method.name not in ("GetAttempt", "ExportMyData"):
                await looks(world, exam, method, "student", first)
            await looks(world, exam, method, "student", second)


async def test_a_reused_key_of_a_submission_is_the_student_s_own(world: World, exam: Exam) -> None:
    """What is replayed for an `Idempotency-Key` is replayed to the caller who sent it alone."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    path = f"/quizzes/{exam.quiz.id}/attempts"
    status, _, own = await world.request("POST", path, person=exam.person("student"), json={}, headers=key)
    assert (status, own["id"]) == (200, exam.attempts[0].id)
    status, _, other = await world.request("POST", path, person=exam.person("fellow"), json={}, headers=key)
    assert status == 201
    assert other["id"] != own["id"]
