"""Many at the same moment: whatever may be done once is done once, whoever was first, through whichever door."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from cli.grants import grant_role
from cli.servers import LocalServers
from core.errors import FailedPrecondition
from core.ids import to_bytes
from core.redis import keys
from skillforge.v1 import certificates_pb2, courses_pb2, enrollments_pb2, identity_pb2, progress_pb2, quizzes_pb2
from tests.conftest import fresh_database
from tests.support.doors import Outcome
from tests.support.polling import eventually
from tests.support.world import Person, World, exam_content, right_answers, running_world

AT_ONCE = 20
ADMIN, STUDENT = identity_pb2.ROLE_ADMIN, identity_pb2.ROLE_STUDENT


async def call(world: World, door: str, request: Message, token: str, **metadata: str) -> Outcome:
    return await world.doors[door].call(type(request).__name__.removesuffix("Request"), request, token, **metadata)


async def at_once(world: World, request: Message, token: str, count: int = AT_ONCE) -> list[Outcome]:
    """The same call so many times at the same moment, through all doors in turn."""
    doors = itertools.cycle(world.doors)
    return await asyncio.gather(*(call(world, next(doors), request, token) for _ in range(count)))


def messages(outcomes: list[Outcome]) -> list[Any]:
    assert all(outcome.ok for outcome in outcomes), outcomes
    return [outcome.message for outcome in outcomes]


def statuses(outcomes: list[Outcome]) -> Counter[int]:
    """What REST answered; gRPC tells its status in the metadata (absent: the method's own, 201)."""
    return Counter(outcome.status or int(outcome.metadata.get("x-http-status", 201)) for outcome in outcomes)


async def rows(world: World, sql: str, *params: object) -> Any:
    row = await world.core.resources.db.fetch_one(sql, params)
    assert row is not None
    return row[0]


async def published(world: World, topic: str, person: Person) -> int:
    """How many events of a topic the person was sent, once all are."""
    user, resources = to_bytes(person.id), world.core.resources
    waiting = "SELECT COUNT(*) FROM outbox WHERE user_id = %s"
    await eventually(lambda: rows(world, waiting, user), lambda count: count == 0)
    entries = await resources.redis.run("XRANGE", keys.events(user), "-", "+")
    return sum(fields[fields.index(b"topic") + 1].decode() == topic for _, fields in entries)


async def enrolled(world: World, course: courses_pb2.Course, *, learned: bool = False) -> Person:
    """A new student of the course; `learned`: with every lecture complete."""
    student = await world.person()
    await world.call("EnrollInCourse", enrollments_pb2.EnrollInCourseRequest(course_id=course.id), student)
    for lecture in course.modules[0].lectures if learned else ():
        await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=lecture.id), student)
    return student


async def exam_of(world: World, max_attempts: int) -> courses_pb2.Course:
    teacher = await world.person("INSTRUCTOR")
    course = await world.course(teacher, lectures=1, exam=False)
    exam = quizzes_pb2.PutExamRequest(course_id=course.id, **exam_content(max_attempts))
    await world.call("PutExam", exam, teacher)
    return await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=course.id), teacher)  # type: ignore[no-any-return]


async def test_simultaneous_starts_share_the_one_attempt_left(world: World) -> None:
    course = await exam_of(world, max_attempts=2)
    student = await enrolled(world, course, learned=True)
    start = quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id)
    first = await world.call("StartAttempt", start, student)
    await world.call("SubmitAttempt", quizzes_pb2.SubmitAttemptRequest(attempt_id=first.id), student)
    outcomes = await at_once(world, start, student.token)
    assert {(attempt.number, attempt.id != first.id) for attempt in messages(outcomes)} == {(2, True)}
    assert len({attempt.id for attempt in messages(outcomes)}) == 1
    assert statuses(outcomes) == {201: 1, 200: AT_ONCE - 1}
    await world.call("SubmitAttempt", quizzes_pb2.SubmitAttemptRequest(attempt_id=outcomes[0].message.id), student)
    refused = await at_once(world, start, student.token)
    assert {(outcome.code, outcome.reason) for outcome in refused} == {("FAILED_PRECONDITION", "ATTEMPTS_EXHAUSTED")}
    assert await rows(world, "SELECT COUNT(*) FROM attempts WHERE quiz_id = %s", to_bytes(course.exam_id)) == 2


