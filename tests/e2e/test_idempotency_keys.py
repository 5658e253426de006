"""`Idempotency-Key`: however often and however simultaneously a client repeats itself, it creates one thing."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from core.creations import repeats
from core.ids import to_bytes
from core.redis import RedisAway
from core.times import utc_now
from tests.support.world import Person, World

AT_ONCE = 20


class Creation(NamedTuple):
    """A POST that creates: who sends it, where, with what; and how many rows there are afterwards."""

    person: Person
    path: str
    body: dict[str, Any]
    count_sql: str
    count_of: bytes


async def new_course(world: World) -> Creation:
    teacher = await world.person("INSTRUCTOR")
    count = "SELECT COUNT(*) FROM courses WHERE instructor_id = %s"
    return Creation(teacher, "/courses", {"title": "Once", "tags": ["a"]}, count, to_bytes(teacher.id))


async def new_module(world: World) -> Creation:
    teacher = await world.person("INSTRUCTOR")
    course = await world.course(teacher, lectures=0, exam=False, publish=False)
    count = "SELECT COUNT(*) - 1 FROM modules WHERE course_id = %s"
    return Creation(teacher, f"/courses/{course.id}/modules", {"title": "Once"}, count, to_bytes(course.id))


async def new_lecture(world: World) -> Creation:
    teacher = await world.person("INSTRUCTOR")
    course = await world.course(teacher, lectures=1, exam=False)
    count = "SELECT COUNT(*) - 1 FROM lectures WHERE course_id = %s"
    return Creation(teacher, f"/modules/{course.modules[0].id}/lectures", {"title": "Once"}, count, to_bytes(course.id))


async def new_payment(world: World) -> Creation:
    course = await world.course(await world.person("INSTRUCTOR"), price=500, exam=False)
    count = "SELECT COUNT(*) FROM payments WHERE course_id = %s"
    return Creation(await world.person(), "/payments/create", {"courseId": course.id}, count, to_bytes(course.id))


async def new_enrollment(world: World) -> Creation:
    course = await world.course(await world.person("INSTRUCTOR"), exam=False)
    count = "SELECT enrollment_count FROM courses WHERE id = %s"
    return Creation(await world.person(), f"/courses/{course.id}/enroll", {}, count, to_bytes(course.id))


CREATIONS: list[Callable[[World], Awaitable[Creation]]] = [new_course, new_module, new_lecture, new_payment, new_enrollment]


@pytest.fixture(params=CREATIONS, ids=lambda make: make.__name__)
async def creation(world: World, request: pytest.FixtureRequest) -> Creation:
    return await request.param(world)  # type: ignore[no-any-return]


async def post(world: World, creation: Creation, key: str, **changed: Any) -> tuple[int, dict[str, str], Any]:
    body = {**creation.body, **changed}
    return await world.request("POST", creation.path, person=creation.person, json=body, headers={"Idempotency-Key": key})


async def count(world: World, creation: Creation) -> int:
    row = await world.core.resources.db.fetch_one(creation.count_sql, (creation.count_of,))
    assert row is not None
    return int(row[0])


async def test_many_at_once_create_one(world: World, creation: Creation) -> None:
    key = uuid.uuid4().hex
    answers = await asyncio.gather(*(post(world, creation, key) for _ in range(AT_ONCE)))
    statuses = Counter(status for status, _, _ in answers)
    assert set(statuses) <= {201, 409}
    for status, headers, body in answers:
        if status == 409:
            assert (body["reason"], headers["retry-after"]) == ("IDEMPOTENCY_KEY_IN_USE", "1")
    made = [(headers, body) for status, headers, body in answers if status == 201]
    assert len([headers for headers, _ in made if "idempotency-replayed" not in headers]) == 1
    assert all(body == made[0][1] for _, body in made)
    assert await count(world, creation) == 1
    status, headers, again = await post(world, creation, key)
    assert (status, headers["idempotency-replayed"], again) == (201, "true", made[0][1])
    assert await count(world, creation) == 1


async def test_another_body_is_refused(world: World) -> None:
    creation, key = await new_course(world), uuid.uuid4().hex
    _, _, first = await post(world, creation, key)
    status, _, problem = await post(world, creation, key, title="Twice")
    assert (status, problem["code"], problem["reason"]) == (422, "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
    status, _, again = await post(world, creation, key)
    assert (status, again) == (201, first)
    assert await count(world, creation) == 1


async def test_the_same_request_in_other_words_is_the_same(world: World) -> None:
    """What counts is the request's meaning, not its bytes."""
    teacher, key = await world.person("INSTRUCTOR"), uuid.uuid4().hex
    bodies = (b'{"title":"Once","level":"COURSE_LEVEL_BEGINNER"}', b'{ "level": 1, "title": "Once", "description": "" }')
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    first, second = [await world.request("POST", "/courses", person=teacher, data=body, headers=headers) for body in bodies]
    assert (first[0], second[0], second[1]["idempotency-replayed"], second[2]) == (201, 201, "true", first[2])


