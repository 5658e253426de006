"""Students go on learning while the author edits: through the doors, one at a time and all at once."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.ids import to_bytes
from core.times import utc_now
from skillforge.v1 import courses_pb2, enrollments_pb2, families_pb2, quizzes_pb2
from tests.support.polling import eventually
from tests.support.world import Person, World, exam_content, right_answers

SUBMITTED = "ATTEMPT_STATUS_SUBMITTED"
OTHER_QUESTION = {
    "id": "q1", "prompt": "Something else?", "kind": "QUESTION_KIND_SHORT_TEXT", "answerKey": {"acceptedTexts": ["no"]},
}  # fmt: skip
OTHER_QUIZ = {"title": "Another", "passPercent": 100, "maxAttempts": 1, "questions": [OTHER_QUESTION]}
ANSWERS = {"answers": [{"questionId": "q1", "number": 42}]}


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


async def enrolled(world: World, course_id: str) -> Person:
    student = await world.person()
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course_id), student)
    return student


async def course_with_quiz(world: World, teacher: Person, **content: Any) -> courses_pb2.Course:
    """A published course of two lectures, each with a quiz, and an exam."""
    course = await world.course(teacher, lectures=2)
    for lecture in course.modules[0].lectures:
        put = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture.id, **{**exam_content(), **content})
        await world.call("PutLectureQuiz", put, teacher)
    return await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id), teacher)  # type: ignore[no-any-return]


async def mark_all(world: World, student: Person, course: courses_pb2.Course) -> None:
    for lecture in course.modules[0].lectures:
        body = {"lectureId": lecture.id, "completed": True}
        assert (await world.request("POST", "/progress/lecture", person=student, json=body))[0] == 200


Edit = tuple[str, str, Any]
EDITS: dict[str, Callable[[courses_pb2.Course], list[Edit]]] = {
    "other questions": lambda course: [("PUT", f"/lectures/{first(course)}/quiz", OTHER_QUIZ)],
    "no quiz": lambda course: [("DELETE", f"/lectures/{first(course)}/quiz", None)],
    "a new quiz": lambda course: [
        ("DELETE", f"/lectures/{first(course)}/quiz", None),
        ("PUT", f"/lectures/{first(course)}/quiz", OTHER_QUIZ),
    ],
    "another lecture": lambda course: [("PUT", f"/lectures/{first(course)}", {"title": "Other"})],
    "no lecture": lambda course: [("DELETE", f"/lectures/{first(course)}", None)],
    "no module": lambda course: [("DELETE", f"/modules/{course.modules[0].id}", None)],
    "another exam": lambda course: [("PUT", f"/courses/{course.id}/exam", OTHER_QUIZ)],
    "no exam": lambda course: [("DELETE", f"/courses/{course.id}/exam", None)],
    "other metadata": lambda course: [("PUT", f"/courses/{course.id}", {"title": "Other", "description": "Other"})],
    "a draft": lambda course: [("POST", f"/courses/{course.id}/unpublish", {})],
    "an archive": lambda course: [("DELETE", f"/courses/{course.id}", None)],
}


def first(course: courses_pb2.Course) -> str:
    return str(course.modules[0].lectures[0].id)


@pytest.mark.parametrize("name", EDITS)
async def test_an_attempt_in_progress_outlives_an_edit(world: World, teacher: Person, name: str) -> None:
    course = await course_with_quiz(world, teacher)
    student = await enrolled(world, course.id)
    await mark_all(world, student, course)
    quiz_id = course.modules[0].lectures[0].quiz_id
    attempts = []
    for quiz in (quiz_id, course.exam_id):
        status, _, attempt = await world.request("POST", f"/quizzes/{quiz}/attempts", person=student, json={})
        assert status == 201
        attempts.append(attempt)
    for verb, path, body in EDITS[name](course):
        status, _, answer = await world.request(verb, path, person=teacher, json=body)
        assert status in (200, 201, 204), answer
    for attempt in attempts:
        path = f"/attempts/{attempt['id']}"
        assert (await world.request("GET", path, person=student))[2] == attempt, "the questions it started with"
        status, _, saved = await world.request("PUT", f"{path}/answers", person=student, json=ANSWERS)
        assert (status, saved["questions"]) == (200, attempt["questions"])
        status, _, graded = await world.request("POST", f"{path}/submit", person=student, json={})
        assert (status, graded["status"], graded["percent"], graded["passed"]) == (200, SUBMITTED, 100, True)
        assert graded["questions"][0]["answerKey"]["number"] == 42, "graded by the key it started with"
        for reader in (student, teacher):
            assert (await world.request("GET", path, person=reader))[2] == graded
    _, _, progress = await world.request("GET", f"/progress/course/{course.id}", person=student)
    assert 0 <= progress["percent"] <= 100
    assert progress["lecturesCompleted"] <= progress["lecturesTotal"]


async def test_a_completion_is_never_taken_back(world: World, teacher: Person) -> None:
    course = await world.course(teacher, lectures=2)
    student = await enrolled(world, course.id)
    await mark_all(world, student, course)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    submit = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    await world.call("SubmitAttempt", submit, student)
    path = f"/progress/course/{course.id}"
    _, _, before = await world.request("GET", path, person=student)
    assert before["certificateId"]
    module = course.modules[0].id
    for verb, edit, body in (
        ("POST", f"/modules/{module}/lectures", {"title": "More", "notes": "More."}),
        ("PUT", f"/courses/{course.id}/exam", OTHER_QUIZ),
        ("PUT", f"/lectures/{first(course)}/quiz", OTHER_QUIZ),
        ("DELETE", f"/lectures/{first(course)}", None),
        ("DELETE", f"/courses/{course.id}/exam", None),
        ("DELETE", f"/courses/{course.id}", None),
    ):
        status, _, answer = await world.request(verb, edit, person=teacher, json=body)
        assert status in (200, 201, 204), answer
        _, _, now = await world.request("GET", path, person=student)
        assert 0 <= now["percent"] <= 100
        assert (now["completeTime"], now["certificateId"]) == (before["completeTime"], before["certificateId"])
    _, _, verified = await world.request("GET", f"/certificates/{before['certificateId']}/verify")
    assert verified["valid"]


async def test_fifty_tabs_start_the_last_attempt_left(world: World, teacher: Person) -> None:
    course = await course_with_quiz(world, teacher, max_attempts=2)
    student = await enrolled(world, course.id)
    path = f"/quizzes/{course.modules[0].lectures[0].quiz_id}/attempts"

    async def tabs() -> list[tuple[int, Any]]:
        urls = [world.url, world.remote_url] * 25
        answers = await asyncio.gather(*(world.request("POST", path, person=student, url=url, json={}) for url in urls))
        return [(status, answer) for status, _, answer in answers]

    for number in (1, 2):
        started = await tabs()
        assert Counter(status for status, _ in started) == {201: 1, 200: 49}
        assert {(answer["id"], answer["number"]) for _, answer in started} == {(started[0][1]["id"], number)}
        await world.request("POST", f"/attempts/{started[0][1]['id']}/submit", person=student, json={})
    assert {(status, answer["reason"]) for status, answer in await tabs()} == {(400, "ATTEMPTS_EXHAUSTED")}
    assert len((await world.request("GET", path, person=student))[2]["attempts"]) == 2


async def test_the_server_s_clock_decides(world: World, teacher: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    course = await course_with_quiz(world, teacher, time_limit_seconds=60)
    student = await enrolled(world, course.id)
    quiz = f"/quizzes/{course.modules[0].lectures[0].quiz_id}/attempts"
    for late, percent in ((59, 100), (61.5, 100), (62.5, 0), (3600, 0)):
        _, _, attempt = await world.request("POST", quiz, person=student, json={})
        path, started = f"/attempts/{attempt['id']}", utc_now()
        with monkeypatch.context() as clock:
            clock.setattr(world.core.dispatcher, "_clock", lambda: started + timedelta(seconds=late))  # noqa: B023
            status, _, saved = await world.request("PUT", f"{path}/answers", person=student, json=ANSWERS)
            assert (status, saved.get("reason")) == ((200, None) if percent else (400, "ATTEMPT_OVERDUE")), late
            status, _, graded = await world.request("POST", f"{path}/submit", person=student, json=ANSWERS)
            assert (status, graded["percent"]) == (200, percent), late


# Races


async def test_publishing_races_an_edit(world: World, teacher: Person) -> None:
    """Of a publication and an edit that both name the version they saw, one is told that it is stale."""
    for number in range(6):
        course = await world.course(teacher, lectures=1, publish=False)
        path, headers = f"/courses/{course.id}", {"If-Match": f'"{course.etag}"'}
        body = {"title": f"Edited {number}", "description": "Edited."}
        answers = await asyncio.gather(
            world.request("POST", f"{path}/publish", person=teacher, json={}, headers=headers),
            world.request("PUT", path, person=teacher, json=body, headers=headers),
        )
        (published, _, _), (edited, _, _) = answers
        assert sorted((published, edited)) == [200, 412]
        _, _, now = await world.request("GET", path, person=teacher)
        assert (now["status"], now["title"]) == (
            ("COURSE_STATUS_PUBLISHED", "Answers") if published == 200 else ("COURSE_STATUS_DRAFT", body["title"])
        )


async def test_no_race_publishes_an_empty_quiz(world: World, teacher: Person) -> None:
    for _ in range(8):
        course = await world.course(teacher, lectures=1, publish=False)
        exam = f"/courses/{course.id}/exam"
        (published, _, why), (emptied, _, _) = await asyncio.gather(
            world.request("POST", f"/courses/{course.id}/publish", person=teacher, json={}),
            world.request("PUT", exam, person=teacher, json={"title": "Empty"}),
        )
        assert sorted((published, emptied)) == [200, 400], "one of the two, whichever came first"
        if published == 400:
            assert [item["field"] for item in why["violations"]] == ["examId"]
        _, _, now = await world.request("GET", exam, person=teacher)
        assert bool(now["questions"]) == (published == 200)


@pytest.mark.parametrize("change", ["archive", "unpublish", "price"])
async def test_entering_races_withdrawing(world: World, teacher: Person, change: str) -> None:
    """Either entered before, or refused."""
    students = [await world.person() for _ in range(6)]
    for _ in range(4):
        course = await world.course(teacher, lectures=1, exam=False)
        path = f"/courses/{course.id}"
        priced = {"title": "Dear", "description": "Dear.", "price": {"amountMinor": 500, "currency": "USD"}}
        verb, where, body = {
            "archive": ("DELETE", path, None),
            "unpublish": ("POST", f"{path}/unpublish", {}),
            "price": ("PUT", path, priced),
        }[change]

        async def enter(student: Person, path: str = path) -> tuple[int, Any]:
            status, _, answer = await world.request("POST", f"{path}/enroll", person=student, json={})
            return status, answer

        entering = asyncio.gather(*(enter(student) for student in students[:5]))
        (status, _, _), entered = await asyncio.gather(world.request(verb, where, person=teacher, json=body), entering)
        assert status in (200, 204)
        refusal = (400, "COURSE_NOT_FREE") if change == "price" else (404, "NOT_FOUND")
        assert all(status == 201 or (status, answer["reason"]) == refusal for status, answer in entered)
        late, answer = await enter(students[5])
        assert (late, answer["reason"]) == refusal
        inside = sum(status == 201 for status, _ in entered)
        _, _, now = await world.request("GET", path, person=teacher)
        assert now["enrollmentCount"] == inside
        sql = "SELECT COUNT(*) FROM enrollments WHERE course_id = %s"
        assert await world.core.resources.db.fetch_one(sql, (to_bytes(course.id),)) == (inside,)


async def test_deleting_a_lecture_races_marking_it(world: World, teacher: Person) -> None:
    for _ in range(5):
        course = await world.course(teacher, lectures=3, exam=False)
        students = [await enrolled(world, course.id) for _ in range(3)]
        ids = [lecture.id for lecture in course.modules[0].lectures]
        marks = [(student, {"lectureId": item, "completed": True}) for student in students for item in ids]
        deleted, *marked = await asyncio.gather(
            world.request("DELETE", f"/lectures/{ids[1]}", person=teacher),
            *(world.request("POST", "/progress/lecture", person=student, json=body) for student, body in marks),
        )
        assert deleted[0] == 204
        for (_, body), (status, _, answer) in zip(marks, marked, strict=True):
            assert status == 200 or (body["lectureId"] == ids[1] and status == 404), answer
            if status == 200:
                assert 0 <= answer["course"]["percent"] <= 100
        for student in students:
            _, _, progress = await world.request("GET", f"/progress/course/{course.id}", person=student)
            assert (progress["lecturesCompleted"], progress["lecturesTotal"], progress["percent"]) == (2, 2, 100)
            assert ids[1] not in {lecture["lectureId"] for lecture in progress["lectures"]}


async def percentages(
    world: World, people: dict[str, Person], course_id: str, url: str
) -> dict[str, list[tuple[float, int, int]]]:
    """Percent, completed and total as every reader is told them."""
    child, (student, teacher, parent) = people["student"].id, (people[name] for name in ("student", "teacher", "parent"))

    async def read(path: str, person: Person, **headers: str) -> Any:
        status, _, answer = await world.request("GET", path, person=person, url=url, headers=headers)
        assert status == 200, answer
        return answer

    def shown(rows: list[dict[str, Any]]) -> list[tuple[float, int, int]]:
        return [(row.get("percent", 0), row["lecturesCompleted"], row["lecturesTotal"]) for row in rows]

    own = await read(f"/progress/course/{course_id}", student)
    book = f"/progress/course/{course_id}/students?orderBy=GRADEBOOK_ORDER_PROGRESS&descending=true"
    lines = csv.DictReader((await read(book, teacher, Accept="text/csv")).decode().splitlines())
    analytics = await read(f"/analytics/courses/{course_id}", teacher)
    reached = [(float(item["completedPercent"]), 0, 0) for item in analytics["lectures"]]
    return {
        "progress": shown([own, *own["modules"]]),
        "an instructor's view": shown([await read(f"/progress/course/{course_id}?studentId={child}", teacher)]),
        "gradebook": shown((await read(book, teacher))["grades"]),
        "CSV": [(int(row["percent"]), int(row["lecturesCompleted"]), int(row["lecturesTotal"])) for row in lines],
        "enrollments": shown((await read("/enrollments", student))["enrollments"]),
        "students": shown((await read(f"/courses/{course_id}/students", teacher))["students"]),
        "a parent's view": shown((await read(f"/families/children/{child}/progress", parent))["courses"]),
        "analytics": [*reached, (analytics["completionPercent"], 0, 0)],
    }


async def test_no_reader_is_ever_told_more_than_all(world: World, teacher: Person) -> None:
    """While lectures are deleted one by one of which every student has completed all; and at the end all agree."""
    course = await world.course(teacher, lectures=6, exam=False)
    students = [await enrolled(world, course.id) for _ in range(3)]
    for student in students:
        await mark_all(world, student, course)
    parent = await world.person("PARENT")
    code = await world.call("CreateLinkCode", families_pb2.CreateLinkCodeRequest(), students[0])
    await world.call("LinkChild", families_pb2.LinkChildRequest(code=code.code), parent)
    people = {"student": students[0], "teacher": teacher, "parent": parent}
    deleting, rounds = True, 0

    async def look(url: str) -> None:
        nonlocal rounds
        while deleting:
            for reader, found in (await percentages(world, people, course.id, url)).items():
                assert found, reader
                assert all(0 <= percent <= 100 and done <= total for percent, done, total in found), (reader, found)
            rounds += 1

    async def delete() -> None:
        nonlocal deleting
        try:
            for lecture in course.modules[0].lectures[:-1]:
                assert (await world.request("DELETE", f"/lectures/{lecture.id}", person=teacher))[0] == 204
                before = rounds
                await eventually(lambda: asyncio.sleep(0, rounds), lambda now, before=before: now > before)  # type: ignore[misc]
        finally:
            deleting = False

    await asyncio.gather(delete(), *(look(url) for url in (world.url, world.remote_url) for _ in range(2)))
    for reader, found in (await percentages(world, people, course.id, world.url)).items():
        if reader != "analytics":
            assert {(done, total) for _, done, total in found} == {(1, 1)}, reader
