"""Progress as a service on a real database: marks, reading, completion, and what races may not break."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.call import Caller
from core.db import Transaction
from core.errors import InvalidArgument, NotAllowed, NotFound
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import enrollments_pb2
from skillforge.v1.courses_pb2 import Course, DeleteLectureRequest
from skillforge.v1.progress_pb2 import CourseProgress, GetCourseProgressRequest, MarkLectureRequest
from tests.support.classroom import lecture_ids, refused
from tests.support.school import School, open_school

ENDED = enrollments_pb2.ENROLLMENT_STATUS_ENDED


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author)


@pytest.fixture
async def student(school: School, course: Course) -> Caller:
    caller = await school.person()
    await school.enroll(caller, course.id)
    return caller


async def read(school: School, who: Caller, course: Course, student: Caller | None = None) -> CourseProgress:
    student_id = to_text(student.user_id) if student else ""
    request = GetCourseProgressRequest(course_id=course.id, student_id=student_id)
    return await school.run(request, who)  # type: ignore[no-any-return]


# Marks


async def test_marking_lectures_one_by_one(school: School, student: Caller, course: Course) -> None:
    assert (await read(school, student, course)).percent == 0
    percents = []
    for number, lecture_id in enumerate(lecture_ids(course)):
        reply = await school.mark(student, lecture_id)
        assert reply.lecture == reply.course.lectures[number]
        assert reply.lecture.lecture_id == lecture_id
        assert reply.lecture.HasField("complete_time")
        assert reply.course == await read(school, student, course)
        percents.append(reply.course.percent)
    assert percents == [33, 66, 100]
    progress = await read(school, student, course)
    assert [(m.percent, m.lectures_completed, m.lectures_total) for m in progress.modules] == [(100, 2, 2), (100, 1, 1)]
    assert (progress.course_id, progress.student_id) == (course.id, to_text(student.user_id))
    assert progress.HasField("complete_time")
    assert progress.certificate_id.startswith("SF-")
    assert await school.events_of(student, "progress.changed") == 3


async def test_a_repeat_writes_nothing_but_the_activity_once_a_minute(school: School, student: Caller, course: Course) -> None:
    lecture_id = lecture_ids(course)[0]
    first = await school.mark(student, lecture_id)
    school.later(seconds=59)
    assert await school.mark(student, lecture_id) == first
    school.later(seconds=1)
    later = await school.mark(student, lecture_id, completed=True)
    assert later.lecture == first.lecture
    assert later.course.last_activity_time.seconds - first.course.last_activity_time.seconds == 60
    assert later.course == await read(school, student, course)
    assert await school.events_of(student, "progress.changed") == 1


async def test_positions_and_watched_time(school: School, student: Caller, course: Course) -> None:
    lecture_id = lecture_ids(course)[0]  # 60 seconds long
    reply = await school.mark(student, lecture_id, position_seconds=12)
    assert (reply.lecture.position_seconds, reply.lecture.HasField("complete_time")) == (12, False)
    school.later(seconds=20)
    reply = await school.mark(student, lecture_id, watched_seconds=20, position_seconds=32)
    assert (reply.lecture.position_seconds, reply.course.lectures_completed) == (32, 0)
    school.later(seconds=30)
    for _ in range(3):  # again and again the same seconds
        school.later(seconds=30)
        reply = await school.mark(student, lecture_id, watched_seconds=20, position_seconds=32)
        assert reply.course.lectures_completed == 0
    school.later(seconds=30)
    reply = await school.mark(student, lecture_id, watched_seconds=3000)
    assert (reply.lecture.position_seconds, reply.course.lectures_completed) == (60, 0)
    school.later(seconds=12)
    reply = await school.mark(student, lecture_id, watched_seconds=12, position_seconds=12)
    assert (reply.lecture.position_seconds, reply.course.lectures_completed) == (12, 1)
    reply = await school.mark(student, lecture_id, completed=False, position_seconds=1)
    assert (reply.lecture.position_seconds, reply.course.lectures_completed) == (1, 1)
    assert await school.events_of(student, "progress.changed") == 1


async def test_who_may_not_mark(school: School, student: Caller, course: Course) -> None:
    lecture_id = lecture_ids(course)[0]
    stranger, former = await school.person(), await school.person()
    await school.enroll(former, course.id, ENDED)
    for who in (stranger, former):
        await refused(NotAllowed, "NOT_ENROLLED", school.mark(who, lecture_id))
    await refused(NotFound, "NOT_FOUND", school.mark(student, to_text(new_id())))
    assert await school.value("SELECT COUNT(*) FROM lecture_progress WHERE student_id = %s", former.user_id) == 0


async def test_a_deleted_lecture_does_not_count(school: School, author: Caller, student: Caller, course: Course) -> None:
    first, second, third = lecture_ids(course)
    await school.mark(student, first)
    await school.mark(student, second)
    await school.run(DeleteLectureRequest(lecture_id=first), author)
    progress = await read(school, student, course)
    assert (progress.percent, progress.lectures_completed, progress.lectures_total) == (50, 1, 2)
    assert [item.lecture_id for item in progress.lectures] == [second, third]
    await refused(NotFound, "NOT_FOUND", school.mark(student, first))


async def test_marks_of_many_students_share_batches(school: School, course: Course) -> None:
    students = [await school.person() for _ in range(20)]
    for who in students[:18]:
        await school.enroll(who, course.id)
    lectures = lecture_ids(course)
    marks = [(who, lectures[number % 3]) for number, who in enumerate(students) for _ in range(3)]
    results = await asyncio.gather(*(school.mark(*mark) for mark in marks), return_exceptions=True)
    for (who, lecture_id), result in zip(marks, results, strict=True):
        if who in students[18:]:
            assert isinstance(result, NotAllowed)
            continue
        assert not isinstance(result, BaseException)
        assert result.lecture.lecture_id == lecture_id
        assert (result.course.student_id, result.course.lectures_completed) == (to_text(who.user_id), 1)
    for who in students[:18]:
        assert await school.events_of(who, "progress.changed") == 1


async def test_marks_of_one_student_in_one_batch_all_count(school: School, student: Caller, course: Course) -> None:
    said: list[dict[str, Any]] = [{"position_seconds": 5}, {"completed": True}, {"position_seconds": 7}, {}]
    lectures = lecture_ids(course)
    for lecture_id in lectures:
        await school.catalog.course_of_lecture(to_bytes(lecture_id))  # known now, so the calls below keep their order
    await asyncio.gather(*(school.mark(student, lecture_id, **item) for lecture_id in lectures for item in said))
    progress = await read(school, student, course)
    assert [item.position_seconds for item in progress.lectures] == [7, 7, 7]
    assert progress.percent == 100


# Completion


async def completions(school: School, student: Caller, course: Course) -> tuple[int, int, int]:
    """Certificates, their events, and completed enrollments."""
    pair = (student.user_id, to_bytes(course.id))
    return (
        await school.value("SELECT COUNT(*) FROM certificates WHERE student_id = %s AND course_id = %s", *pair),
        await school.events_of(student, "certificate.issued"),
        await school.value(
            "SELECT COUNT(*) FROM enrollments WHERE student_id = %s AND course_id = %s AND complete_time IS NOT NULL", *pair
        ),
    )


async def test_the_last_lecture_many_times_at_once(
    school: School, database_url: str, redis_url: str, student: Caller, course: Course
) -> None:
    *others, last = lecture_ids(course)
    for lecture_id in others:
        await school.mark(student, lecture_id)
    async with open_school(database_url, redis_url) as second:
        second.now = school.now
        replies = await asyncio.gather(*(one.mark(student, last) for one in (school, second) for _ in range(10)))
    assert {reply.course.percent for reply in replies} == {100}
    assert len({reply.course.certificate_id for reply in replies}) == 1
    assert await completions(school, student, course) == (1, 1, 1)
    assert await school.events_of(student, "progress.changed") == 3


async def test_the_last_two_lectures_in_two_processes(school: School, database_url: str, redis_url: str, author: Caller) -> None:
    """Neither sees the other's before the commit; still one of them completes the course."""
    async with open_school(database_url, redis_url) as second:
        for _ in range(10):
            course, student = await school.course(author, (2,)), await school.person()
            await school.enroll(student, course.id)
            second.now = school.now
            one, other = lecture_ids(course)
            await asyncio.gather(school.mark(student, one), second.mark(student, other))
            assert await completions(school, student, course) == (1, 1, 1)


