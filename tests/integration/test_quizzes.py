"""Quizzes and exams as a service on a real database: writing them, who sees what, and deleting them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.call import Caller
from core.errors import Conflict, InvalidArgument, NotAllowed, NotFound
from core.ids import new_id, to_bytes, to_text
from skillforge.v1 import courses_pb2, quizzes_pb2
from skillforge.v1.quizzes_pb2 import (
    AnswerKey,
    DeleteExamRequest,
    DeleteLectureQuizRequest,
    GetExamRequest,
    GetLectureQuizRequest,
    GetQuizRequest,
    PutExamRequest,
    PutLectureQuizRequest,
    Question,
    Quiz,
)
from tests.support.classroom import Classroom, lecture_ids, open_classroom, questions, refused


@pytest.fixture(scope="module")
async def room(database_url: str, redis_url: str) -> AsyncIterator[Classroom]:
    async with open_classroom(database_url, redis_url) as classroom:
        yield classroom


@pytest.fixture(scope="module")
async def author(room: Classroom) -> Caller:
    return await room.person("INSTRUCTOR")


@pytest.fixture(scope="module")
async def student(room: Classroom) -> Caller:
    return await room.person("STUDENT")


async def test_a_quiz_is_made_then_replaced(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    request = PutLectureQuizRequest(
        lecture_id=lecture_id, title="Q", pass_percent=50, time_limit_seconds=60, questions=questions()
    )
    quiz = await room.run(request, author)
    assert room.status == 201
    assert (quiz.kind, quiz.course_id, quiz.lecture_id, quiz.etag) == (quizzes_pb2.QUIZ_KIND_LECTURE, course.id, lecture_id, "1")
    assert [question.points for question in quiz.questions] == [1, 1, 1, 1, 1]
    assert [choice.id for choice in quiz.questions[2].choices] == ["true", "false"]
    request.max_attempts, request.shuffle = 3, True
    del request.questions[1:]
    again = await room.run(request, author)
    assert room.status == 200
    assert (again.id, again.etag, again.max_attempts, again.shuffle, len(again.questions)) == (quiz.id, "2", 3, True, 1)
    for get in (GetLectureQuizRequest(lecture_id=lecture_id), GetQuizRequest(quiz_id=quiz.id)):
        assert await room.run(get, author) == again
    versions = "SELECT COUNT(*) FROM quiz_versions WHERE quiz_id = %s"
    assert await room.value(versions, to_bytes(quiz.id)) == 2


async def test_a_course_has_one_exam(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    request = PutExamRequest(course_id=course.id, title="Exam", pass_percent=70, questions=questions())
    exams = await asyncio.gather(*(room.run(request, author) for _ in range(8)))
    assert {exam.id for exam in exams} == {exams[0].id}
    assert sorted(int(exam.etag) for exam in exams) == list(range(1, 9))
    exam = await room.run(GetExamRequest(course_id=course.id), author)
    assert (exam.kind, exam.lecture_id, exam.etag) == (quizzes_pb2.QUIZ_KIND_FINAL_EXAM, "", "8")
    assert (await room.read(course.id)).exam_id == exam.id


async def test_a_stale_quiz_is_not_written(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    put = PutLectureQuizRequest(lecture_id=lecture_id, title="Q", questions=questions())
    await refused(Conflict, "ETAG_MISMATCH", room.run(put, author, if_match='"1"'))
    await room.run(put, author)
    assert (await room.run(put, author, if_match='"1"')).etag == "2"
    for request in (put, DeleteLectureQuizRequest(lecture_id=lecture_id)):
        await refused(Conflict, "ETAG_MISMATCH", room.run(request, author, if_match='"1"'))
    assert (await room.run(GetLectureQuizRequest(lecture_id=lecture_id), author)).etag == "2"


async def test_a_wrong_quiz_is_refused_whole(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    wrong = [
        Question(prompt="?", kind=quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, answer_key=AnswerKey(choice_ids=["z"])),
        Question(prompt="?", kind=quizzes_pb2.QUESTION_KIND_NUMERIC),
    ]
    request = PutLectureQuizRequest(lecture_id=lecture_id, title="Q", questions=wrong)
    assert await refused(InvalidArgument, "QUIZ_INVALID", room.run(request, author)) == [
        "questions[0].choices min_items",
        "questions[0].answerKey.choiceIds[0] unknown",
        "questions[1].answerKey.number required",
    ]
    await refused(NotFound, "NOT_FOUND", room.run(GetLectureQuizRequest(lecture_id=lecture_id), author))


async def test_only_a_draft_may_have_an_empty_quiz(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,), publish=False)
    request = PutExamRequest(course_id=course.id, title="E")
    assert not (await room.run(request, author)).questions
    await room.run(DeleteExamRequest(course_id=course.id), author)
    await room.run(courses_pb2.PublishCourseRequest(course_id=course.id), author)
    assert await refused(InvalidArgument, "QUIZ_INVALID", room.run(request, author)) == ["questions required"]


def gets(course: courses_pb2.Course, quiz: Quiz, exam: Quiz) -> list[Any]:
    return [
        GetLectureQuizRequest(lecture_id=quiz.lecture_id),
        GetQuizRequest(quiz_id=quiz.id),
        GetExamRequest(course_id=course.id),
        GetQuizRequest(quiz_id=exam.id),
    ]


async def test_who_sees_keys(room: Classroom, author: Caller, student: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    quiz = await room.run(PutLectureQuizRequest(lecture_id=lecture_id, title="Q", questions=questions()), author)
    exam = await room.run(PutExamRequest(course_id=course.id, title="E", questions=questions()), author)
    enrolled, admin, other = await room.person(), await room.person("ADMIN"), await room.person("INSTRUCTOR")
    await room.enroll(enrolled, course.id)
    for request in gets(course, quiz, exam):
        seen = await room.run(request, enrolled)
        assert len(seen.questions) == 5
        assert not any(question.HasField("answer_key") or question.explanation for question in seen.questions)
        assert b"It is b." not in seen.SerializeToString()
        for owner in (author, admin):
            assert all(question.HasField("answer_key") for question in (await room.run(request, owner)).questions)
        for stranger in (student, other):
            await refused(NotAllowed, "NOT_ENROLLED", room.run(request, stranger))
    await room.run(courses_pb2.UnpublishCourseRequest(course_id=course.id), author)
    for request in gets(course, quiz, exam):
        assert (await room.run(request, enrolled)).questions
        await refused(NotFound, "NOT_FOUND", room.run(request, student))


async def test_a_preview_s_quiz_is_open_to_read(room: Classroom, author: Caller, student: Caller) -> None:
    course = await room.course(author, (1,))
    lecture = await room.lecture(author, course.modules[0].id, preview=True)
    quiz = await room.run(PutLectureQuizRequest(lecture_id=lecture.id, title="Q", questions=questions()), author)
    seen = await room.run(GetQuizRequest(quiz_id=quiz.id), student)
    assert not any(question.HasField("answer_key") for question in seen.questions)
    await refused(NotAllowed, "NOT_ENROLLED", room.run(quizzes_pb2.StartAttemptRequest(quiz_id=quiz.id), student))


async def test_quizzes_are_deleted_and_another_s_are_not_found(room: Classroom, author: Caller) -> None:
    course = await room.course(author, (1,))
    [lecture_id] = lecture_ids(course)
    quiz = await room.run(PutLectureQuizRequest(lecture_id=lecture_id, title="Q", questions=questions()), author)
    exam = await room.run(PutExamRequest(course_id=course.id, title="E", questions=questions()), author)
    other, unknown = await room.person("INSTRUCTOR"), to_text(new_id())
    details = set()
    for lecture, parent in ((lecture_id, course.id), (unknown, unknown)):
        for request in (
            PutLectureQuizRequest(lecture_id=lecture, title="Mine"),
            PutExamRequest(course_id=parent, title="Mine"),
            DeleteLectureQuizRequest(lecture_id=lecture),
            DeleteExamRequest(course_id=parent),
        ):
            with pytest.raises(NotFound) as caught:
                await room.run(request, other)
            details.add((type(request), caught.value.detail))
    assert len(details) == 4
    assert await room.run(GetQuizRequest(quiz_id=quiz.id), author) == quiz
    for delete in (DeleteLectureQuizRequest(lecture_id=lecture_id), DeleteExamRequest(course_id=course.id)):
        await room.run(delete, author)
        await refused(NotFound, "NOT_FOUND", room.run(delete, author))
    for get in gets(course, quiz, exam):
        await refused(NotFound, "NOT_FOUND", room.run(get, author))
    again = await room.run(PutExamRequest(course_id=course.id, title="E", questions=questions()), author)
    assert again.id != exam.id
