"""The gradebook: its orders, its pages, who may read it, and its export."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.call import Call, Caller
from core.errors import InvalidArgument, NotFound
from core.ids import new_id, to_bytes, to_text
from core.progress import gradebook
from skillforge.v1 import progress_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import Course, DeleteLectureRequest
from skillforge.v1.progress_pb2 import ExportGradesRequest, Grade, ListGradesRequest
from tests.support.classroom import METHODS, lecture_ids, questions, refused
from tests.support.school import School, open_school

NAMES = ("ann", "Ann", "Bob", "Ångström", "李小龍", "عمر", "zoë", "")
ORDERS: dict[str, Callable[[Grade], Any]] = {
    "PROGRESS": lambda grade: grade.lectures_completed,
    "SCORE": lambda grade: grade.score_percent if grade.HasField("score_percent") else -1,
    "LAST_ACTIVITY": lambda grade: grade.last_activity_time.ToMicroseconds(),
    "ENROLL_TIME": lambda grade: grade.enroll_time.ToMicroseconds(),
}


@pytest.fixture(scope="module")
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    async with open_school(database_url, redis_url) as opened:
        yield opened


@pytest.fixture(scope="module")
async def author(school: School) -> Caller:
    return await school.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def course(school: School, author: Caller) -> Course:
    """A course of 4 lectures with a quiz and an exam, and 40 students who did this and that, some equal in everything."""
    course = await school.course(author, (2, 2))
    quiz = quizzes_pb2.PutLectureQuizRequest(lecture_id=lecture_ids(course)[0], title="Quiz", pass_percent=40)
    quiz.questions.extend(questions())
    quiz_id = (await school.run(quiz, author)).id
    exam = quizzes_pb2.PutExamRequest(course_id=course.id, title="Exam", pass_percent=40, questions=questions())
    exam_id = (await school.run(exam, author)).id
    chance = random.Random(1)
    for number in range(40):
        student = await school.person()
        await school.db.execute("UPDATE users SET display_name = %s WHERE id = %s", (NAMES[number % 8], student.user_id))
        await enter(school, student, course)
        for lecture_id in lecture_ids(course)[: chance.randrange(5)]:
            await school.mark(student, lecture_id)
        for one in (quiz_id, exam_id)[: chance.randrange(3)]:
            await record(school, student, course, one, chance.choice([0.0, 33.33, 66.67, 100.0]))
        school.later(hours=chance.choice([0, 1, 30]))
    former = await school.person()
    await enter(school, former, course)
    pair = (former.user_id, to_bytes(course.id))
    await school.db.transact(lambda tx: school.enrollments.revoke(tx, *pair, "free", pair[1], school.now))
    return await school.read(course.id, author)


async def enter(school: School, student: Caller, course: Course) -> None:
    pair = (student.user_id, to_bytes(course.id))
    await school.db.transact(lambda tx: school.enrollments.grant(tx, *pair, "free", pair[1], school.now))


async def record(school: School, student: Caller, course: Course, quiz_id: str, percent: float) -> None:
    ids = (student.user_id, to_bytes(course.id), to_bytes(quiz_id))
    await school.db.transact(lambda tx: school.progress.record_quiz_result(tx, *ids, percent, percent > 40, school.now))


async def pages(school: School, who: Caller, course: Course, size: int, order: str = "", descending: bool = False) -> list[Grade]:
    request = ListGradesRequest(course_id=course.id, page_size=size, descending=descending)
    request.order_by = progress_pb2.GradebookOrder.Value(f"GRADEBOOK_ORDER_{order or 'UNSPECIFIED'}")
    found: list[Grade] = []
    while True:
        reply = await school.run(request, who)
        assert len(reply.grades) <= size
        found += reply.grades
        request.page_token = reply.next_page_token
        if not reply.next_page_token:
            return found


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", ["", "NAME", *ORDERS])
async def test_every_order_by_pages(school: School, author: Caller, course: Course, order: str, descending: bool) -> None:
    whole = await pages(school, author, course, 100, order, descending)
    assert len({grade.student_id for grade in whole}) == len(whole) == 40
    for size in (1, 7, 20):
        assert await pages(school, author, course, size, order, descending) == whole
    if order in ORDERS:
        keys = [(ORDERS[order](grade), to_bytes(grade.student_id)) for grade in whole]
        assert keys == sorted(keys, reverse=descending)
    else:
        names = [grade.display_name for grade in whole]
        assert sorted(names) == sorted(name for name in NAMES for _ in range(5))
        folded = [name.casefold() for name in names if name.isascii()]
        assert folded == sorted(folded, reverse=descending)


async def test_a_line_says_what_progress_says(school: School, author: Caller, course: Course) -> None:
    for grade in (await pages(school, author, course, 100))[:10]:
        request = progress_pb2.GetCourseProgressRequest(course_id=course.id, student_id=grade.student_id)
        progress = await school.run(request, author)
        shown = (grade.percent, grade.lectures_completed, grade.lectures_total, grade.exam_passed)
        assert shown == (progress.percent, progress.lectures_completed, progress.lectures_total, progress.exam.passed)
        assert grade.HasField("exam_best_percent") == bool(progress.exam.attempts)
        assert grade.exam_best_percent == progress.exam.best_percent
        assert grade.quiz_average_percent == progress.quizzes[0].best_percent
        tried = [item.best_percent for item in (*progress.quizzes, progress.exam) if item.attempts]
        assert grade.HasField("score_percent") == bool(tried)
        assert grade.score_percent == (round(sum(tried) / len(tried), 2) if tried else 0)
        assert grade.last_activity_time == progress.last_activity_time
        assert grade.email.endswith("@example.com")


async def test_who_may_read_it(school: School, author: Caller, course: Course) -> None:
    assert len(await pages(school, await school.person("ADMIN"), course, 100)) == 40
    other = await school.person("INSTRUCTOR")
    for course_id in (course.id, to_text(new_id())):
        await refused(NotFound, "NOT_FOUND", school.run(ListGradesRequest(course_id=course_id), other))
        with pytest.raises(NotFound):
            await export(school, other, ExportGradesRequest(course_id=course_id))


async def test_a_token_belongs_to_its_order(school: School, author: Caller, course: Course) -> None:
    token = (await school.run(ListGradesRequest(course_id=course.id, page_size=3), author)).next_page_token
    for changes in ({"descending": True}, {"order_by": 2}):
        request = ListGradesRequest(course_id=course.id, page_token=token, **changes)
        await refused(InvalidArgument, "PAGE_TOKEN_INVALID", school.run(request, author))


async def test_a_new_name_is_found_where_it_belongs(school: School, author: Caller, course: Course) -> None:
    last = (await pages(school, author, course, 100, "NAME"))[-1]
    await school.db.execute("UPDATE users SET display_name = '!first' WHERE id = %s", (to_bytes(last.student_id),))
    try:
        names = [grade.display_name for grade in await pages(school, author, course, 100, "NAME")]
        assert "!first" in names[:6]
    finally:
        sql = "UPDATE users SET display_name = %s WHERE id = %s"
        await school.db.execute(sql, (last.display_name, to_bytes(last.student_id)))


async def test_until_a_recount_is_done_the_truth_is_read(school: School, author: Caller) -> None:
    course = await school.course(author, (3,))
    student = await school.person()
    await enter(school, student, course)
    for lecture_id in lecture_ids(course):
        await school.mark(student, lecture_id)
    await school.run(DeleteLectureRequest(lecture_id=lecture_ids(course)[0]), author)
    [grade] = await pages(school, author, course, 10)
    assert (grade.percent, grade.lectures_completed, grade.lectures_total) == (100, 2, 2)
    assert await school.value("SELECT lectures_completed FROM enrollments WHERE course_id = %s", to_bytes(course.id)) == 3


async def test_a_deletion_between_two_statements_shows_in_none(
    school: School, author: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a page reads first, a lecture deleted right behind it makes no percentage above 100."""
    for wait in range(3):
        course = await school.course(author, (3,))
        student = await school.person()
        await enter(school, student, course)
        for lecture_id in lecture_ids(course):
            await school.mark(student, lecture_id)
        request = progress_pb2.ListGradesRequest(course_id=course.id)
        await school.run(request, author)  # its outline is known from now on
        fetch, left = school.db._run, wait

        async def run(sql: str, params: Any, course: Course = course, fetch: Any = fetch) -> Any:
            nonlocal left
            found = await fetch(sql, params)
            left -= 1
            if left == -1:
                monkeypatch.undo()
                await school.run(DeleteLectureRequest(lecture_id=lecture_ids(course)[0]), author)
            return found

        monkeypatch.setattr(school.db, "_run", run)
        [grade] = (await school.run(request, author)).grades
        monkeypatch.undo()
        assert (grade.percent, grade.lectures_completed, grade.lectures_total) in ((100, 3, 3), (100, 2, 2))