async def test_starting_and_submitting_as_fast_as_one_can_gives_no_attempt_more(world: World) -> None:
    course = await exam_of(world, max_attempts=3)
    student = await enrolled(world, course, learned=True)

    async def greedy(door: str) -> set[str]:
        """Start and submit until there is nothing left."""
        had: set[str] = set()
        while True:
            begun = await call(world, door, quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student.token)
            if not begun.ok:
                assert begun.reason == "ATTEMPTS_EXHAUSTED", begun
                return had
            had.add(begun.message.id)
            submitted = quizzes_pb2.SubmitAttemptRequest(attempt_id=begun.message.id)
            assert (await call(world, door, submitted, student.token)).ok

    doors = itertools.cycle(world.doors)
    had = await asyncio.gather(*(greedy(next(doors)) for _ in range(10)))
    assert len(set().union(*had)) == 3
    of_exam = "FROM attempts WHERE quiz_id = %s"
    assert await rows(world, f"SELECT COUNT(*) {of_exam}", to_bytes(course.exam_id)) == 3
    assert await rows(world, "SELECT attempts FROM quiz_results WHERE quiz_id = %s", to_bytes(course.exam_id)) == 3


async def test_simultaneous_submissions_are_graded_once(world: World) -> None:
    course = await exam_of(world, max_attempts=1)
    student = await enrolled(world, course, learned=True)
    attempt = await world.call("StartAttempt", quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    right = quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
    graded = messages(await at_once(world, right, student.token))
    assert all(item == graded[0] for item in graded)
    assert (graded[0].passed, graded[0].percent) == (True, 100)
    assert await rows(world, "SELECT attempts FROM quiz_results WHERE quiz_id = %s", to_bytes(course.exam_id)) == 1
    assert await rows(world, "SELECT COUNT(*) FROM certificates WHERE course_id = %s", to_bytes(course.id)) == 1
    assert await published(world, "certificate.issued", student) == 1


async def test_two_devices_answer_one_attempt(world: World) -> None:
    """Each in a session of its own: the second goes on where the first is, no sheet is mixed, and one of them is graded."""
    course = await exam_of(world, max_attempts=1)
    student = await enrolled(world, course, learned=True)
    tokens = [student.token, world.fakes.clerk.mint(student.user.clerk_id)]
    start = quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id)
    begun = await call(world, "rest", start, tokens[0])
    sheets = [[quizzes_pb2.Answer(question_id="q1", number=number)] for number in (41, 42)]
    saves = [quizzes_pb2.SaveAnswersRequest(attempt_id=begun.message.id, answers=sheet) for sheet in sheets]
    assert (await call(world, "rest", saves[0], tokens[0])).ok
    resumed = await call(world, "grpc", start, tokens[1])
    assert (resumed.message.id, list(resumed.message.answers)) == (begun.message.id, sheets[0])
    assert resumed.message.questions == begun.message.questions
    for _ in range(5):
        saved = await asyncio.gather(
            *(call(world, door, saves[device], tokens[device]) for device in (0, 1) for door in world.doors)
        )
        assert [list(item.answers) for item in messages(saved)] == [sheets[0]] * 3 + [sheets[1]] * 3
        now = await call(world, "remote", start, tokens[0])
        assert list(now.message.answers) in sheets
    submits = [quizzes_pb2.SubmitAttemptRequest(attempt_id=begun.message.id, answers=sheet) for sheet in sheets]
    graded = messages(
        await asyncio.gather(*(call(world, door, submits[device], tokens[device]) for device in (0, 1) for door in world.doors))
    )
    assert all(item == graded[0] for item in graded)
    assert (list(graded[0].answers), graded[0].percent) in ((sheets[0], 0), (sheets[1], 100))
    late = await call(world, "grpc", saves[0], tokens[1])
    assert late.reason == "ATTEMPT_CLOSED"


async def test_simultaneous_first_logins_make_one_account(world: World) -> None:
    for number in range(3):
        user, token = await world.fakes.clerk.sign_in(f"twin.{number}.{uuid.uuid4()}@example.com", "Twin", "STUDENT")
        outcomes = await at_once(world, identity_pb2.SyncUserRequest(), token)
        assert len({account.id for account in messages(outcomes)}) == 1
        assert statuses(outcomes) == {201: 1, 200: AT_ONCE - 1}
        assert await rows(world, "SELECT COUNT(*) FROM users WHERE clerk_id = %s", user.id) == 1
        me = await call(world, "rest", identity_pb2.GetMeRequest(), token)
        assert (me.message.id, me.message.role) == (outcomes[0].message.id, STUDENT)


