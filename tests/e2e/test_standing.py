"""Changed roles and statuses: effective at every door of every process within a second, and what stays of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from cli.worker import running_core
from contract.errors import CallError
from core.app import Core
from core.ids import to_bytes
from skillforge.v1 import courses_pb2, enrollments_pb2, identity_pb2
from tests.support.doors import METHODS
from tests.support.polling import eventually
from tests.support.world import Person, World

ME = identity_pb2.GetMeRequest()
ACTIVE, SUSPENDED = identity_pb2.USER_STATUS_ACTIVE, identity_pb2.USER_STATUS_SUSPENDED
Ask = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="module")
async def other_process(world: World) -> AsyncIterator[Core]:
    """A second core on the same database and Redis, with caches of its own."""
    async with running_core(world.settings) as core:
        yield core


def ways_in(world: World, other: Core) -> dict[str, Ask]:
    """The reason a token is refused for, "" when it is not: at each door, and in the other process."""

    async def there(token: str) -> str:
        try:
            await other.dispatcher.call(METHODS["GetMe"], ME, {"authorization": f"Bearer {token}"}, 5)
        except CallError as error:
            return error.reason
        return ""

    def at(name: str) -> Ask:
        async def ask(token: str) -> str:
            return (await world.doors[name].call("GetMe", ME, token)).reason

        return ask

    return {"other process": there, **{name: at(name) for name in world.doors}}


async def set_standing(world: World, admin: Person, person: Person, **standing: int) -> None:
    await world.call("UpdateUser", identity_pb2.UpdateUserRequest(user_id=person.id, **standing), admin)  # type: ignore[arg-type]


async def test_a_suspension_holds_everywhere_within_a_second(world: World, other_process: Core) -> None:
    admin = await world.person("ADMIN")
    ways = ways_in(world, other_process)
    for role in ("STUDENT", "PARENT", "INSTRUCTOR", "ADMIN"):
        person = await world.person(role)
        tokens = [person.token, world.fakes.clerk.mint(person.user.clerk_id)]
        for status, reason in ((SUSPENDED, "ACCOUNT_SUSPENDED"), (ACTIVE, "")):
            for ask in ways.values():  # every process knows the account as it is
                await asyncio.gather(*(ask(token) for token in tokens))
            await set_standing(world, admin, person, status=status)
            started = time.monotonic()
            for token in tokens:
                for ask in ways.values():
                    await eventually(lambda ask=ask, token=token: ask(token), lambda got, want=reason: got == want, seconds=1)  # type: ignore[misc]
            assert time.monotonic() - started < 1


async def test_a_suspended_user_s_login_changes_nothing(world: World) -> None:
    admin, person = await world.person("ADMIN"), await world.person()
    await set_standing(world, admin, person, status=SUSPENDED)
    refused = await world.rest.call("SyncUser", identity_pb2.SyncUserRequest(), person.token)
    assert refused.reason == "ACCOUNT_SUSPENDED"


async def test_suspending_while_they_log_in(world: World, other_process: Core) -> None:
    """No login, however it falls beside the suspension, lets them in behind it."""
    admin, person = await world.person("ADMIN"), await world.person()
    sync = identity_pb2.SyncUserRequest()

    async def login(number: int) -> str:
        name = ("grpc", "rest", "remote")[number % 3]
        return (await world.doors[name].call("SyncUser", sync, person.token)).reason

    before = [login(number) for number in range(9)]
    _, *reasons = await asyncio.gather(
        set_standing(world, admin, person, status=SUSPENDED), *before, *(login(number) for number in range(9))
    )
    assert set(reasons) <= {"", "ACCOUNT_SUSPENDED"}
    assert await login(0) == "ACCOUNT_SUSPENDED"
    for ask in ways_in(world, other_process).values():
        await eventually(lambda ask=ask: ask(person.token), lambda got: got == "ACCOUNT_SUSPENDED", seconds=1)  # type: ignore[misc]


async def test_a_demoted_instructor_keeps_courses_but_cannot_author(world: World, other_process: Core) -> None:
    admin, teacher, student = [await world.person(role) for role in ("ADMIN", "INSTRUCTOR", "STUDENT")]
    course = await world.course(teacher)
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    await set_standing(world, admin, teacher, role=identity_pb2.ROLE_STUDENT)
    lecture_id = course.modules[0].lectures[0].id
    module_id = course.modules[0].id
    edits = {
        "CreateCourse": courses_pb2.CreateCourseRequest(title="Another", description="One."),
        "UpdateCourse": courses_pb2.UpdateCourseRequest(course_id=course.id, title="Mine", description="Still."),
        "DeleteCourse": courses_pb2.DeleteCourseRequest(course_id=course.id),
        "UnpublishCourse": courses_pb2.UnpublishCourseRequest(course_id=course.id),
        "CreateModule": courses_pb2.CreateModuleRequest(course_id=course.id, title="Two"),
        "CreateLecture": courses_pb2.CreateLectureRequest(module_id=module_id, title="Three"),
        "DeleteLecture": courses_pb2.DeleteLectureRequest(lecture_id=lecture_id),
        "ListCourseStudents": enrollments_pb2.ListCourseStudentsRequest(course_id=course.id),
    }
    for door in world.doors.values():
        for name, request in edits.items():
            assert (await door.call(name, request, teacher.token)).reason == "ROLE_NOT_ALLOWED"
    # The course goes on under the name it has; admins may act as its owner.
    shown = await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id))
    assert (shown.instructor.id, shown.status) == (teacher.id, courses_pb2.COURSE_STATUS_PUBLISHED)
    assert (await world.call("GetLecture", courses_pb2.GetLectureRequest(lecture_id=lecture_id), student)).notes
    await world.call("CreateModule", edits["CreateModule"], admin)
    # Promoted again, the instructor goes on.
    await set_standing(world, admin, teacher, role=identity_pb2.ROLE_INSTRUCTOR)
    await world.call("UpdateCourse", edits["UpdateCourse"], teacher)


async def uncounted_admins(world: World) -> int:
    """How many more active admins there are than are counted."""
    db = world.core.resources.db
    [(count,)] = await db.fetch_all("SELECT value FROM counters WHERE name = 'active_admins'")
    sql = "SELECT COUNT(*) FROM users WHERE role = %s AND status = %s"
    [(rows,)] = await db.fetch_all(sql, (identity_pb2.ROLE_ADMIN, ACTIVE))
    return int(rows - count)


async def test_changes_of_all_kinds_keep_the_count_of_admins(world: World) -> None:
    """Promotions, suspensions, demotions and erasures at once: the counter is what the rows say."""
    before = await uncounted_admins(world)  # other tests of the database make admins past the feature
    admin = await world.person("ADMIN")
    people = [await world.person(role) for role in ("ADMIN", "STUDENT", "ADMIN", "INSTRUCTOR", "ADMIN", "ADMIN")]
    erase = identity_pb2.EraseMeRequest(confirm="ERASE")
    changes = [
        {"role": identity_pb2.ROLE_ADMIN}, {"role": identity_pb2.ROLE_STUDENT}, {"status": SUSPENDED}, {"status": ACTIVE},
    ]  # fmt: skip
    calls = [
        world.rest.call("UpdateUser", identity_pb2.UpdateUserRequest(user_id=person.id, **change), admin.token)  # type: ignore[arg-type]
        for change in changes
        for person in people
    ]
    outcomes = await asyncio.gather(*calls, *(world.rest.call("EraseMe", erase, person.token) for person in people))
    assert {outcome.code for outcome in outcomes} <= {"OK", "ABORTED", "PERMISSION_DENIED", "UNAUTHENTICATED"}
    assert await uncounted_admins(world) == before
    assert await world.core.resources.db.fetch_all("SELECT 1 FROM users WHERE id = %s", (to_bytes(admin.id),))