async def test_an_exam_must_be_passed_too(school: School, author: Caller) -> None:
    course, student = await school.course_with_exam(author), await school.person()
    await school.enroll(student, course.id)
    await school.mark_all(student, course)
    progress = await read(school, student, course)
    assert (progress.percent, progress.certificate_id, progress.HasField("complete_time")) == (100, "", False)
    assert (progress.exam.quiz_id, progress.exam.passed, progress.exam.attempts) == (course.exam_id, False, 0)
    await school.pass_exam(student, course)
    progress = await read(school, student, course)
    assert (progress.exam.best_percent, progress.exam.passed, progress.exam.attempts) == (100, True, 1)
    assert progress.certificate_id
    assert progress.HasField("complete_time")
    assert await completions(school, student, course) == (1, 1, 1)


async def test_quiz_results_keep_the_best(school: School, author: Caller) -> None:
    course, student = await school.course_with_exam(author), await school.person()
    await school.enroll(student, course.id)
    ids = (student.user_id, to_bytes(course.id), to_bytes(course.exam_id))
    for percent, passed in ((81.25, True), (20.0, False), (66.6, False)):

        async def work(tx: Transaction, percent: float = percent, passed: bool = passed) -> None:
            await school.progress.record_quiz_result(tx, *ids, percent, passed, school.now)

        await school.db.transact(work)
    exam = (await read(school, student, course)).exam
    assert (exam.best_percent, exam.passed, exam.attempts) == (81.25, True, 3)
    assert await completions(school, student, course) == (0, 0, 0)
    await school.mark_all(student, course)
    assert await completions(school, student, course) == (1, 1, 1)
    score = await school.value("SELECT score_percent FROM certificates WHERE student_id = %s", student.user_id)
    assert score == 81.25


