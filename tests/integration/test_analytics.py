"""The numbers of a course, step by step, and of the platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from core.analytics import rules
from core.analytics.recounts import KEPT_DAYS, Recounts
from core.call import Caller
from core.errors import NotFound
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import analytics_pb2, identity_pb2, quizzes_pb2
from skillforge.v1.analytics_pb2 import CourseAnalytics, GetCourseAnalyticsRequest
from skillforge.v1.courses_pb2 import Course
from tests.support.classroom import lecture_ids, refused, right_answers
from tests.support.school import School, open_school


@pytest.fixture
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    async with open_school(database_url, redis_url) as opened:
        opened.now = datetime(2026, 11, 22, 12)
        yield opened


async def numbers(school: School, who: Caller, course: Course) -> CourseAnalytics:
    return await school.run(GetCourseAnalyticsRequest(course_id=course.id), who)  # type: ignore[no-any-return]


def teacher_of(course: Course) -> Caller:
    active = identity_pb2.USER_STATUS_ACTIVE
    return Caller(to_bytes(course.instructor.id), identity_pb2.ROLE_INSTRUCTOR, active, "", "", "")


async def enter(school: School, course: Course) -> Caller:
    student = await school.person()
    pair = (student.user_id, to_bytes(course.id))
    await school.db.transact(lambda tx: school.enrollments.grant(tx, *pair, "free", pair[1], school.now))
    return student


async def answer(school: School, student: Caller, course: Course, right: int) -> None:
    attempt = await school.run(quizzes_pb2.StartAttemptRequest(quiz_id=course.exam_id), student)
    await school.run(quizzes_pb2.SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()[:right]), student)


async def test_a_course_without_students(school: School, author: Caller) -> None:
    course = await school.course(author)
    found = await numbers(school, author, course)
    assert (found.enrolled, found.completion_percent, found.average_score_percent) == (0, 0, 0)
    assert [item.lecture_id for item in found.lectures] == lecture_ids(course)
    assert [(item.from_percent, item.to_percent) for item in found.scores] == [(n, n + 10) for n in range(0, 100, 10)]
    assert [day.date for day in found.days][::29] == ["2026-10-24", "2026-11-22"]
    assert len(found.days) == 30
    assert not found.revenue
    assert not found.hardest_questions


async def test_students_over_some_days(school: School, author: Caller) -> None:
    course = await school.course_with_exam(author)
    first, second, third = lecture_ids(course)
    ann, bob, cid = [await enter(school, course) for _ in range(3)]
    await school.mark(ann, first)
    await school.mark(bob, first)
    school.later(days=1)
    for lecture_id in (second, third):
        await school.mark(ann, lecture_id)
    await answer(school, ann, course, 5)
    found = await numbers(school, author, course)
    assert (found.enrolled, found.completed, found.completion_percent, found.certificates) == (3, 1, 33.33, 1)
    assert (found.active_in_7_days, found.active_in_30_days) == (2, 2)
    assert [(item.completed, item.completed_percent) for item in found.lectures] == [(2, 66.67), (1, 33.33), (1, 33.33)]
    shown = [(day.enrollments, day.completions, day.active_students, day.lecture_completions) for day in found.days[-2:]]
    assert shown == [(3, 0, 2, 2), (0, 1, 1, 2)]
    assert [item.students for item in found.scores] == [0] * 9 + [1]
    assert found.average_score_percent == 100
    school.later(days=6)
    assert (await numbers(school, author, course)).active_in_7_days == 1
    school.later(days=23)
    found = await numbers(school, author, course)
    assert (found.active_in_7_days, found.active_in_30_days) == (0, 1)
    await school.mark(cid, first)
    found = await numbers(school, author, course)
    assert (found.active_in_7_days, found.active_in_30_days, found.days[-1].active_students) == (1, 2, 1)


async def test_hardest_questions(school: School, author: Caller) -> None:
    course = await school.course_with_exam(author)
    for right in (1, 2, 2, 5):
        student = await enter(school, course)
        for lecture_id in lecture_ids(course):
            await school.mark(student, lecture_id)
        await answer(school, student, course, right)
    found = (await numbers(school, author, course)).hardest_questions
    assert [(item.asked, item.correct, item.correct_percent) for item in found] == [(4, 1, 25.0)] * 3 + [
        (4, 3, 75.0),
        (4, 4, 100.0),
    ]
    assert found[3].question_id == "multiple"
    assert (found[-1].prompt, found[-1].quiz_id) == ("One?", course.exam_id)


def test_one_wrong_answer_is_no_hardest_question() -> None:
    assert rules.hardest({b"once": 1, b"often": 100}, {b"often": 20}, 10) == [b"often", b"once"]


async def test_revenue(school: School) -> None:
    course = await school.paid_course()
    author = teacher_of(course)
    payments = []
    for _ in range(3):
        payment = await school.open_payment(await school.person(), course)
        await school.settle(payment)
        payments.append(payment)
    school.later(days=1)
    await school.settle(payments[0], "refunded")
    await school.settle(payments[1], "refunded", amountMinor=900)
    found = await numbers(school, author, course)
    [revenue] = found.revenue
    assert (revenue.currency, revenue.paid_minor, revenue.refunded_minor, revenue.net_minor) == ("USD", 14_700, 5_800, 8_900)
    assert [day.revenue[0].net_minor for day in found.days[-2:]] == [14_700, -5_800]
    assert (found.enrolled, found.ended) == (2, 1)


async def test_a_refund_before_its_payment_counts_once(school: School) -> None:
    course = await school.paid_course()
    author = teacher_of(course)
    payment = await school.open_payment(await school.person(), course)
    await school.settle(payment, "refunded", amountMinor=900)
    assert not (await numbers(school, author, course)).revenue
    await school.settle(payment)
    [revenue] = (await numbers(school, author, course)).revenue
    assert (revenue.paid_minor, revenue.refunded_minor) == (4900, 900)


async def test_who_may_read(school: School, author: Caller) -> None:
    course = await school.course(author)
    assert (await numbers(school, await school.person("ADMIN"), course)).course_id == course.id
    other = await school.person("INSTRUCTOR")
    for course_id in (course.id, to_text(new_id())):
        await refused(NotFound, "NOT_FOUND", school.run(GetCourseAnalyticsRequest(course_id=course_id), other))


async def test_the_platform_adds_courses_up(school: School, author: Caller) -> None:
    admin = await school.person("ADMIN")

    async def overview() -> analytics_pb2.Overview:
        return await school.run(analytics_pb2.GetOverviewRequest(), admin)  # type: ignore[no-any-return]

    before = await overview()
    for _ in range(2):
        course = await school.course(author, (1,))
        student = await enter(school, course)
        await school.mark(student, lecture_ids(course)[0])
    after = await overview()
    assert after.enrollments - before.enrollments == 2
    assert after.completions - before.completions == 2
    assert after.certificates - before.certificates == 2
    assert after.days[-1].lecture_completions - before.days[-1].lecture_completions == 2
    assert sum(item.courses for item in after.courses) - sum(item.courses for item in before.courses) == 2


async def test_old_days_of_activity_are_dropped(school: School, author: Caller) -> None:
    course = await school.course(author)
    student = await enter(school, course)
    await school.mark(student, lecture_ids(course)[0])
    kept = "SELECT COUNT(*) FROM activity_days WHERE student_id = %s"
    recounts = Recounts(school.db, lambda: school.now)
    school.later(days=KEPT_DAYS)
    await recounts.forget(1000)
    assert await school.value(kept, student.user_id) == 1
    school.later(days=1)
    await recounts.forget(1000)
    assert await school.value(kept, student.user_id) == 0
