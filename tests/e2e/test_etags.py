"""`ETag`, `If-None-Match` and `If-Match`: nobody overwrites what they have not seen. And PUT replaces the whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, NamedTuple

import pytest

from skillforge.v1 import courses_pb2
from tests.support.world import Person, World

QUESTION = {"id": "q", "prompt": "What?", "kind": "QUESTION_KIND_NUMERIC", "answerKey": {"number": 42}}
QUIZ = {"passPercent": 50, "questions": [QUESTION]}


class Thing(NamedTuple):
    """Something with an ETag: where it is and what a PUT of it holds beside its title."""

    path: str
    content: dict[str, Any]


KINDS = ["course", "lecture", "lecture quiz", "exam"]


@pytest.fixture(scope="module")
async def teacher(world: World) -> Person:
    return await world.person("INSTRUCTOR")


@pytest.fixture(params=KINDS)
async def thing(world: World, teacher: Person, request: pytest.FixtureRequest) -> Thing:
    course: courses_pb2.Course = await world.course(teacher, lectures=1)
    lecture = f"/lectures/{course.modules[0].lectures[0].id}"
    things = {
        "course": Thing(f"/courses/{course.id}", {"description": "All of them."}),
        "lecture": Thing(lecture, {"notes": "Read this."}),
        "lecture quiz": Thing(f"{lecture}/quiz", QUIZ),
        "exam": Thing(f"/courses/{course.id}/exam", QUIZ),
    }
    found = things[request.param]
    assert (await put(world, teacher, found, "First"))[0] in (200, 201)
    return found


async def put(world: World, person: Person, thing: Thing, title: str, if_match: str | None = None) -> tuple[int, str, Any]:
    headers = {} if if_match is None else {"If-Match": if_match}
    body = {"title": title, **thing.content}
    status, answered, answer = await world.request("PUT", thing.path, person=person, json=body, headers=headers)
    return status, answered.get("etag", ""), answer


async def get(world: World, person: Person, thing: Thing, **headers: str) -> tuple[int, str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, answer = await world.request("GET", thing.path, person=person, headers=named)
    return status, answered.get("etag", ""), answer


async def test_an_answer_names_its_version(world: World, teacher: Person, thing: Thing) -> None:
    status, tag, shown = await get(world, teacher, thing)
    assert (status, tag[0], tag[-1]) == (200, '"', '"')
    assert shown["etag"]
    assert tag[1:].startswith(shown["etag"])
    for value in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert await get(world, teacher, thing, If_None_Match=value) == (304, tag, b""), value
    assert (await get(world, teacher, thing, If_None_Match='"other"'))[0] == 200
    assert (await put(world, teacher, thing, "Second"))[1] != tag
    assert (await get(world, teacher, thing, If_None_Match=tag))[0] == 200


async def test_a_stale_write_changes_nothing(world: World, teacher: Person, thing: Thing) -> None:
    _, old, _ = await get(world, teacher, thing)
    status, new, written = await put(world, teacher, thing, "Second", old)
    assert (status, written["title"]) == (200, "Second")
    assert new not in (old, "")
    for stale in (old, '"nothing"', "x"):
        status, _, problem = await put(world, teacher, thing, "Third", stale)
        assert (status, problem["code"], problem["reason"]) == (412, "ABORTED", "ETAG_MISMATCH")
    assert await get(world, teacher, thing) == (200, new, written)
    for number, fresh in enumerate(("the header's", "the message's", "*", None)):
        seen = {"the header's": new, "the message's": f'"{written["etag"]}"'}.get(fresh or "", fresh)
        status, new, written = await put(world, teacher, thing, f"Write {number}", seen)
        assert (status, written["title"]) == (200, f"Write {number}"), fresh


async def test_of_many_who_saw_the_same_one_writes(world: World, teacher: Person, thing: Thing) -> None:
    _, tag, _ = await get(world, teacher, thing)
    answers = await asyncio.gather(*(put(world, teacher, thing, f"Number {number}", tag) for number in range(20)))
    assert Counter(status for status, _, _ in answers) == {200: 1, 412: 19}
    [winner] = [written for status, _, written in answers if status == 200]
    assert (await get(world, teacher, thing))[2]["title"] == winner["title"]


async def test_a_stale_delete_deletes_nothing(world: World, teacher: Person, thing: Thing) -> None:
    _, old, _ = await get(world, teacher, thing)
    _, new, _ = await put(world, teacher, thing, "Second")
    status, _, problem = await world.request("DELETE", thing.path, person=teacher, headers={"If-Match": old})
    assert (status, problem["reason"]) == (412, "ETAG_MISMATCH")
    assert (await get(world, teacher, thing))[0] == 200
    if thing.path.endswith("/quiz") or thing.path.endswith("/exam"):
        status, _, _ = await world.request("DELETE", thing.path, person=teacher, headers={"If-Match": new})
        assert status == 204
        assert (await get(world, teacher, thing))[0] == 404


async def test_put_replaces_a_course_s_metadata(world: World, teacher: Person) -> None:
    whole = {
        "title": "T", "description": "D", "price": {"amountMinor": 500, "currency": "JPY"}, "tags": ["a", "b"],
        "level": "COURSE_LEVEL_ADVANCED", "language": "ja",
    }  # fmt: skip
    _, _, made = await world.request("POST", "/courses", person=teacher, json=whole)
    path = f"/courses/{made['id']}"
    assert {key: made[key] for key in whole} == whole
    _, _, bare = await world.request("PUT", path, person=teacher, json={"title": "U"})
    assert (bare["title"], bare["description"], bare["tags"], bare["language"]) == ("U", "", [], "")
    assert (bare["price"]["amountMinor"], bare["level"]) == (0, "COURSE_LEVEL_UNSPECIFIED")
    assert (bare["id"], bare["createTime"], bare["instructor"]) == (made["id"], made["createTime"], made["instructor"])
    status, _, problem = await world.request("PUT", path, person=teacher, json={"description": "no title"})
    assert (status, problem["violations"][0]["field"]) == (400, "title")
    assert (await world.request("GET", path, person=teacher))[2]["title"] == "U"


async def test_put_replaces_a_lecture_and_an_exam(world: World, teacher: Person) -> None:
    course = await world.course(teacher, lectures=1, publish=False)
    path = f"/lectures/{course.modules[0].lectures[0].id}"
    _, _, bare = await world.request("PUT", path, person=teacher, json={"title": "L"})
    assert (bare["title"], bare["notes"], bare["preview"]) == ("L", "", False)
    assert bare.get("video", {}).get("url", "") == ""
    exam = f"/courses/{course.id}/exam"
    _, _, bare = await world.request("PUT", exam, person=teacher, json={"title": "E"})
    assert (bare["title"], bare["passPercent"], bare["questions"], bare["maxAttempts"]) == ("E", 0, [], 0)