async def test_what_is_missing(school: School, author: Caller) -> None:
    course, student = await school.course_with_exam(author), await school.person()
    await school.enroll(student, course.id)
    pair = (student.user_id, to_bytes(course.id))
    first, second, third = lecture_ids(course)
    await school.mark(student, second)
    assert await school.progress.lectures_complete(school.db, *pair) == [to_bytes(first), to_bytes(third)]
    violations = await school.progress.missing_for_completion(school.db, *pair)
    assert [item.field for item in violations] == [f"lectures[{first}]", f"lectures[{third}]", "exam"]
    assert await school.progress.completion(school.db, *pair) is None


async def test_new_lectures_take_no_completion_back(school: School, author: Caller, student: Caller, course: Course) -> None:
    await school.mark_all(student, course)
    before = await read(school, student, course)
    await school.lecture(author, course.modules[0].id)
    after = await read(school, student, course)
    assert (after.percent, after.lectures_total) == (75, 4)
    assert (after.complete_time, after.certificate_id) == (before.complete_time, before.certificate_id)
    await school.mark(student, after.lectures[2].lecture_id)
    assert await completions(school, student, course) == (1, 1, 1)


# Reading


async def test_who_may_read(school: School, author: Caller, student: Caller, course: Course) -> None:
    await school.mark(student, lecture_ids(course)[0])
    mine = await read(school, student, course)
    assert mine == await read(school, student, course, student)
    assert mine == await read(school, author, course, student)
    assert mine == await read(school, await school.person("ADMIN"), course, student)
    for role in ("STUDENT", "INSTRUCTOR", "PARENT"):
        await refused(NotFound, "NOT_FOUND", read(school, await school.person(role), course, student))
    await refused(NotFound, "NOT_FOUND", read(school, await school.person(), course))
    await refused(NotFound, "NOT_FOUND", read(school, author, course, await school.person()))
    await refused(NotFound, "NOT_FOUND", school.run(GetCourseProgressRequest(course_id=to_text(new_id())), student))
    assert await refused(InvalidArgument, "INVALID_ARGUMENT", read(school, author, course)) == ["studentId required"]


async def test_an_ended_enrollment_still_shows_its_history(school: School, student: Caller, course: Course) -> None:
    before = await school.mark(student, lecture_ids(course)[0])
    await school.enroll(student, course.id, ENDED)
    assert await read(school, student, course) == before.course


async def test_a_large_course_fits(school: School, author: Caller) -> None:
    course, student = await school.course(author, (120,)), await school.person()
    await school.enroll(student, course.id)
    requests = [MarkLectureRequest(lecture_id=lecture_id) for lecture_id in lecture_ids(course)]
    await asyncio.gather(*(school.run(request, student) for request in requests))
    progress = await read(school, student, course)
    assert (progress.percent, len(progress.lectures)) == (100, 120)
    assert await completions(school, student, course) == (1, 1, 1)
