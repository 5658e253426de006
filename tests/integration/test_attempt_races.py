"""Attempts while others are at work: several devices, the deadline, the sweep of several processes, and the author."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from core.call import Caller
from core.errors import FailedPrecondition, NotFound
from core.ids import to_bytes
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.courses_pb2 import Course
from skillforge.v1.quizzes_pb2 import (
    Answer,
    Attempt,
    DeleteLectureQuizRequest,
    GetAttemptRequest,
    PutLectureQuizRequest,
    Quiz,
    SaveAnswersRequest,
    StartAttemptRequest,
    SubmitAttemptRequest,
)
from tests.support.classroom import lecture_ids, questions, refused, right_answers
from tests.support.school import School, open_school

SUBMITTED = quizzes_pb2.ATTEMPT_STATUS_SUBMITTED


@pytest.fixture(scope="module")
async def school(database_url: str, redis_url: str) -> AsyncIterator[School]:
    async with open_school(database_url, redis_url) as opened:
        yield opened


@pytest.fixture(scope="module")
async def author(school: School) -> Caller:
    return await school.person("INSTRUCTOR")


@pytest.fixture
async def course(school: School, author: Caller) -> Course:
    return await school.course(author, (2,))


@pytest.fixture
async def student(school: School, course: Course) -> Caller:
    caller = await school.person()
    await school.enroll(caller, course.id)
    return caller


async def put_quiz(school: School, author: Caller, course: Course, **fields: Any) -> Quiz:
    values = {"title": "Q", "pass_percent": 60, "questions": questions(), **fields}
    return await school.run(  # type: ignore[no-any-return]
        PutLectureQuizRequest(lecture_id=lecture_ids(course)[0], **values), author
    )


async def start(school: School, quiz: Quiz, student: Caller) -> Attempt:
    return await school.run(StartAttemptRequest(quiz_id=quiz.id), student)  # type: ignore[no-any-return]


def sheet(mark: str) -> list[Answer]:
    """A whole sheet of answers, every one of which tells whose it is."""
    return [Answer(question_id="text", text=mark), Answer(question_id="number", number=float(len(mark)))]


async def test_of_two_devices_one_sheet_counts_whole(school: School, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(school, author, course)
    attempt = await start(school, quiz, student)
    sheets = [sheet("x" * size) for size in range(1, 21)]
    saves = [SaveAnswersRequest(attempt_id=attempt.id, answers=item) for item in sheets]
    saved = await asyncio.gather(*(school.run(save, student) for save in saves))
    assert [list(item.answers) for item in saved] == sheets, "each device sees what it saved"
    kept = await start(school, quiz, student)
    assert list(kept.answers) in sheets, "no mixture of two sheets"
    await school.run(saves[3], student)
    graded = await school.run(SubmitAttemptRequest(attempt_id=attempt.id), student)
    assert list(graded.answers) == sheets[3], "the last one saved"


async def test_a_submit_races_the_deadline(school: School, author: Caller, course: Course, student: Caller) -> None:
    """Whatever the order, one grade: by the answers given in time, or by those saved."""
    quiz = await put_quiz(school, author, course, time_limit_seconds=60)
    for lateness, percent in ((-1, 100), (0, 100), (1.9, 100), (2.1, 40), (60, 40)):
        attempt = await start(school, quiz, student)
        await school.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()[:2]), student)
        school.later(seconds=60 + lateness)
        submit = SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers())
        await asyncio.gather(
            *(school.run(submit, student) for _ in range(3)),
            *(school.quizzes.grade_overdue() for _ in range(3)),
            *(school.run(GetAttemptRequest(attempt_id=attempt.id), who) for who in (student, author)),
        )
        graded = await school.run(GetAttemptRequest(attempt_id=attempt.id), student)
        assert (graded.status, graded.percent) == (SUBMITTED, percent), lateness
        assert graded.submit_time.ToDatetime() <= graded.deadline.ToDatetime()
        save = SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
        await refused(FailedPrecondition, "ATTEMPT_CLOSED", school.run(save, student))
    sql = "SELECT attempts FROM quiz_results WHERE student_id = %s AND quiz_id = %s"
    assert await school.value(sql, student.user_id, to_bytes(quiz.id)) == 5


async def test_sweeps_of_many_processes_grade_each_once(
    school: School, author: Caller, course: Course, database_url: str, redis_url: str
) -> None:
    quiz = await put_quiz(school, author, course, time_limit_seconds=60)
    students = [await school.person() for _ in range(12)]
    for student in students:
        await school.enroll(student, course.id)
        attempt = await start(school, quiz, student)
        await school.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()), student)
    school.later(seconds=63)
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(open_school(database_url, redis_url)) for _ in range(3)]
        for other in others:
            other.now = school.now
        await asyncio.gather(*(each.quizzes.grade_overdue() for each in (school, *others) for _ in range(2)))
    found = await school.db.fetch_all("SELECT best_percent, attempts FROM quiz_results WHERE quiz_id = %s", (to_bytes(quiz.id),))
    assert list(found) == [(100.0, 1)] * 12
    assert await school.quizzes.grade_overdue() == 0


async def test_one_that_cannot_be_graded_keeps_no_other(
    school: School, author: Caller, course: Course, student: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    quiz = await put_quiz(school, author, course, time_limit_seconds=60)
    broken, good = await start(school, quiz, await enrolled(school, course)), await start(school, quiz, student)
    await school.db.execute("UPDATE attempts SET answers = x'ff' WHERE id = %s", (to_bytes(broken.id),))
    school.later(seconds=63)
    assert await school.quizzes.grade_overdue() == 2
    assert (await school.run(GetAttemptRequest(attempt_id=good.id), student)).status == SUBMITTED
    assert broken.id in caplog.text
    await school.db.execute("UPDATE attempts SET answers = '' WHERE id = %s", (to_bytes(broken.id),))
    assert await school.quizzes.grade_overdue() == 1


async def enrolled(school: School, course: Course) -> Caller:
    caller = await school.person()
    await school.enroll(caller, course.id)
    return caller


async def test_a_start_races_an_edit(school: School, author: Caller, course: Course) -> None:
    """Each attempt is one version of the quiz, whole, and is graded by that version's key and pass mark."""
    quiz = await put_quiz(school, author, course)
    for round_number in range(6):
        key = f"answer {round_number}"
        question = quizzes_pb2.Question(id="text", prompt=key, kind=quizzes_pb2.QUESTION_KIND_SHORT_TEXT)
        question.answer_key.accepted_texts.append(key)
        put = put_quiz(school, author, course, title=key, questions=[question], pass_percent=round_number)
        students = [await enrolled(school, course) for _ in range(4)]
        starts = asyncio.gather(*(start(school, quiz, student) for student in students))
        _, attempts = await asyncio.gather(put, starts)
        for student, attempt in zip(students, attempts, strict=True):
            shown = attempt.questions[0]
            answers = right_answers() if len(attempt.questions) == 5 else [Answer(question_id="text", text=shown.prompt)]
            graded = await school.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=answers), student)
            assert (graded.percent, graded.passed, graded.questions[0].prompt) == (100, True, shown.prompt)


