"""Courses, quizzes and answers as nobody should send them: every one a clear 400 that names the place, and nothing of it
is stored."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from skillforge.v1 import courses_pb2, enrollments_pb2, quizzes_pb2
from tests.support.world import Person, World

MIB = 1024 * 1024
CHOICES = [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}]


@dataclass
class Desk:
    """An author's published course with a lecture quiz, and a student's open attempt at it."""

    author: Person
    student: Person
    course: courses_pb2.Course
    attempt: quizzes_pb2.Attempt

    @property
    def lecture_ids(self) -> list[str]:
        return [lecture.id for module in self.course.modules for lecture in module.lectures]

    @property
    def paths(self) -> dict[str, str]:
        course, module, lecture = self.course.id, self.course.modules[0].id, self.lecture_ids[0]
        return {
            "course": f"/courses/{course}", "outline": f"/courses/{course}/outline", "exam": f"/courses/{course}/exam",
            "module": f"/modules/{module}", "lecture": f"/lectures/{lecture}", "quiz": f"/lectures/{lecture}/quiz",
            "answers": f"/attempts/{self.attempt.id}/answers", "submit": f"/attempts/{self.attempt.id}/submit",
        }  # fmt: skip


@pytest.fixture(scope="module")
async def desk(world: World) -> Desk:
    author, student = await world.person("INSTRUCTOR"), await world.person()
    course = await world.course(author, lectures=3, exam=False)
    quiz = await world.call(
        "PutLectureQuiz",
        quizzes_pb2.PutLectureQuizRequest(lecture_id=course.modules[0].lectures[0].id, title="Q", questions=one_of_each()),
        author,
    )
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=quiz.id), student)
    return Desk(author, student, course, attempt)


def one_of_each() -> list[quizzes_pb2.Question]:
    quiz = quizzes_pb2.Quiz()
    choices = [quizzes_pb2.Choice(id=item, text=item) for item in "ab"]
    add = quiz.questions.add
    add(id="one", prompt="?", kind=quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, choices=choices).answer_key.choice_ids.append("a")
    add(id="text", prompt="?", kind=quizzes_pb2.QUESTION_KIND_SHORT_TEXT).answer_key.accepted_texts.append("x")
    add(id="number", prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC).answer_key.number = 1
    return list(quiz.questions)


def single(**changes: Any) -> dict[str, Any]:
    question = {"prompt": "?", "kind": "QUESTION_KIND_SINGLE_CHOICE", "choices": CHOICES, "answerKey": {"choiceIds": ["a"]}}
    return {key: value for key, value in {**question, **changes}.items() if value is not None}


def numeric(**key: Any) -> dict[str, Any]:
    return {"prompt": "?", "kind": "QUESTION_KIND_NUMERIC", "answerKey": key}


def quiz(*questions: Any, **fields: Any) -> dict[str, Any]:
    return {"title": "Q", "passPercent": 50, "questions": list(questions), **fields}


def answers(*given: dict[str, Any]) -> dict[str, Any]:
    return {"answers": list(given)}


LONG = "x" * 201
TEXTS = {
    "too long": LONG, "500 characters": "x" * 500, "empty": "", "spaces": " \u3000\t", "invisible": "\u200b\u2060",
    "a NUL": "a\u0000b", "an escape": "a\u001b[31m", "a line break": "a\nb", "a delete": "a\u007f", "a C1 control": "a\u0085b",
}  # fmt: skip
TITLED: list[tuple[str, Any]] = [("course", {}), ("module", {}), ("lecture", {}), ("quiz", quiz(single()))]
NO_NUMBERS = ("NaN", "Infinity", "-Infinity", 1e101)
NO_TOLERANCES = ("NaN", "Infinity", -0.1, 1e300)
ENDLESS = {"url": "https://a.example/v", "durationSeconds": 86401}
BLANK = {"prompt": "?", "kind": "QUESTION_KIND_SHORT_TEXT", "answerKey": {"acceptedTexts": ["\u200b"]}}
KEY = "questions[0].answerKey"
BAD: list[tuple[str, str, Any, str]] = [
    *((f"a {what} title: {why}", what, {**rest, "title": text}, "title") for what, rest in TITLED for why, text in TEXTS.items()),
    ("a description of 20,001", "course", {"title": "T", "description": "x" * 20001}, "description"),
    ("a description with controls", "course", {"title": "T", "description": "a\u0000"}, "description"),
    ("a tag with a control", "course", {"title": "T", "tags": ["a\u0007b"]}, "tags[0]"),
    ("a tag twice", "course", {"title": "T", "tags": ["a", "a"]}, "tags"),
    ("many tags", "course", {"title": "T", "tags": [str(number) for number in range(21)]}, "tags"),
    ("a negative price", "course", {"title": "T", "price": {"amountMinor": -1, "currency": "USD"}}, "price.amountMinor"),
    ("a price of NaN", "course", {"title": "T", "price": {"amountMinor": "NaN", "currency": "USD"}}, "price.amountMinor"),
    ("a price too high", "course", {"title": "T", "price": {"amountMinor": 2**31, "currency": "USD"}}, "price.amountMinor"),
    ("half a cent", "course", {"title": "T", "price": {"amountMinor": 0.5, "currency": "USD"}}, "price.amountMinor"),
    ("no currency", "course", {"title": "T", "price": {"amountMinor": 5}}, "price.currency"),
    ("no such currency", "course", {"title": "T", "price": {"amountMinor": 5, "currency": "XXX"}}, "price.currency"),
    ("no such level", "course", {"title": "T", "level": 9}, "level"),
    ("no such level's name", "course", {"title": "T", "level": "HARD"}, "level"),
    ("no language", "course", {"title": "T", "language": "not a tag!"}, "language"),
    ("notes of 500,001 bytes", "lecture", {"title": "T", "notes": "x" * 500_001}, "notes"),
    ("notes of nearly a MiB", "lecture", {"title": "T", "notes": "x" * (MIB - 100)}, "notes"),
    ("notes with controls", "lecture", {"title": "T", "notes": "a\u0000"}, "notes"),
    ("a script for a video", "lecture", {"title": "T", "video": {"url": "javascript:alert(1)"}}, "video.url"),
    ("a video without end", "lecture", {"title": "T", "video": ENDLESS}, "video.durationSeconds"),
    ("a negative duration", "lecture", {"title": "T", "video": {"durationSeconds": -1}}, "video.durationSeconds"),
    ("no right answer", "quiz", quiz(single(answerKey=None)), "questions[0].answerKey.choiceIds"),
    ("no question", "quiz", quiz(), "questions"),
    ("a key to nowhere", "quiz", quiz(single(answerKey={"choiceIds": ["z"]})), "questions[0].answerKey.choiceIds[0]"),
    ("two right of one", "quiz", quiz(single(answerKey={"choiceIds": ["a", "b"]})), "questions[0].answerKey.choiceIds"),
    ("a choice's id twice", "quiz", quiz(single(choices=[CHOICES[0], CHOICES[0]])), "questions[0].choices"),
    ("one choice", "quiz", quiz(single(choices=CHOICES[:1])), "questions[0].choices"),
    ("51 choices", "quiz", quiz(single(choices=[{"text": str(n)} for n in range(51)])), "questions[0].choices"),
    ("a blank choice", "quiz", quiz(single(choices=[*CHOICES, {"text": " "}])), "questions[0].choices[2].text"),
    ("a choice's bad id", "quiz", quiz(single(choices=[*CHOICES, {"id": "é", "text": "E"}])), "questions[0].choices[2].id"),
    ("a question's id twice", "quiz", quiz(single(id="q"), single(id="q")), "questions[1].id"),
    ("no kind", "quiz", quiz(single(kind=None)), "questions[0].kind"),
    ("a kind nobody knows", "quiz", quiz(single(kind=77)), "questions[0].kind"),
    ("no prompt", "quiz", quiz(single(prompt="")), "questions[0].prompt"),
    ("a prompt of nearly a MiB", "quiz", quiz(single(prompt="x" * (MIB - 1000))), "questions[0].prompt"),
    ("a prompt with controls", "quiz", quiz(single(prompt="a\u0000b")), "questions[0].prompt"),
    ("10,000 questions", "quiz", quiz(*([{"prompt": "?", "kind": 4}] * 10_000)), "questions"),
    ("501 questions", "quiz", quiz(*[numeric(number=1)] * 501), "questions"),
    ("half a MiB of questions", "quiz", quiz(*[{**numeric(number=1), "prompt": "x" * 9000}] * 60), "questions"),
    ("negative points", "quiz", quiz(single(points=-1)), "questions[0].points"),
    ("1,001 points", "quiz", quiz(single(points=1001)), "questions[0].points"),
    ("a blank accepted text", "quiz", quiz(BLANK), f"{KEY}.acceptedTexts[0]"),
    ("no number", "quiz", quiz(numeric(tolerance=1)), "questions[0].answerKey.number"),
    *((f"the number {value}", "quiz", quiz(numeric(number=value)), f"{KEY}.number") for value in NO_NUMBERS),
    *((f"tolerance {value}", "quiz", quiz(numeric(number=1, tolerance=value)), f"{KEY}.tolerance") for value in NO_TOLERANCES),
    ("a percent of 101", "quiz", quiz(single(), passPercent=101), "passPercent"),
    ("a percent of -1", "quiz", quiz(single(), passPercent=-1), "passPercent"),
    ("time of -1", "quiz", quiz(single(), timeLimitSeconds=-1), "timeLimitSeconds"),
    ("attempts of -1", "exam", quiz(single(), maxAttempts=-1), "maxAttempts"),
    ("an exam without a key", "exam", quiz(single(answerKey=None)), "questions[0].answerKey.choiceIds"),
]  # fmt: skip


async def refuse(world: World, person: Person, verb: str, path: str, body: Any, field: str) -> None:
    """The request is a 400 whose violations name the field, over REST; everything said is short."""
    status, _, problem = await world.request(verb, path, person=person, json=body)
    assert status == 400, (status, str(problem)[:500])
    assert field in {item["field"] for item in problem["violations"]}, problem["violations"][:5]
    assert all(item["rule"] and item["description"] for item in problem["violations"])
    assert len(json.dumps(problem)) < 250_000


async def everything(world: World, desk: Desk) -> list[Any]:
    """All that could have been written to."""
    found = []
    for path in (f"/courses/{desk.course.id}", *(f"/lectures/{item}" for item in desk.lecture_ids), f"{desk.paths['quiz']}"):
        found.append(await world.request("GET", path, person=desk.author))
    attempt = await world.request("GET", f"/attempts/{desk.attempt.id}", person=desk.student)
    return [(status, answer) for status, _, answer in (*found, attempt)]


@pytest.mark.parametrize(("what", "body", "field"), [item[1:] for item in BAD], ids=[item[0] for item in BAD])
async def test_a_wrong_write_is_refused_whole(world: World, desk: Desk, what: str, body: Any, field: str) -> None:
    before = await everything(world, desk)
    await refuse(world, desk.author, "PUT", desk.paths[what], body, field)
    if what == "course":
        await refuse(world, desk.author, "POST", "/courses", body, field)
    assert await everything(world, desk) == before


async def test_the_door_takes_a_mebibyte(world: World, desk: Desk) -> None:
    for body in ({"title": "T", "notes": "x" * MIB}, {"title": "T", "notes": "é" * MIB}):
        status, _, problem = await world.request("PUT", desk.paths["lecture"], person=desk.author, json=body)
        assert (status, problem["reason"]) == (413, "BODY_TOO_LARGE")
    headers = {"Content-Type": "application/json"}
    for characters, expected in ((250_000, 200), (250_001, 400)):
        whole = json.dumps({"title": "T", "notes": "ä" * characters}, ensure_ascii=False).encode()
        status, _, _ = await world.request("PUT", desk.paths["lecture"], person=desk.author, data=whole, headers=headers)
        assert status == expected, "the limit of notes counts bytes"
    deep = b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for raw in (b'{"title": NaN}', b'{"title": "\xff"}', b'{"title": "\\ud800"}', b"[]", b"", b'"x"', b'{"title": "T"', deep):
        status, _, problem = await world.request("PUT", desk.paths["lecture"], person=desk.author, data=raw, headers=headers)
        assert status == 400, (raw[:40], problem)


Outline = list[tuple[str, list[str]]]
OUTLINES: dict[str, Callable[[str, list[str]], Outline]] = {
    "nothing": lambda module, lectures: [],
    "no lectures": lambda module, lectures: [(module, [])],
    "a lecture left out": lambda module, lectures: [(module, lectures[1:])],
    "a lecture twice": lambda module, lectures: [(module, [*lectures, lectures[0]])],
    "the module twice": lambda module, lectures: [(module, lectures), (module, [])],
    "the module in itself": lambda module, lectures: [(module, [*lectures, module])],
    "a lecture as a module": lambda module, lectures: [(module, lectures), (lectures[0], [])],
    "a circle": lambda module, lectures: [(module, [lectures[0], module]), (lectures[0], [module, *lectures[1:]])],
    "somebody else's": lambda module, lectures: [(module, [*lectures[1:], str(uuid.uuid4())])],
    "20,000 of one": lambda module, lectures: [(module, [lectures[0]] * 500)] * 40,
}


@pytest.mark.parametrize("name", OUTLINES)
async def test_an_outline_that_is_no_permutation(world: World, desk: Desk, name: str) -> None:
    before = await everything(world, desk)
    wrong = OUTLINES[name](desk.course.modules[0].id, desk.lecture_ids)
    body = {"modules": [{"moduleId": module, "lectureIds": lectures} for module, lectures in wrong]}
    status, _, problem = await world.request("PUT", desk.paths["outline"], person=desk.author, json=body)
    assert (status, problem["reason"]) == (400, "OUTLINE_NOT_A_PERMUTATION")
    assert 0 < len(problem["violations"]) <= 1000
    request = courses_pb2.UpdateOutlineRequest(course_id=desk.course.id)
    request.modules.extend(courses_pb2.ModuleOrder(module_id=module, lecture_ids=lectures) for module, lectures in wrong)
    outcome = await world.doors["grpc"].call("UpdateOutline", request, desk.author.token)
    assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "OUTLINE_NOT_A_PERMUTATION")
    assert outcome.fields
    assert await everything(world, desk) == before


BAD_ANSWERS = [
    ("no question", answers({"text": "x"}), "answers[0].questionId"),
    ("a question nobody asked", answers({"questionId": "none"}), "answers[0].questionId"),
    ("a question twice", answers({"questionId": "text"}, {"questionId": "text"}), "answers[1].questionId"),
    ("a choice nobody offered", answers({"questionId": "one", "choiceIds": ["z"]}), "answers[0].choiceIds[0]"),
    ("an empty choice", answers({"questionId": "one", "choiceIds": [""]}), "answers[0].choiceIds[0]"),
    ("two of one", answers({"questionId": "one", "choiceIds": ["a", "b"]}), "answers[0].choiceIds"),
    ("a choice twice", answers({"questionId": "one", "choiceIds": ["a", "a"]}), "answers[0].choiceIds"),
    ("not a number", answers({"questionId": "number", "number": "NaN"}), "answers[0].number"),
    ("endless", answers({"questionId": "number", "number": "Infinity"}), "answers[0].number"),
    ("a text for a number", answers({"questionId": "number", "number": "five"}), "answers[0].number"),
    ("a long text", answers({"questionId": "text", "text": "x" * 5001}), "answers[0].text"),
    ("501 answers", answers(*[{"questionId": "text"}] * 501), "answers"),
]


@pytest.mark.parametrize(("body", "field"), [item[1:] for item in BAD_ANSWERS], ids=[item[0] for item in BAD_ANSWERS])
async def test_wrong_answers_are_refused_whole(world: World, desk: Desk, body: Any, field: str) -> None:
    before = await everything(world, desk)
    await refuse(world, desk.student, "PUT", desk.paths["answers"], body, field)
    await refuse(world, desk.student, "POST", desk.paths["submit"], body, field)
    assert await everything(world, desk) == before


async def test_numbers_that_are_none_over_grpc(world: World, desk: Desk) -> None:
    """The wire of protobuf holds what JSON has no words for."""
    grpc = world.doors["grpc"]
    for value in (math.nan, math.inf, -math.inf):
        save = quizzes_pb2.SaveAnswersRequest(attempt_id=desk.attempt.id)
        save.answers.add(question_id="number", number=value)
        outcome = await grpc.call("SaveAnswers", save, desk.student.token)
        assert (outcome.code, outcome.fields[0]) == ("INVALID_ARGUMENT", "answers[0].number")
        for key in (quizzes_pb2.AnswerKey(number=value), quizzes_pb2.AnswerKey(number=1, tolerance=value)):
            put = quizzes_pb2.PutLectureQuizRequest(lecture_id=desk.lecture_ids[1], title="Q")
            put.questions.add(prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC, answer_key=key)
            outcome = await grpc.call("PutLectureQuiz", put, desk.author.token)
            assert (outcome.code, outcome.fields[0][:23]) == ("INVALID_ARGUMENT", "questions[0].answerKey.")
    for count in (501, 10_000, 100_000):
        put = quizzes_pb2.PutLectureQuizRequest(lecture_id=desk.lecture_ids[1], title="Q")
        put.questions.extend([quizzes_pb2.Question()] * count)
        outcome = await grpc.call("PutLectureQuiz", put, desk.author.token)
        assert outcome.code == "INVALID_ARGUMENT"
    path = f"/lectures/{desk.lecture_ids[1]}/quiz"
    assert (await world.request("GET", path, person=desk.author))[0] == 404


# Items of nothing: as they are usually written, and in ways that only the slow decoder takes.
NOTHINGS = {
    "usual": (b"{}", b"{}", b"{}"),
    "unusual": (b'{"text":null}', b'{"kind":0,"id":null}', b'{"module_id":"","moduleId":null}'),
}


@pytest.mark.parametrize("items", NOTHINGS.values(), ids=NOTHINGS)
async def test_a_mebibyte_of_nothing_holds_up_nobody(world: World, desk: Desk, items: tuple[bytes, bytes, bytes]) -> None:
    """As many empty items as a body holds, in every list there is."""
    answer, question, module = items
    for verb, path, person, field, item in (
        ("PUT", desk.paths["answers"], desk.student, "answers", answer),
        ("POST", desk.paths["submit"], desk.student, "answers", answer),
        ("PUT", desk.paths["quiz"], desk.author, "questions", question),
        ("PUT", desk.paths["exam"], desk.author, "questions", question),
        ("PUT", desk.paths["outline"], desk.author, "modules", module),
    ):
        count = (MIB - 100) // (len(item) + 1)
        body = b'{"title": "T", "%s": [%s]}' % (field.encode(), b",".join([item] * count))
        body = body if "quiz" in path or "exam" in path else body.replace(b'"title": "T", ', b"")
        begun = time.process_time()
        headers = {"Content-Type": "application/json"}
        status, _, problem = await world.request(verb, path, person=person, data=body, headers=headers)
        assert (status, [fault["field"] for fault in problem["violations"]]) == (400, [field])
        assert time.process_time() - begun < 1.5


async def test_what_is_unusual_but_right_is_taken(world: World, desk: Desk) -> None:
    path = f"/lectures/{desk.lecture_ids[2]}/quiz"
    whole = quiz(
        single(prompt="Line\n\tand line", choices=[{"text": "👩‍👩‍👧"}, {"id": "a", "text": "עברית"}]),
        numeric(number=-1e100, tolerance=1e100),
        {"prompt": "می‌خواهم؟", "kind": "QUESTION_KIND_SHORT_TEXT", "answerKey": {"acceptedTexts": ["بله"]}},
        title="👩‍👩‍👧 " + "é" * 190,
    )
    status, _, put = await world.request("PUT", path, person=desk.author, json=whole)
    assert (status, put["title"], len(put["questions"])) == (201, whole["title"], 3)
