"""Enrollments as a service on a real database: entering, granting, ending, lists."""

from __future__ import annotations

import asyncio

import pytest

from core.call import Caller
from core.db import Transaction
from core.enrollments.access import is_enrolled, require_enrolled
from core.enrollments.rules import Grant
from core.errors import FailedPrecondition, InvalidArgument, NotAllowed, NotFound
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import enrollments_pb2
from skillforge.v1.courses_pb2 import Course, DeleteLectureRequest, UnpublishCourseRequest
from skillforge.v1.enrollments_pb2 import EnrollInCourseRequest, ListCourseStudentsRequest, ListEnrollmentsRequest
from tests.support.classroom import lecture_ids, refused
from tests.support.school import School

ACTIVE, ENDED = enrollments_pb2.ENROLLMENT_STATUS_ACTIVE, enrollments_pb2.ENROLLMENT_STATUS_ENDED


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author)


async def count(school: School, course: Course) -> int:
    return int(await school.value("SELECT enrollment_count FROM courses WHERE id = %s", to_bytes(course.id)))


async def grant(school: School, who: Caller, course: Course, source: bytes) -> bool:
    async def work(tx: Transaction) -> bool:
        return await school.enrollments.grant(tx, who.user_id, to_bytes(course.id), "payment", source, school.now)

    return await school.db.transact(work)


async def revoke(school: School, who: Caller, course: Course, source: bytes) -> bool:
    async def work(tx: Transaction) -> bool:
        return await school.enrollments.revoke(tx, who.user_id, to_bytes(course.id), "payment", source, school.now)

    return await school.db.transact(work)


# Entering


async def test_a_student_enters_a_free_course_once(school: School, student: Caller, course: Course) -> None:
    first = await school.run(EnrollInCourseRequest(course_id=course.id), student)
    assert school.status == 201
    assert (first.course_id, first.course_title, first.student_id) == (course.id, course.title, to_text(student.user_id))
    assert (first.status, first.lectures_completed, first.lectures_total) == (ACTIVE, 0, 3)
    assert await school.run(EnrollInCourseRequest(course_id=course.id), student) == first
    assert school.status == 200
    assert await count(school, course) == 1
    assert await school.events_of(student, "enrollment.unlocked") == 1
    audited = "SELECT COUNT(*) FROM audit_events WHERE actor_id = %s AND action = 'enrollment.create'"
    assert await school.value(audited, student.user_id) == 1


async def test_entering_many_times_at_once(school: School, student: Caller, course: Course) -> None:
    request = EnrollInCourseRequest(course_id=course.id)
    entered = await asyncio.gather(*(school.run(request, student) for _ in range(20)))
    assert len({item.SerializeToString() for item in entered}) == 1
    assert await count(school, course) == 1
    assert await school.events_of(student, "enrollment.unlocked") == 1


async def test_many_students_enter_at_once(school: School, course: Course) -> None:
    students = [await school.person() for _ in range(30)]
    await asyncio.gather(*(school.run(EnrollInCourseRequest(course_id=course.id), who) for who in students))
    assert await count(school, course) == 30


async def test_what_cannot_be_entered(school: School, author: Caller, student: Caller) -> None:
    paid, draft = await school.paid_course(), await school.course(author, publish=False)
    await refused(FailedPrecondition, "COURSE_NOT_FREE", school.run(EnrollInCourseRequest(course_id=paid.id), student))
    await refused(NotFound, "NOT_FOUND", school.run(EnrollInCourseRequest(course_id=draft.id), student))
    await refused(NotFound, "NOT_FOUND", school.run(EnrollInCourseRequest(course_id=to_text(new_id())), student))
    other = EnrollInCourseRequest(course_id=draft.id, student_id=to_text(new_id()))
    await refused(NotAllowed, "NOT_ALLOWED", school.run(other, student))


async def test_an_admin_enrolls_a_student_in_any_published_course(school: School, author: Caller, student: Caller) -> None:
    admin, paid = await school.person("ADMIN"), await school.paid_course()
    draft = await school.course(author, publish=False)
    request = EnrollInCourseRequest(course_id=paid.id, student_id=to_text(student.user_id))
    enrolled = await school.run(request, admin)
    assert school.status == 201
    assert (enrolled.student_id, enrolled.status) == (request.student_id, ACTIVE)
    assert await school.run(request, admin) == enrolled
    assert school.status == 200
    request.course_id = draft.id
    await refused(FailedPrecondition, "COURSE_NOT_PUBLISHED", school.run(request, admin))
    for nobody in (new_id(), author.user_id):
        request = EnrollInCourseRequest(course_id=paid.id, student_id=to_text(nobody))
        await refused(NotFound, "NOT_FOUND", school.run(request, admin))
    violations = await refused(InvalidArgument, "INVALID_ARGUMENT", school.run(EnrollInCourseRequest(course_id=paid.id), admin))
    assert violations == ["studentId required"]


async def test_who_is_in_stays_in_when_the_course_is_withdrawn(
    school: School, author: Caller, student: Caller, course: Course
) -> None:
    first = await school.run(EnrollInCourseRequest(course_id=course.id), student)
    await school.run(UnpublishCourseRequest(course_id=course.id), author)
    assert await school.run(EnrollInCourseRequest(course_id=course.id), student) == first
    newcomer = await school.person()
    await refused(NotFound, "NOT_FOUND", school.run(EnrollInCourseRequest(course_id=course.id), newcomer))


