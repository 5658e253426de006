"""What makes a question valid, and what the server adds to it."""

from __future__ import annotations

from itertools import count

import pytest

from core.quizzes.questions import MAX_BYTES, check_questions, filled
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import AnswerKey, Choice, Question

SINGLE = quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE
MULTIPLE = quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE
TRUE_FALSE = quizzes_pb2.QUESTION_KIND_TRUE_FALSE
SHORT_TEXT = quizzes_pb2.QUESTION_KIND_SHORT_TEXT
NUMERIC = quizzes_pb2.QUESTION_KIND_NUMERIC

TWO = [Choice(id="a", text="A"), Choice(id="b", text="B")]

GOOD = [
    Question(prompt="?", kind=SINGLE, choices=TWO, answer_key=AnswerKey(choice_ids=["a"])),
    Question(prompt="?", kind=SINGLE, choices=[*TWO, Choice(text="C")], answer_key=AnswerKey(choice_ids=["a"])),
    Question(prompt="?", kind=MULTIPLE, choices=TWO, answer_key=AnswerKey(choice_ids=["a"])),
    Question(prompt="?", kind=MULTIPLE, choices=TWO, answer_key=AnswerKey(choice_ids=["a", "b"])),
    Question(prompt="?", kind=TRUE_FALSE, answer_key=AnswerKey(choice_ids=["true"])),
    Question(
        prompt="?",
        kind=TRUE_FALSE,
        choices=[Choice(id="false", text="No"), Choice(id="true", text="Yes")],
        answer_key=AnswerKey(choice_ids=["false"]),
    ),
    Question(prompt="?", kind=SHORT_TEXT, answer_key=AnswerKey(accepted_texts=["x"])),
    Question(prompt="?", kind=NUMERIC, answer_key=AnswerKey(number=0)),
    Question(prompt="?", kind=NUMERIC, answer_key=AnswerKey(number=1.5, tolerance=0.1)),
]


@pytest.mark.parametrize("question", GOOD)
def test_a_valid_question(question: Question) -> None:
    assert check_questions([question]) == []


def test_no_questions_are_valid() -> None:
    assert check_questions([]) == []


KEY = "questions[0].answerKey"
BAD = [
    (Question(kind=SINGLE), ["questions[0].choices min_items", f"{KEY}.choiceIds required"]),
    (
        Question(kind=SINGLE, choices=TWO[:1], answer_key=AnswerKey(choice_ids=["a"])),
        ["questions[0].choices min_items"],
    ),
    (
        Question(kind=SINGLE, choices=[TWO[0], TWO[0]], answer_key=AnswerKey(choice_ids=["a"])),
        ["questions[0].choices repeated"],
    ),
    (Question(kind=SINGLE, choices=TWO, answer_key=AnswerKey(choice_ids=["a", "b"])), [f"{KEY}.choiceIds single"]),
    (Question(kind=SINGLE, choices=TWO, answer_key=AnswerKey(choice_ids=["x"])), [f"{KEY}.choiceIds[0] unknown"]),
    (Question(kind=SINGLE, choices=TWO, answer_key=AnswerKey(choice_ids=[""])), [f"{KEY}.choiceIds[0] unknown"]),
    (Question(kind=MULTIPLE, choices=TWO, answer_key=AnswerKey(choice_ids=["a", "a"])), [f"{KEY}.choiceIds repeated"]),
    (Question(kind=MULTIPLE, choices=TWO), [f"{KEY}.choiceIds required"]),
    (
        Question(kind=TRUE_FALSE, choices=TWO, answer_key=AnswerKey(choice_ids=["true"])),
        ["questions[0].choices true_false"],
    ),
    (Question(kind=TRUE_FALSE, answer_key=AnswerKey(choice_ids=["a"])), [f"{KEY}.choiceIds[0] unknown"]),
    (Question(kind=TRUE_FALSE, answer_key=AnswerKey(choice_ids=["true", "false"])), [f"{KEY}.choiceIds single"]),
    (
        Question(kind=SHORT_TEXT, choices=TWO, answer_key=AnswerKey(choice_ids=["a"])),
        ["questions[0].choices kind", f"{KEY}.choiceIds kind", f"{KEY}.acceptedTexts required"],
    ),
    (Question(kind=SHORT_TEXT, answer_key=AnswerKey(accepted_texts=["x", "\u3000\u200b"])), [f"{KEY}.acceptedTexts[1] blank"]),
    (Question(kind=NUMERIC), [f"{KEY}.number required"]),
    (
        Question(kind=SHORT_TEXT, answer_key=AnswerKey(accepted_texts=["x"], number=1, tolerance=1)),
        [f"{KEY}.number kind", f"{KEY}.tolerance kind"],
    ),
]


@pytest.mark.parametrize(("question", "expected"), BAD)
def test_everything_wrong_is_said_with_its_place(question: Question, expected: list[str]) -> None:
    assert [f"{item.field} {item.rule}" for item in check_questions([question])] == expected


def test_question_ids_are_their_own() -> None:
    pair = [Question(id="q", kind=NUMERIC, answer_key=AnswerKey(number=1))] * 2
    assert [item.field for item in check_questions(pair)] == ["questions[1].id"]
    without = [Question(kind=NUMERIC, answer_key=AnswerKey(number=1))] * 2
    assert check_questions(without) == []


def test_the_whole_has_a_size() -> None:
    long = Question(prompt="x" * (MAX_BYTES // 2), kind=NUMERIC, answer_key=AnswerKey(number=1))
    assert check_questions([long]) == []
    assert [item.rule for item in check_questions([long, long])] == ["size"]


def test_what_is_left_out_is_filled_in() -> None:
    numbers = count()
    given = [GOOD[1], GOOD[4], Question(id="mine", kind=NUMERIC, points=7, answer_key=AnswerKey(number=1))]
    first, second, third = filled(given, lambda: f"new{next(numbers)}")
    assert (first.id, [choice.id for choice in first.choices]) == ("new0", ["a", "b", "new1"])
    assert [(choice.id, choice.text) for choice in second.choices] == [("true", "True"), ("false", "False")]
    assert [question.points for question in (first, second, third)] == [1, 1, 7]
    assert third.id == "mine"
    assert GOOD[1].id == ""
    assert check_questions([first, second, third]) == []