@pytest.mark.parametrize("generate", [False, True], ids=["marks", "marks and requests for the certificate"])
async def test_the_last_lecture_completes_the_course_once(world: World, generate: bool) -> None:
    course = await world.course(await world.person("INSTRUCTOR"), lectures=2, exam=False)
    student = await enrolled(world, course)
    first, last = course.modules[0].lectures
    await world.call("MarkLecture", progress_pb2.MarkLectureRequest(lecture_id=first.id), student)
    mark = at_once(world, progress_pb2.MarkLectureRequest(lecture_id=last.id, completed=True), student.token)
    wish = at_once(world, certificates_pb2.GenerateCertificateRequest(course_id=course.id), student.token, 10 if generate else 0)
    marked, wished = await asyncio.gather(mark, wish)
    ids = {item.course.certificate_id for item in messages(marked)}
    assert {item.course.percent for item in messages(marked)} == {100}
    for outcome in wished:
        assert outcome.ok or outcome.reason == "COURSE_NOT_COMPLETED", outcome
        ids |= {outcome.message.id} if outcome.ok else set()
    assert len(ids) == 1
    assert await rows(world, "SELECT COUNT(*) FROM certificates WHERE course_id = %s", to_bytes(course.id)) == 1
    done = "SELECT COUNT(*) FROM enrollments WHERE course_id = %s AND complete_time IS NOT NULL"
    assert await rows(world, done, to_bytes(course.id)) == 1
    assert await published(world, "certificate.issued", student) == 1


async def test_many_finish_at_the_same_moment(world: World) -> None:
    """Their marks share statements; each gets a certificate of their own."""
    course = await world.course(await world.person("INSTRUCTOR"), lectures=2, exam=False)
    students = await asyncio.gather(*(enrolled(world, course) for _ in range(AT_ONCE)))
    marks = [(student, lecture.id) for student in students for lecture in course.modules[0].lectures]
    random.Random(1).shuffle(marks)
    doors = itertools.cycle(world.doors)
    calls = (
        call(world, next(doors), progress_pb2.MarkLectureRequest(lecture_id=lecture_id), student.token)
        for student, lecture_id in marks
    )
    messages(await asyncio.gather(*calls))
    counted = "SELECT COUNT(DISTINCT student_id), COUNT(*) FROM certificates WHERE course_id = %s"
    found = await world.core.resources.db.fetch_one(counted, (to_bytes(course.id),))
    assert found == (AT_ONCE, AT_ONCE)


async def test_simultaneous_enrolling_is_one_enrollment(world: World) -> None:
    course = await world.course(await world.person("INSTRUCTOR"), exam=False)
    enroll = enrollments_pb2.EnrollInCourseRequest(course_id=course.id)
    student = await world.person()
    outcomes = await at_once(world, enroll, student.token)
    assert len({item.SerializeToString(deterministic=True) for item in messages(outcomes)}) == 1
    crowd = [await world.person() for _ in range(AT_ONCE)]
    doors = itertools.cycle(world.doors)
    messages(await asyncio.gather(*(call(world, next(doors), enroll, person.token) for person in crowd)))
    course_id = to_bytes(course.id)
    assert await rows(world, "SELECT enrollment_count FROM courses WHERE id = %s", course_id) == AT_ONCE + 1
    for table in ("enrollments", "entitlements"):
        assert await rows(world, f"SELECT COUNT(*) FROM {table} WHERE course_id = %s", course_id) == AT_ONCE + 1
    assert await published(world, "enrollment.unlocked", student) == 1