async def export(school: School, who: Caller, request: ExportGradesRequest) -> list[list[str]]:
    deadline = asyncio.get_running_loop().time() + 10
    call = Call(METHODS["ExportGrades"], {}, "test", "127.0.0.1", school.now, deadline, caller=who)
    pieces = [piece.data async for piece in school.progress.export_grades(call, request)]
    return list(csv.reader(io.StringIO(b"".join(pieces).decode(), newline=""), strict=True))


async def test_the_export_holds_every_student_once(
    school: School, author: Caller, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradebook, "EXPORT_ROWS", 7)
    header, *lines = await export(
        school, author, ExportGradesRequest(course_id=course.id, order_by=progress_pb2.GRADEBOOK_ORDER_SCORE, descending=True)
    )
    grades = await pages(school, author, course, 100, "SCORE", True)
    assert header[:4] == ["studentId", "displayName", "email", "percent"]
    assert [line[0] for line in lines] == [grade.student_id for grade in grades]
    for line, grade in zip(lines, grades, strict=True):
        assert line[header.index("percent")] == str(grade.percent)
        assert line[header.index("scorePercent")] == (str(grade.score_percent) if grade.HasField("score_percent") else "")
        assert line[header.index("enrollTime")].endswith("Z")


async def test_a_student_s_name_is_no_formula(school: School, author: Caller) -> None:
    course, student = await school.course(author), await school.person()
    await school.db.execute("UPDATE users SET display_name = '=1+1' WHERE id = %s", (student.user_id,))
    await enter(school, student, course)
    _, line = await export(school, author, ExportGradesRequest(course_id=course.id))
    assert line[1] == "'=1+1"
