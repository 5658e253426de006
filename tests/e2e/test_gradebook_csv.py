"""The gradebook as CSV and analytics through every door, and the command that rebuilds them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import main
from core.progress import gradebook, queries
from skillforge.v1 import analytics_pb2, enrollments_pb2, progress_pb2
from tests.support.signing import signing_pem
from tests.support.world import Person, World

HEADER = b"studentId,displayName,email,percent,lecturesCompleted,lecturesTotal,"


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def course_id(world: World, teacher: Person) -> str:
    """A course of two lectures; one of its two students has seen one."""
    course = await world.course(teacher)
    for name in ("Ada Lovelace", "=HYPERLINK(0)"):
        student = await world.person(name=name)
        await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    lecture_id = course.modules[0].lectures[0].id
    await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture_id), student)
    return str(course.id)


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_the_gradebook_as_csv(world: World, teacher: Person, course_id: str, door: str) -> None:
    request = progress_pb2.ExportGradesRequest(course_id=course_id, order_by=progress_pb2.GRADEBOOK_ORDER_PROGRESS)
    outcome = await world.doors[door].call("ExportGrades", request, teacher.token)
    assert outcome.ok, outcome
    assert outcome.message.content_type == "text/csv; charset=utf-8; header=present"
    header, ada, other, rest = outcome.message.data.split(b"\r\n")
    assert header.startswith(HEADER)
    assert b",Ada Lovelace," in ada
    assert b",'=HYPERLINK(0)," in other
    assert b"@example.com,50,1,2," in other
    assert rest == b""


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_another_s_course_is_not_there(world: World, course_id: str, door: str) -> None:
    other = await world.person("INSTRUCTOR")
    for name in ("ListGrades", "ExportGrades", "GetCourseAnalytics"):
        request = {
            "ListGrades": progress_pb2.ListGradesRequest,
            "ExportGrades": progress_pb2.ExportGradesRequest,
            "GetCourseAnalytics": analytics_pb2.GetCourseAnalyticsRequest,
        }[name](course_id=course_id)
        outcome = await world.doors[door].call(name, request, other.token)
        assert (outcome.code, outcome.reason) == ("NOT_FOUND", "NOT_FOUND"), outcome


async def test_one_path_answers_what_is_asked_for(world: World, teacher: Person, course_id: str) -> None:
    path = f"/progress/course/{course_id}/students"
    status, headers, body = await world.request("GET", path, person=teacher, headers={"Accept": "text/csv"})
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8; header=present")
    assert headers["content-disposition"] == 'attachment; filename="students.csv"'
    assert body.startswith(HEADER)
    status, headers, body = await world.request("GET", f"{path}?orderBy=GRADEBOOK_ORDER_NAME", person=teacher)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [line["percent"] for line in body["grades"]] == [50, 0]


@pytest.mark.parametrize("remote", [False, True])
async def test_lines_are_sent_as_they_are_read(
    world: World, teacher: Person, course_id: str, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    """The first students have arrived before the next are read, so that no course is too large for memory."""
    read, more = queries.grades, asyncio.Event()

    async def slowly(*args: Any) -> Any:
        if args[3] is not None:  # a place to go on from
            await more.wait()
        return await read(*args)

    monkeypatch.setattr(queries, "grades", slowly)
    monkeypatch.setattr(gradebook, "EXPORT_ROWS", 1)
    url = f"{world.remote_url if remote else world.url}/progress/course/{course_id}/students"
    headers = {**teacher.headers, "Accept": "text/csv"}
    async with world.session.get(url, headers=headers) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        seen = b""
        while seen.count(b"\r\n") < 2:
            seen += await response.content.readany()
        assert seen.count(b"\r\n") == 2, "the header and one student"
        more.set()
        seen += await response.read()
    assert seen.count(b"\r\n") == 3


async def test_analytics_and_overview(world: World, teacher: Person, course_id: str) -> None:
    status, _, found = await world.request("GET", f"/analytics/courses/{course_id}", person=teacher)
    assert (status, found["enrolled"], found["activeIn7Days"], len(found["days"])) == (200, 2, 1, 30)
    admin = await world.person("ADMIN")
    status, _, found = await world.request("GET", "/analytics/overview", person=admin)
    assert status == 200
    assert int(found["enrollments"]) >= 2
    students = next(item for item in found["users"] if item["role"] == "ROLE_STUDENT")
    assert int(students["users"]) >= 2


def test_rebuilding_by_the_command(world: World, course_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name, value in {
        "DATABASE_URL": world.settings.database_url,
        "REDIS_URL": world.settings.redis_url,
        "CLERK_SECRET_KEY": "sk_test_x",
        "CERTIFICATE_SIGNING_KEY": signing_pem(),
        "CLERK_ISSUER": "https://clerk.example.com",
    }.items():
        monkeypatch.setenv(name, value)
    command = ["rebuild-analytics", "--data-dir", str(tmp_path), "--course"]
    for _ in range(2):  # other tests make accounts past the feature that counts them: the first run corrects that
        done = CliRunner().invoke(main, [*command, course_id])
        assert done.exit_code == 0, done.output
    assert "every number was right" in done.output
    missing = CliRunner().invoke(main, [*command, "01a204b6-c4e7-74d4-a18a-85a11168b79b"])
    assert missing.exit_code == 1
    assert "There is no such course" in missing.output