async def test_an_old_copy_of_the_course_lets_nobody_in(school: School, student: Caller, author: Caller) -> None:
    """As when another process archived it, or put a price on it, and this one has not heard of it yet."""
    admin = await school.person("ADMIN")
    for change in ("status = 3", "status = 1", "price_minor = 100"):
        course = await school.course(author, (1,))
        await school.catalog.outline(to_bytes(course.id))
        await school.db.execute(f"UPDATE courses SET {change} WHERE id = %s", (to_bytes(course.id),))
        own = school.run(EnrollInCourseRequest(course_id=course.id), student)
        request = EnrollInCourseRequest(course_id=course.id, student_id=to_text(student.user_id))
        if "status" in change:
            await refused(NotFound, "NOT_FOUND", own)
            await refused(FailedPrecondition, "COURSE_NOT_PUBLISHED", school.run(request, admin))
        else:
            await refused(FailedPrecondition, "COURSE_NOT_FREE", own)
            assert (await school.run(request, admin)).status == ACTIVE
        assert await count(school, course) == int("price" in change)


# Granting and ending


async def test_access_lasts_as_long_as_one_reason_does(school: School, student: Caller, course: Course) -> None:
    one, other = new_id(), new_id()
    assert await grant(school, student, course, one)
    assert not await grant(school, student, course, one)
    assert not await grant(school, student, course, other)
    assert not await revoke(school, student, course, one)
    assert not await revoke(school, student, course, one)
    assert await is_enrolled(school.db, student.user_id, to_bytes(course.id))
    assert await revoke(school, student, course, other)
    assert await count(school, course) == 0
    await refused(NotAllowed, "NOT_ENROLLED", require_enrolled(school.db, student.user_id, to_bytes(course.id)))
    assert await grant(school, student, course, one)
    assert await count(school, course) == 1
    assert await school.events_of(student, "enrollment.unlocked") == 2


async def test_the_same_grant_many_times_at_once(school: School, student: Caller, course: Course) -> None:
    source = new_id()
    opened = await asyncio.gather(*(grant(school, student, course, source) for _ in range(12)))
    assert opened.count(True) == 1
    assert await count(school, course) == 1


async def test_ending_one_reason_while_another_comes(school: School, student: Caller, course: Course) -> None:
    """Whichever is first, the one that came last keeps the access."""
    before = new_id()
    await grant(school, student, course, before)
    for _ in range(15):
        after = new_id()
        await asyncio.gather(revoke(school, student, course, before), grant(school, student, course, after))
        assert await is_enrolled(school.db, student.user_id, to_bytes(course.id))
        assert await count(school, course) == 1
        before = after


async def test_many_grants_in_one_transaction(school: School, author: Caller) -> None:
    students = [await school.person() for _ in range(4)]
    courses = [await school.course(author, (1,)) for _ in range(2)]
    grants = [Grant(who.user_id, to_bytes(item.id), "payment", new_id()) for who in students for item in courses]
    opened = await school.db.transact(lambda tx: school.enrollments.grant_many(tx, grants[:5], school.now))
    assert opened == {item.pair for item in grants[:5]}
    opened = await school.db.transact(lambda tx: school.enrollments.grant_many(tx, grants * 2, school.now))
    assert opened == {item.pair for item in grants[5:]}
    assert [await count(school, item) for item in courses] == [4, 4]


# Lists


async def test_a_student_s_courses(school: School, author: Caller, student: Caller) -> None:
    courses = [await school.course(author) for _ in range(3)]
    for course in courses:
        school.later(seconds=1)
        await school.run(EnrollInCourseRequest(course_id=course.id), student)
    first, second, _ = lecture_ids(courses[0])
    await school.mark(student, first)
    await school.mark(student, second)
    await school.run(DeleteLectureRequest(lecture_id=first), author)
    page = await school.run(ListEnrollmentsRequest(page_size=2), student)
    assert [item.course_id for item in page.enrollments] == [courses[2].id, courses[1].id]
    page = await school.run(ListEnrollmentsRequest(page_size=2, page_token=page.next_page_token), student)
    [last] = page.enrollments
    assert (last.course_id, last.lectures_completed, last.lectures_total) == (courses[0].id, 1, 2)
    assert page.next_page_token == ""
    assert list((await school.run(ListEnrollmentsRequest(), await school.person())).enrollments) == []


async def test_a_course_s_students(school: School, author: Caller, course: Course) -> None:
    students = [await school.person() for _ in range(5)]
    for who in students:
        # Two at a time, so that pages end between equals too.
        await school.run(EnrollInCourseRequest(course_id=course.id), who)
        school.later(seconds=students.index(who) % 2)
    await school.mark_all(students[0], course)
    found, token = [], ""
    while True:
        request = ListCourseStudentsRequest(course_id=course.id, page_size=2, page_token=token)
        page = await school.run(request, author)
        found += page.students
        token = page.next_page_token
        if not token:
            break
    assert {item.student_id for item in found} == {to_text(who.user_id) for who in students}
    assert len(found) == 5
    last = found[-1] if found[-1].student_id == to_text(students[0].user_id) else found[-2]
    assert (last.display_name, last.lectures_completed, last.lectures_total) == (students[0].display_name, 3, 3)
    assert last.HasField("complete_time")
    assert [item.create_time.ToMicroseconds() for item in found] == sorted(
        (item.create_time.ToMicroseconds() for item in found), reverse=True
    )


async def test_only_its_instructor_and_admins_see_the_students(school: School, author: Caller, course: Course) -> None:
    request = ListCourseStudentsRequest(course_id=course.id)
    await school.run(request, await school.person("ADMIN"))
    await school.run(request, author)
    await refused(NotFound, "NOT_FOUND", school.run(request, await school.person("INSTRUCTOR")))
