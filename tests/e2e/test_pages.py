"""Lists, page by page: complete, without repeats, with tokens that are good for their query and caller alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from skillforge.v1 import courses_pb2, enrollments_pb2, payments_pb2, progress_pb2, quizzes_pb2
from tests.support.world import Person, World, exam_content, right_answers

COUNT = 7


@dataclass
class Shelf:
    """Seven of everything."""

    people: dict[str, Person]
    course_id: str
    quiz_id: str


@pytest.fixture(scope="module")
async def shelf(world: World) -> Shelf:
    """A teacher with seven courses; a student who is enrolled in, and has completed, each; six more in the first."""
    roles = {"teacher": "INSTRUCTOR", "seller": "INSTRUCTOR", "student": "STUDENT", "admin": "ADMIN"}
    people = {name: await world.person(role) for name, role in roles.items()}
    teacher, student = people["teacher"], people["student"]
    courses = [await world.course(teacher, lectures=1, exam=False) for _ in range(COUNT)]
    for course in courses:
        await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
        lecture_id = course.modules[0].lectures[0].id
        await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture_id), student)
    for number in range(COUNT - 1):
        pupil = await world.person(name=f"Pagewise {number}")
        await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=courses[0].id), pupil)
    lecture_id = courses[0].modules[0].lectures[0].id
    quiz = await world.call("PutLectureQuiz", quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_id, **exam_content()), teacher)
    for _ in range(COUNT):
        attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=quiz.id), student)
        submission = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
        await world.call("SubmitAttempt", submission, student)
        paid = await world.course(people["seller"], lectures=1, exam=False, price=100)
        await world.call("CreatePayment", payments_pb2.CreatePaymentRequest(course_id=paid.id), student)
    await world.person(name="Pagewise 7")
    return Shelf(people, courses[0].id, quiz.id)


# Who reads which list; {…} are the shelf's and its people's ids. Each has seven items.
LISTS = {
    "own courses": ("teacher", "/courses?mine=true"),
    "courses by title": ("", "/courses?instructorId={teacher}&orderBy=COURSE_ORDER_TITLE"),
    "courses by popularity": ("", "/courses?instructorId={teacher}&orderBy=COURSE_ORDER_POPULAR"),
    "newest courses": ("student", "/courses?instructorId={teacher}"),
    "found courses": ("", "/courses?instructorId={teacher}&query=answers&free=true"),
    "accounts": ("admin", "/users?query=Pagewise"),
    "enrollments": ("student", "/enrollments"),
    "students": ("teacher", "/courses/{course}/students"),
    "own payments": ("student", "/payments"),
    "a student's payments": ("admin", "/payments?studentId={student}"),
    "own attempts": ("student", "/quizzes/{quiz}/attempts"),
    "everybody's attempts": ("teacher", "/quizzes/{quiz}/attempts"),
    "certificates": ("student", "/certificates"),
}


def reader_and_path(shelf: Shelf, name: str) -> tuple[Person | None, str]:
    who, path = LISTS[name]
    ids = {role: person.id for role, person in shelf.people.items()}
    filled = path.format(course=shelf.course_id, quiz=shelf.quiz_id, **ids)
    return shelf.people.get(who), filled + ("&" if "?" in filled else "?")


async def get(world: World, path: str, reader: Person | None) -> tuple[int, Any]:
    status, _, answer = await world.request("GET", path, person=reader)
    return status, answer


def items(answer: Any) -> list[Any]:
    [found] = [value for value in answer.values() if isinstance(value, list)]
    return found


@pytest.mark.parametrize("name", LISTS)
async def test_the_pages_together_are_the_whole(world: World, shelf: Shelf, name: str) -> None:
    reader, path = reader_and_path(shelf, name)
    status, whole = await get(world, f"{path}pageSize=100", reader)
    assert (status, len(items(whole)), whole["nextPageToken"]) == (200, COUNT, "")
    pages: list[list[Any]] = []
    token = ""
    while not pages or token:
        _, page = await get(world, f"{path}pageSize=3&pageToken={token}", reader)
        pages.append(items(page))
        token = page["nextPageToken"]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [item for page in pages for item in page] == items(whole)
    _, exact = await get(world, f"{path}pageSize={COUNT}", reader)
    assert exact["nextPageToken"] == "", "a last page that is full has no next one"


@pytest.mark.parametrize("name", LISTS)
async def test_a_token_is_good_for_its_query_and_caller_alone(world: World, shelf: Shelf, name: str) -> None:
    reader, path = reader_and_path(shelf, name)
    _, page = await get(world, f"{path}pageSize=2", reader)
    token = page["nextPageToken"]
    assert (await get(world, f"{path}pageSize=5&pageToken={token}", reader))[0] == 200, "the size may change"
    flipped = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
    for bad in (token[:-4], token + "AAAA", flipped, token[::-1], "AAAA", "%00", "x" * 900):
        await check_refused(world, f"{path}pageToken={bad}", reader)
    for other in {"/courses?mine=true&", "/certificates?", "/enrollments?", "/payments?"} - {path}:
        person = shelf.people["teacher" if "mine" in other else "student"]
        await check_refused(world, f"{other}pageToken={token}", person)
    if "/courses?instructorId" not in path:
        role = "ADMIN" if path.startswith("/users") or "studentId" in path else "STUDENT"
        stranger = await world.person(role)
        status, problem = await get(world, f"{path}pageToken={token}", stranger)
        assert status in (400, 403, 404), problem


async def check_refused(world: World, path: str, reader: Person | None) -> None:
    status, problem = await get(world, path, reader)
    assert (status, problem["reason"]) == (400, "PAGE_TOKEN_INVALID"), path
    assert [item["field"] for item in problem["violations"]] == ["pageToken"]


async def test_a_token_too_long_is_refused_as_any_long_text(world: World, shelf: Shelf) -> None:
    status, problem = await get(world, f"/certificates?pageToken={'x' * 1001}", shelf.people["student"])
    assert (status, problem["reason"]) == (400, "INVALID_ARGUMENT")


async def test_what_is_added_meanwhile_moves_nothing(world: World) -> None:
    """Pages go on after the last row seen, so nothing comes twice and nothing is left out."""
    teacher = await world.person("INSTRUCTOR")
    before = [(await create(world, teacher, number))["id"] for number in range(4)]
    _, first = await get(world, "/courses?mine=true&pageSize=2", teacher)
    await create(world, teacher, 5)
    status, _, _ = await world.request("DELETE", f"/courses/{first['courses'][0]['id']}", person=teacher)
    assert status == 204
    _, second = await get(world, f"/courses?mine=true&pageSize=2&pageToken={first['nextPageToken']}", teacher)
    assert [item["id"] for item in [*first["courses"], *second["courses"]]] == before[::-1]


async def test_sizes(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")
    await asyncio.gather(*(create(world, teacher, number) for number in range(101)))
    for asked, got in (("", 20), ("pageSize=0", 20), ("pageSize=1", 1), ("pageSize=100", 100), ("pageSize=101", 100)):
        status, page = await get(world, f"/courses?mine=true&{asked}".rstrip("&"), teacher)
        assert (status, len(page["courses"]), bool(page["nextPageToken"])) == (200, got, True), asked
    assert len((await get(world, "/courses?mine=true&pageSize=2147483647", teacher))[1]["courses"]) == 100
    for asked in ("-1", "-2147483648", "2147483648", "1.5", ""):
        status, problem = await get(world, f"/courses?mine=true&pageSize={asked}", teacher)
        assert (status, [item["field"] for item in problem["violations"]]) == (400, ["pageSize"]), asked


async def test_an_empty_list_is_an_empty_list(world: World) -> None:
    for path, key in (("/certificates", "certificates"), ("/enrollments", "enrollments"), ("/payments", "payments")):
        assert await get(world, path, await world.person()) == (200, {key: [], "nextPageToken": ""})
    assert courses_pb2.ListCoursesResponse.DESCRIPTOR.fields_by_name["next_page_token"].json_name == "nextPageToken"


async def create(world: World, teacher: Person, number: int) -> Any:
    status, _, made = await world.request("POST", "/courses", person=teacher, json={"title": f"Course {number}"})
    assert status == 201
    return made
