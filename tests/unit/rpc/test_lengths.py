"""Input rules on requests that are far too long: refused quickly, with the place."""

from __future__ import annotations

import time

import pytest
from google.protobuf.message import Message

from core.errors import InvalidArgument
from core.rpc.lengths import measure
from core.rpc.validate import MANY_ITEMS, check_rules
from skillforge.v1 import courses_pb2, progress_pb2, quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, AnswerKey, Choice, Question

ID = "00000000-0000-4000-8000-000000000000"


def refused(request: Message) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        check_rules(request)
    return [f"{item.field} {item.rule}" for item in caught.value.violations]


LONG = [
    (quizzes_pb2.SaveAnswersRequest(attempt_id=ID, answers=[Answer()] * 300_000), "answers"),
    (quizzes_pb2.PutExamRequest(course_id=ID, title="T", questions=[Question()] * 300_000), "questions"),
    (
        quizzes_pb2.PutExamRequest(course_id=ID, questions=[Question(), Question(choices=[Choice()] * 300_000)]),
        "questions[1].choices",
    ),
    (
        quizzes_pb2.PutExamRequest(course_id=ID, questions=[Question(answer_key=AnswerKey(choice_ids=[""] * 51))]),
        "questions[0].answerKey.choiceIds",
    ),
    (courses_pb2.UpdateOutlineRequest(course_id=ID, modules=[courses_pb2.ModuleOrder()] * 300_000), "modules"),
    (courses_pb2.CreateCourseRequest(title="T", tags=["x"] * 300_000), "tags"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "place"), LONG, ids=[place for _, place in LONG])
def test_a_list_too_long_is_refused_before_its_items_are_looked_at(request_: Message, place: str) -> None:
    begun = time.process_time()
    assert refused(request_) == [f"{place} repeated.max_items"]
    assert time.process_time() - begun < 1


def test_of_many_wrong_items_the_first_is_named() -> None:
    questions = [Question(choices=[Choice()] * 50)] * 500
    begun = time.process_time()
    assert len(refused(quizzes_pb2.PutExamRequest(course_id=ID, title="T", questions=questions))) == 1
    assert time.process_time() - begun < 2


def test_of_few_all_are_named() -> None:
    request = quizzes_pb2.SaveAnswersRequest(attempt_id="x", answers=[Answer(), Answer(text="x" * 5001, question_id="q")])
    assert refused(request) == ["attemptId string.uuid", "answers[0].questionId string.min_len", "answers[1].text string.max_len"]


def test_what_is_counted() -> None:
    assert measure(progress_pb2.MarkLectureRequest(lecture_id=ID)) == ([], 0)
    questions = [Question(choices=[Choice(), Choice()], answer_key=AnswerKey(choice_ids=["a"]))] * 3
    assert measure(quizzes_pb2.PutExamRequest(questions=questions)) == ([], 12)
    assert MANY_ITEMS > 500, "a list that is as long as it may be is checked whole"
