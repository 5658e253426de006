"""Searching the catalogue through every door; names that change, and what a starting process fills in."""

from __future__ import annotations

import pytest

from cli.worker import running_core
from core.ids import to_bytes
from skillforge.v1 import courses_pb2, identity_pb2
from tests.support.polling import eventually
from tests.support.world import Person, World


async def published(world: World, teacher: Person, **fields: object) -> courses_pb2.Course:
    """A published course; every field may be given."""
    course = await world.course(teacher, lectures=1, exam=False)
    body = {"title": course.title, "description": course.description, **fields}
    status, _, _ = await world.request("PUT", f"/courses/{course.id}", person=teacher, json=body)
    assert status == 200
    return course  # type: ignore[no-any-return]


@pytest.mark.parametrize("door", ["grpc", "rest", "remote"])
async def test_every_door_finds_every_script(world: World, door: str) -> None:
    teacher = await world.person("INSTRUCTOR")
    course = await published(world, teacher, title="日本語とPython", description="プログラミング入門", tags=["프로그래밍"])
    for query in ("日本語", "python プログラミング", "로그래", "入門", "ＰＹＴＨ"):
        request = courses_pb2.ListCoursesRequest(query=query, instructor_id=teacher.id)
        outcome = await world.doors[door].call("ListCourses", request)
        assert [found.id for found in outcome.message.courses] == [course.id], query
    outcome = await world.doors[door].call("ListCourses", courses_pb2.ListCoursesRequest(query="x" * 201))
    assert (outcome.code, outcome.fields) == ("INVALID_ARGUMENT", ["query"])


async def test_an_instructor_s_new_name_is_found(world: World) -> None:
    teacher = await world.person("INSTRUCTOR", name="Emmy Oldname")
    course = await published(world, teacher)

    async def found(query: str) -> list[str]:
        _, _, answer = await world.request("GET", "/courses", params={"query": query, "instructorId": teacher.id})
        return [item["id"] for item in answer["courses"]]

    assert await found("oldname answers") == [course.id]
    await world.fakes.clerk.sign_in(teacher.user.email, "Emmy 新名", "INSTRUCTOR")
    await world.call("SyncUser", identity_pb2.SyncUserRequest(), teacher)
    assert await found("新名 answers") == [course.id]
    assert await eventually(lambda: found("oldname answers"), lambda ids: not ids, 10) == []


async def test_a_starting_process_fills_in_what_is_missing(world: World) -> None:
    course = await published(world, await world.person("INSTRUCTOR"), title="Filled")
    db, row = world.core.resources.db, "course_search WHERE course_id = %s"
    await db.execute(f"DELETE FROM {row}", (to_bytes(course.id),))
    async with running_core(world.settings):
        stored = await eventually(lambda: db.fetch_one(f"SELECT content FROM {row}", (to_bytes(course.id),)))
    assert stored is not None
    assert "zwfilled" in stored[0]