async def test_simultaneous_publishing_publishes_once(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")
    draft = await world.course(teacher, publish=False)
    publish = courses_pb2.PublishCourseRequest(course_id=draft.id)
    outcomes = messages(await at_once(world, publish, teacher.token))
    assert {item.status for item in outcomes} == {courses_pb2.COURSE_STATUS_PUBLISHED}
    assert len({item.publish_time.ToNanoseconds() for item in outcomes}) == 1
    other = await world.course(teacher, publish=False)
    request = courses_pb2.PublishCourseRequest(course_id=other.id)
    both = await asyncio.gather(*(call(world, "rest", request, teacher.token, if_match=f'"{other.etag}"') for _ in range(2)))
    assert Counter(outcome.status for outcome in both) == {200: 1, 412: 1}


async def test_lectures_added_at_once_stand_one_after_the_other(world: World) -> None:
    teacher = await world.person("INSTRUCTOR")
    draft = await world.course(teacher, lectures=0, exam=False, publish=False)
    request = courses_pb2.CreateLectureRequest(module_id=draft.modules[0].id, title="L", notes="N")
    messages(await at_once(world, request, teacher.token))
    shown = await world.call("GetCourse", courses_pb2.GetCourseRequest(course_id=draft.id), teacher)
    assert [lecture.position for lecture in shown.modules[0].lectures] == [*range(1, AT_ONCE + 1)]
    assert shown.lecture_count == AT_ONCE


# Administrators. There must be no others, so these have a database of their own.


@pytest.fixture(scope="module")
async def court(servers: LocalServers, worker_number: int) -> AsyncIterator[World]:
    url = fresh_database(servers, f"court_{worker_number}")
    async with running_world(url, servers.redis_url(16 + worker_number)) as world:
        yield world


def fall(person: Person, **standing: Any) -> identity_pb2.UpdateUserRequest:
    return identity_pb2.UpdateUserRequest(user_id=person.id, **(standing or {"role": STUDENT}))


async def admins(court: World) -> int:
    """How many there are, which is also what the counter says."""
    counted = await rows(court, "SELECT COUNT(*) FROM users WHERE role = %s AND status = 1", int(ADMIN))
    assert await rows(court, "SELECT value FROM counters WHERE name = 'active_admins'") == counted
    return int(counted)


async def one_admin(court: World) -> Person:
    """A new admin, and nobody else."""
    keeper = await court.person("ADMIN")
    sql = "UPDATE users SET role = %s WHERE role = %s AND id <> %s"
    await court.core.resources.db.execute(sql, (int(STUDENT), int(ADMIN), to_bytes(keeper.id)))
    await court.core.resources.db.execute("UPDATE counters SET value = 1 WHERE name = 'active_admins'")
    assert await admins(court) == 1
    return keeper


FALLS: list[Callable[[Person], Message]] = [fall, lambda person: fall(person, status=identity_pb2.USER_STATUS_SUSPENDED)]


@pytest.mark.parametrize("make", FALLS, ids=["demoted", "suspended"])
async def test_two_admins_who_oust_each_other_at_once_leave_one(court: World, make: Callable[[Person], Message]) -> None:
    for doors in itertools.product(court.doors, repeat=2):
        pair = [await one_admin(court), await court.person("ADMIN")]
        outcomes = await asyncio.gather(
            call(court, doors[0], make(pair[1]), pair[0].token), call(court, doors[1], make(pair[0]), pair[1].token)
        )
        refused = [outcome for outcome in outcomes if not outcome.ok]
        assert len(refused) == 1, outcomes
        assert refused[0].reason in ("LAST_ADMIN", "ROLE_NOT_ALLOWED", "ACCOUNT_SUSPENDED")
        assert await admins(court) == 1


async def test_a_palace_revolution_leaves_one(court: World) -> None:
    everybody = [await one_admin(court), *[await court.person("ADMIN") for _ in range(5)]]
    blows: list[Awaitable[Outcome]] = [
        call(court, "rest", fall(victim), actor.token) for actor in everybody for victim in everybody if actor is not victim
    ]
    for outcome in await asyncio.gather(*blows):
        assert outcome.ok or outcome.reason in ("LAST_ADMIN", "ROLE_NOT_ALLOWED", "CONFLICT"), outcome
    assert await admins(court) >= 1


async def test_the_last_admin_goes_by_no_way(court: World) -> None:
    last = await one_admin(court)
    for request in (fall(last), fall(last, status=identity_pb2.USER_STATUS_SUSPENDED)):
        for door in court.doors:
            outcome = await call(court, door, request, last.token)
            assert (outcome.code, outcome.reason) == ("FAILED_PRECONDITION", "LAST_ADMIN")
    with pytest.raises(FailedPrecondition, match="last active administrator"):
        await grant_role(court.settings, last.user.email, "STUDENT")
    assert await admins(court) == 1