async def test_keys_belong_to_a_caller_and_a_method(world: World) -> None:
    mine, theirs, key = await new_course(world), await new_course(world), uuid.uuid4().hex
    assert (await post(world, mine, key))[0] == (await post(world, theirs, key))[0] == 201
    course_id = (await world.request("GET", "/courses?mine=true", person=mine.person))[2]["courses"][0]["id"]
    status, headers, module = await world.request(
        "POST", f"/courses/{course_id}/modules", person=mine.person, json={"title": "One"}, headers={"Idempotency-Key": key}
    )
    assert (status, module["title"]) == (201, "One")
    assert "idempotency-replayed" not in headers


async def test_a_refusal_does_not_use_the_key_up(world: World) -> None:
    creation, key = await new_course(world), uuid.uuid4().hex
    for status in (400, 400, 201):
        title = "" if status == 400 else "Once"
        assert (await post(world, creation, key, title=title))[0] == status
    assert await count(world, creation) == 1


async def test_a_refusal_of_the_work_itself_does_not_either(world: World) -> None:
    """The first try finds the course unpublished; the same request succeeds once it is there."""
    teacher, student, key = await world.person("INSTRUCTOR"), await world.person(), uuid.uuid4().hex
    course = await world.course(teacher, exam=False, publish=False)
    path, headers = f"/courses/{course.id}/enroll", {"Idempotency-Key": key}
    assert (await world.request("POST", path, person=student, json={}, headers=headers))[0] == 404
    assert (await world.request("POST", f"/courses/{course.id}/publish", person=teacher, json={}))[0] == 200

    async def enroll() -> int:
        return (await world.request("POST", path, person=student, json={}, headers=headers))[0]

    statuses = [await enroll() for _ in range(2)]
    assert statuses == [201, 201]


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    creation = await new_course(world)
    status, _, problem = await post(world, creation, key)
    assert (status, [item["field"] for item in problem["violations"]]) == (400, ["Idempotency-Key"])
    assert await count(world, creation) == 0


# Where Redis knows nothing of the first call: it was away, lost its data, or the call failed after its commit.


async def forget(world: World) -> None:
    """Redis loses what it kept of answers."""
    redis = world.core.resources.redis
    for key in await redis.run("KEYS", "*idem*"):
        await redis.run("DEL", key)


@pytest.mark.parametrize("make", CREATIONS[:3], ids=lambda make: make.__name__)
async def test_a_repeat_that_redis_knows_nothing_of_creates_nothing(
    world: World, make: Callable[[World], Awaitable[Creation]]
) -> None:
    creation, key = await make(world), uuid.uuid4().hex
    status, headers, first = await post(world, creation, key)
    assert status == 201
    for _ in range(2):
        await forget(world)
        status, headers, again = await post(world, creation, key)
        assert (status, again["id"], again["title"]) == (201, first["id"], "Once")
        assert "idempotency-replayed" not in headers, "the database knew it"
    assert await count(world, creation) == 1
    await forget(world)
    status, _, problem = await post(world, creation, key, title="Twice")
    assert (status, problem["reason"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await count(world, creation) == 1
    # Others' keys are others'.
    other = await make(world)
    assert (await post(world, other, key))[0] == 201
    assert await count(world, other) == 1


async def test_repeats_without_redis_wait_for_the_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at once, as when Redis is away: one creates, the others get what it created."""

    async def away(*arguments: object) -> bytes:
        raise RedisAway("away")

    creation, key = await new_lecture(world), uuid.uuid4().hex
    monkeypatch.setattr(world.core.resources.redis, "run", away)
    answers = await asyncio.gather(*(post(world, creation, key) for _ in range(AT_ONCE)))
    assert {status for status, _, _ in answers} == {201}
    assert len({answer["id"] for _, _, answer in answers}) == 1
    assert await count(world, creation) == 1


async def test_what_was_created_and_deleted_is_not_created_again(world: World) -> None:
    creation, key = await new_lecture(world), uuid.uuid4().hex
    _, _, lecture = await post(world, creation, key)
    await world.request("DELETE", f"/lectures/{lecture['id']}", person=creation.person)
    await forget(world)
    assert (await post(world, creation, key))[0] == 404
    assert await count(world, creation) == 0


async def test_a_key_may_be_used_anew_after_a_day(world: World) -> None:
    creation, key = await new_course(world), uuid.uuid4().hex
    await post(world, creation, key)
    await forget(world)
    db = world.core.resources.db
    for hours, rows in ((23, 1), (25, 2)):
        await repeats.forget(db, utc_now() + timedelta(hours=hours), 100_000)
        await post(world, creation, key)
        await forget(world)
        assert await count(world, creation) == rows