async def test_an_open_attempt_at_a_deleted_quiz_goes_on(school: School, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(school, author, course)
    attempt = await start(school, quiz, student)
    saved = await school.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()), student)
    await school.run(DeleteLectureQuizRequest(lecture_id=quiz.lecture_id), author)
    assert await start(school, quiz, student) == saved, "another device finds it"
    assert school.status == 200
    await refused(NotFound, "NOT_FOUND", start(school, quiz, await enrolled(school, course)))
    graded = await school.run(SubmitAttemptRequest(attempt_id=attempt.id), student)
    assert graded.percent == 100
    await refused(NotFound, "NOT_FOUND", start(school, quiz, student))


async def test_deleting_races_submitting(school: School, author: Caller) -> None:
    """The attempt is graded, whatever disappears around it; the course stays as complete as it was."""
    for number in range(6):
        course = await school.course_with_exam(author, (1, 1))
        student = await enrolled(school, course)
        await school.mark_all(student, course)
        quiz = await put_quiz(school, author, course)
        attempt = await start(school, quiz, student)
        exam = await school.run(StartAttemptRequest(quiz_id=course.exam_id), student)
        removals: list[Any] = [
            courses_pb2.DeleteModuleRequest(module_id=course.modules[0].id),
            courses_pb2.DeleteLectureRequest(lecture_id=quiz.lecture_id),
            DeleteLectureQuizRequest(lecture_id=quiz.lecture_id),
        ]
        graded, last, *_ = await asyncio.gather(
            school.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student),
            school.run(SubmitAttemptRequest(attempt_id=exam.id, answers=right_answers()), student),
            school.run(quizzes_pb2.DeleteExamRequest(course_id=course.id), author),
            school.run(removals[number % 3], author),
        )
        assert graded.passed
        assert last.passed
