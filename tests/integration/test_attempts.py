"""Attempts as a service on a real database: starting, saving, submitting, grading, the clock, and races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from core.call import Caller
from core.errors import FailedPrecondition, InvalidArgument, NotAllowed, NotFound
from core.ids import to_bytes, to_text
from skillforge.v1 import quizzes_pb2
from skillforge.v1.courses_pb2 import Course, DeleteLectureRequest
from skillforge.v1.quizzes_pb2 import (
    Answer,
    Attempt,
    DeleteLectureQuizRequest,
    GetAttemptRequest,
    ListAttemptsRequest,
    PutExamRequest,
    PutLectureQuizRequest,
    Quiz,
    SaveAnswersRequest,
    StartAttemptRequest,
    SubmitAttemptRequest,
)
from tests.support.classroom import Classroom, lecture_ids, open_classroom, questions, refused, right_answers

OPEN, SUBMITTED = quizzes_pb2.ATTEMPT_STATUS_IN_PROGRESS, quizzes_pb2.ATTEMPT_STATUS_SUBMITTED


@pytest.fixture(scope="module")
async def room(database_url: str, redis_url: str) -> AsyncIterator[Classroom]:
    async with open_classroom(database_url, redis_url) as classroom:
        yield classroom


@pytest.fixture(scope="module")
async def author(room: Classroom) -> Caller:
    return await room.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def course(room: Classroom, author: Caller) -> Course:
    return await room.course(author, (3,))


@pytest.fixture
async def student(room: Classroom, course: Course) -> Caller:
    """Somebody new, enrolled."""
    caller = await room.person()
    await room.enroll(caller, course.id)
    return caller


async def put_quiz(room: Classroom, author: Caller, course: Course, **fields: Any) -> Quiz:
    """The quiz of the first lecture, with one question of each kind."""
    values = {"title": "Q", "pass_percent": 60, "questions": questions(), **fields}
    return await room.run(PutLectureQuizRequest(lecture_id=lecture_ids(course)[0], **values), author)  # type: ignore[no-any-return]


async def start(room: Classroom, quiz: Quiz, student: Caller) -> Attempt:
    return await room.run(StartAttemptRequest(quiz_id=quiz.id), student)  # type: ignore[no-any-return]


async def results(room: Classroom, quiz: Quiz, student: Caller) -> Any:
    sql = "SELECT best_percent, passed, attempts FROM quiz_results WHERE student_id = %s AND quiz_id = %s"
    return await room.db.fetch_one(sql, (student.user_id, to_bytes(quiz.id)))


async def test_an_attempt_from_start_to_grade(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    assert room.status == 201
    assert (attempt.number, attempt.status, attempt.course_id, attempt.student_id) == (
        1,
        OPEN,
        course.id,
        to_text(student.user_id),
    )
    assert not attempt.HasField("deadline")
    assert b"It is b." not in attempt.SerializeToString()
    assert not any(question.HasField("answer_key") for question in attempt.questions)
    assert await start(room, quiz, student) == attempt
    assert room.status == 200
    saved = await room.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()[:2]), student)
    assert list(saved.answers) == right_answers()[:2]
    assert (saved.status, len(saved.results)) == (OPEN, 0)
    assert await room.run(GetAttemptRequest(attempt_id=attempt.id), student) == saved
    half = [*right_answers()[:1], Answer(question_id="multiple", choice_ids=["a"]), Answer(question_id="text", text="x")]
    room.later(seconds=5)
    graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=half), student)
    assert (graded.status, graded.points_earned, graded.points_possible, graded.percent, graded.passed) == (
        SUBMITTED,
        1.5,
        5,
        30.0,
        False,
    )
    assert list(graded.answers) == half
    assert [(item.points_earned, item.correct) for item in graded.results] == [(1, True), (0.5, False), *[(0, False)] * 3]
    assert [question.HasField("answer_key") for question in graded.questions] == [True] * 5
    assert graded.questions[0].explanation == "It is b."
    assert graded.submit_time.ToDatetime() == room.now
    for request in (
        SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()),
        GetAttemptRequest(attempt_id=attempt.id),
    ):
        assert await room.run(request, student) == graded
    save = SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
    await refused(FailedPrecondition, "ATTEMPT_CLOSED", room.run(save, student))
    assert await results(room, quiz, student) == (30.0, 0, 1)


async def test_without_answers_the_saved_ones_count(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    await room.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()), student)
    graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id), student)
    assert (graded.percent, graded.passed) == (100.0, True)
    second = await start(room, quiz, student)
    assert (second.number, room.status) == (2, 201)
    await room.run(SubmitAttemptRequest(attempt_id=second.id), student)
    assert await results(room, quiz, student) == (100.0, 1, 2)


async def test_an_attempt_keeps_the_questions_it_started_with(
    room: Classroom, author: Caller, course: Course, student: Caller
) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    await put_quiz(room, author, course, pass_percent=100, questions=questions()[4:])
    graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()[:3]), student)
    assert (graded.points_possible, graded.percent, graded.passed) == (5, 60.0, True)
    assert len((await start(room, quiz, student)).questions) == 1


async def test_an_attempt_outlives_its_quiz(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (2,))
    student = await room.person()
    await room.enroll(student, course.id)
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    await room.run(DeleteLectureRequest(lecture_id=quiz.lecture_id), author)
    assert (await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)).passed
    await refused(NotFound, "NOT_FOUND", start(room, quiz, student))


async def test_a_shuffled_attempt_keeps_its_order(room: Classroom, author: Caller, course: Course) -> None:
    quiz = await put_quiz(room, author, course, shuffle=True)
    orders = set()
    for _ in range(6):
        student = await room.person()
        await room.enroll(student, course.id)
        attempt = await start(room, quiz, student)
        assert await start(room, quiz, student) == attempt
        orders.add(tuple(question.id for question in attempt.questions))
        graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
        assert [question.id for question in graded.questions] == [question.id for question in attempt.questions]
        assert [item.question_id for item in graded.results] == [question.id for question in attempt.questions]
        assert graded.percent == 100
    assert len(orders) > 1


async def test_answers_must_fit_the_questions(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    wrong = [Answer(question_id="none"), Answer(question_id="single", choice_ids=["z"])]
    for request in (
        SaveAnswersRequest(attempt_id=attempt.id, answers=wrong),
        SubmitAttemptRequest(attempt_id=attempt.id, answers=wrong),
    ):
        violations = await refused(InvalidArgument, "INVALID_ARGUMENT", room.run(request, student))
        assert violations == ["answers[0].questionId unknown", "answers[1].choiceIds[0] unknown"]
    assert (await room.run(GetAttemptRequest(attempt_id=attempt.id), student)).status == OPEN


# The clock


async def test_after_the_deadline_only_what_was_saved_counts(
    room: Classroom, author: Caller, course: Course, student: Caller
) -> None:
    quiz = await put_quiz(room, author, course, time_limit_seconds=60)
    attempt = await start(room, quiz, student)
    started = room.now
    room.later(seconds=61)  # within the grace
    await room.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()[:2]), student)
    room.later(seconds=2)
    save = SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
    await refused(FailedPrecondition, "ATTEMPT_OVERDUE", room.run(save, student))
    graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
    assert (graded.percent, list(graded.answers)) == (40.0, right_answers()[:2])
    assert graded.submit_time == graded.deadline
    assert (graded.deadline.ToDatetime() - started).total_seconds() == 60


async def test_an_overdue_attempt_is_graded_by_whoever_looks(
    room: Classroom, author: Caller, course: Course, student: Caller
) -> None:
    quiz = await put_quiz(room, author, course, time_limit_seconds=60, max_attempts=5)
    looks: list[Callable[[Attempt], Awaitable[Any]]] = [
        lambda attempt: room.run(GetAttemptRequest(attempt_id=attempt.id), student),
        lambda attempt: room.run(GetAttemptRequest(attempt_id=attempt.id), author),
        lambda _: room.run(ListAttemptsRequest(quiz_id=quiz.id), student),
        lambda _: room.quizzes.grade_overdue(),
    ]
    for number, look in enumerate(looks, 1):
        attempt = await start(room, quiz, student)
        await room.run(SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers()), student)
        room.later(seconds=63)
        await look(attempt)
        status = await room.value("SELECT status FROM attempts WHERE id = %s", to_bytes(attempt.id))
        assert (status, await results(room, quiz, student)) == (SUBMITTED, (100.0, 1, number))
    last = await start(room, quiz, student)
    room.later(seconds=63)
    await refused(FailedPrecondition, "ATTEMPTS_EXHAUSTED", start(room, quiz, student))  # the last one is graded all the same
    assert (await results(room, quiz, student)) == (100.0, 1, 5)
    assert (await room.run(GetAttemptRequest(attempt_id=last.id), student)).percent == 0
    assert await room.quizzes.grade_overdue() == 0


# Who may


async def test_an_attempt_is_its_student_s_own(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    other, admin, stranger = await room.person(), await room.person("ADMIN"), await room.person("INSTRUCTOR")
    await room.enroll(other, course.id)
    for request in (
        SaveAnswersRequest(attempt_id=attempt.id),
        SubmitAttemptRequest(attempt_id=attempt.id),
        GetAttemptRequest(attempt_id=attempt.id),
    ):
        for caller in (other, stranger):
            await refused(NotFound, "NOT_FOUND", room.run(request, caller))
    for caller in (author, admin):
        seen = await room.run(GetAttemptRequest(attempt_id=attempt.id), caller)
        assert seen == attempt
        await refused(NotFound, "NOT_FOUND", room.run(SubmitAttemptRequest(attempt_id=attempt.id), caller))


async def test_attempts_are_listed_newest_first(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    quiz = await put_quiz(room, author, course)
    students = [await room.person(), await room.person()]
    for number in range(6):
        student = students[number % 2]
        await room.enroll(student, course.id)
        attempt = await start(room, quiz, student)
        await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
        room.later(seconds=1)

    async def listed(who: Caller, **fields: Any) -> list[tuple[str, int]]:
        found, token = [], ""
        while True:
            page = await room.run(ListAttemptsRequest(quiz_id=quiz.id, page_size=2, page_token=token, **fields), who)
            assert all(not item.questions and not item.answers and not item.results for item in page.attempts)
            assert all(item.percent == 100 for item in page.attempts)
            found += [(item.student_id, item.number) for item in page.attempts]
            token = page.next_page_token
            if not token:
                return found

    one, two = (to_text(student.user_id) for student in students)
    assert await listed(students[0]) == [(one, 3), (one, 2), (one, 1)]
    assert await listed(students[0], student_id=one) == [(one, 3), (one, 2), (one, 1)]
    assert await listed(author) == [(two, 3), (one, 3), (two, 2), (one, 2), (two, 1), (one, 1)]
    assert await listed(await room.person("ADMIN"), student_id=two) == [(two, 3), (two, 2), (two, 1)]
    await refused(NotAllowed, "NOT_ALLOWED", listed(students[0], student_id=two))
    await refused(NotAllowed, "NOT_ENROLLED", listed(await room.person()))


async def test_the_attempts_at_a_deleted_quiz_stay_with_those_who_made_them(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    quiz = await put_quiz(room, author, course)
    students = [await room.person() for _ in range(3)]
    for student in students:
        await room.enroll(student, course.id)
    for student in students[:2]:
        attempt = await start(room, quiz, student)
        await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
        room.later(seconds=1)
    await room.run(DeleteLectureQuizRequest(lecture_id=quiz.lecture_id), author)

    async def listed(who: Caller, **fields: Any) -> list[str]:
        page = await room.run(ListAttemptsRequest(quiz_id=quiz.id, **fields), who)
        for item in page.attempts:
            assert (await room.run(GetAttemptRequest(attempt_id=item.id), who)).percent == item.percent == 100
        return [item.student_id for item in page.attempts]

    one, two, three = (to_text(student.user_id) for student in students)
    for owner in (author, await room.person("ADMIN")):
        assert await listed(owner) == [two, one]
        assert await listed(owner, student_id=one) == [one]
        assert await listed(owner, student_id=three) == []
    assert await listed(students[0]) == await listed(students[0], student_id=one) == [one]
    # To all others it is not there, as if it had never been.
    for other, fields in (
        (students[2], {}),
        (students[0], {"student_id": two}),
        (await room.person("INSTRUCTOR"), {}),
        (await room.person(), {}),
    ):
        await refused(NotFound, "NOT_FOUND", listed(other, **fields))
    unused = await put_quiz(room, author, course)
    await room.run(DeleteLectureQuizRequest(lecture_id=unused.lecture_id), author)
    await refused(NotFound, "NOT_FOUND", room.run(ListAttemptsRequest(quiz_id=unused.id), author))


async def test_only_the_enrolled_start(room: Classroom, author: Caller, course: Course) -> None:
    quiz = await put_quiz(room, author, course)
    await refused(NotAllowed, "NOT_ENROLLED", start(room, quiz, await room.person()))


async def test_the_exam_opens_when_all_lectures_are_complete(
    room: Classroom, author: Caller, student: Caller, course: Course
) -> None:
    exam = await room.run(PutExamRequest(course_id=course.id, title="E", pass_percent=50, questions=questions()), author)
    assert await refused(FailedPrecondition, "EXAM_LOCKED", start(room, exam, student)) == ["lectures incomplete"] * 3
    await room.complete(student, course)
    attempt = await start(room, exam, student)
    graded = await room.run(SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()), student)
    assert graded.passed
    sql = "SELECT complete_time FROM enrollments WHERE student_id = %s AND course_id = %s"
    assert await room.value(sql, student.user_id, to_bytes(course.id)) == room.now


# Races


async def test_twenty_starts_at_one_attempt_left(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course, max_attempts=2)
    first = await start(room, quiz, student)
    await room.run(SubmitAttemptRequest(attempt_id=first.id), student)
    attempts = await asyncio.gather(*(start(room, quiz, student) for _ in range(20)))
    assert {attempt.id for attempt in attempts} == {attempts[0].id}
    assert {attempt.number for attempt in attempts} == {2}
    await room.run(SubmitAttemptRequest(attempt_id=attempts[0].id), student)
    outcomes = await asyncio.gather(*(start(room, quiz, student) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(item, FailedPrecondition) and item.reason == "ATTEMPTS_EXHAUSTED" for item in outcomes)
    sql = "SELECT COUNT(*) FROM attempts WHERE student_id = %s AND quiz_id = %s"
    assert await room.value(sql, student.user_id, to_bytes(quiz.id)) == 2


async def test_twenty_submits_count_once(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    quiz = await put_quiz(room, author, course)
    attempt = await start(room, quiz, student)
    requests = [SubmitAttemptRequest(attempt_id=attempt.id, answers=right_answers()[: number % 6]) for number in range(20)]
    graded = await asyncio.gather(*(room.run(request, student) for request in requests))
    assert all(item == graded[0] for item in graded)
    assert await results(room, quiz, student) == (graded[0].percent, int(graded[0].passed), 1)


async def test_a_save_that_was_taken_counts(room: Classroom, author: Caller, course: Course, student: Caller) -> None:
    """However saves and the submit interleave, the graded answers are the last ones a save was confirmed for."""
    quiz = await put_quiz(room, author, course)
    for _ in range(8):
        attempt = await start(room, quiz, student)
        save = SaveAnswersRequest(attempt_id=attempt.id, answers=right_answers())
        both: tuple[Any, Any] = await asyncio.gather(
            room.run(save, student), room.run(SubmitAttemptRequest(attempt_id=attempt.id), student), return_exceptions=True
        )
        saved, graded = both
        assert isinstance(graded, Attempt)
        if isinstance(saved, Attempt):
            assert graded.percent == 100
        else:
            assert isinstance(saved, FailedPrecondition)
            assert graded.percent == 0
