"""Grading, checking answers, shuffling, and what a student may see."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.quizzes import rules
from core.quizzes.questions import check_questions, filled
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, AnswerKey, Choice, Question

SINGLE = quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE
MULTIPLE = quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE
TRUE_FALSE = quizzes_pb2.QUESTION_KIND_TRUE_FALSE
SHORT_TEXT = quizzes_pb2.QUESTION_KIND_SHORT_TEXT
NUMERIC = quizzes_pb2.QUESTION_KIND_NUMERIC
CHOICE_KINDS = {SINGLE, MULTIPLE, TRUE_FALSE}


def earned(key: AnswerKey, kind: quizzes_pb2.QuestionKind.ValueType, points: int = 1, **answer: Any) -> float:
    question = Question(id="q", kind=kind, points=points, answer_key=key)
    return rules.grade([question], [Answer(question_id="q", **answer)], 50).points_earned


@pytest.mark.parametrize(
    ("picked", "expected"),
    [([], 0), (["a"], 2), (["a", "b"], 4), (["a", "x"], 0), (["a", "b", "x"], 2), (["x", "y"], 0), (["a", "b", "x", "y"], 0)],
)
def test_a_wrong_pick_takes_a_right_one_away(picked: list[str], expected: float) -> None:
    assert earned(AnswerKey(choice_ids=["a", "b"]), MULTIPLE, 4, choice_ids=picked) == expected


@pytest.mark.parametrize(("picked", "expected"), [([], 0), (["a"], 1), (["b"], 0), (["a", "b"], 0)])
def test_a_single_choice_is_all_or_nothing(picked: list[str], expected: float) -> None:
    assert earned(AnswerKey(choice_ids=["a"]), SINGLE, choice_ids=picked) == expected


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Straße", True),
        ("STRASSE", True),
        ("  straße ", True),
        ("ｓｔｒａｓｓｅ", True),
        ("stra ße", False),
        ("", False),
        ("New   York", True),
        ("new\u00a0york", True),
        ("NewYork", False),
    ],
)
def test_texts_are_compared_without_case_width_and_space(text: str, right: bool) -> None:
    assert earned(AnswerKey(accepted_texts=["straße", " New York"]), SHORT_TEXT, text=text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("don't stop", True),
        ("don\u2019t stop", True),
        ("don\u2018t\u200b stop\ufeff", True),
        ("do\u00adn't stop", True),
        ("d\u043en't stop", False),  # a Cyrillic o
        ("dont stop", False),
        ("don't-stop", False),
    ],
)
def test_what_a_keyboard_puts_in_does_not_count(text: str, right: bool) -> None:
    assert earned(AnswerKey(accepted_texts=["don\u02bct stop"]), SHORT_TEXT, text=text) == right
    assert earned(AnswerKey(accepted_texts=["\u22125"]), SHORT_TEXT, text="-5") == 1


@pytest.mark.parametrize(
    ("number", "tolerance", "answer", "right"),
    [
        (0.3, 0, 0.1 + 0.2, True),
        (0.3, 0, 0.3001, False),
        (10, 0.5, 10.5, True),
        (10, 0.5, 9.5, True),
        (10, 0.5, 10.51, False),
        (0, 0, 0, True),
        (0, 0, 1e-300, False),
        (1e9, 0, 1e9 + 1, False),
        (1e308, 0, -1e308, False),
        (0.1, 0.2, 0.3, True),
        (1e100, 1e100, 2e100, True),
        (-1e100, 0, 1.7e308, False),
        (0, 1e100, -1e308, False),
        (5e-324, 0, 5e-324, True),
    ],
)
def test_numbers_are_right_within_the_tolerance(number: float, tolerance: float, answer: float, right: bool) -> None:
    assert earned(AnswerKey(number=number, tolerance=tolerance), NUMERIC, number=answer) == right


def test_no_number_is_not_zero() -> None:
    assert earned(AnswerKey(number=0), NUMERIC) == 0


def test_passing_is_decided_before_rounding() -> None:
    questions = [
        Question(id="a", kind=NUMERIC, points=13_999, answer_key=AnswerKey(number=1)),
        Question(id="b", kind=NUMERIC, points=6_001, answer_key=AnswerKey(number=1)),
    ]
    result = rules.grade(questions, [Answer(question_id="a", number=1)], 70)
    assert (result.percent, result.passed) == (70.0, False)  # 69.995 %
    third = [Question(id=str(n), kind=NUMERIC, points=1, answer_key=AnswerKey(number=1)) for n in range(3)]
    result = rules.grade(third, [Answer(question_id="0", number=1), Answer(question_id="1", number=1)], 66)
    assert (result.percent, result.passed) == (66.67, True)


def test_nothing_to_earn_passes_nothing() -> None:
    result = rules.grade([], [], 1)
    assert (result.percent, result.passed, result.points_possible) == (0, False, 0)


ids = st.text("abcdefgh0123", min_size=1, max_size=4)


@st.composite
def questions_of_a_quiz(draw: st.DrawFn) -> list[Question]:
    found = []
    for question_id in draw(st.lists(ids, unique=True, min_size=1, max_size=8)):
        kind = draw(st.sampled_from(sorted(CHOICE_KINDS | {SHORT_TEXT, NUMERIC})))
        question = Question(id=question_id, prompt="?", explanation="secret", kind=kind, points=draw(st.integers(0, 9)))
        if kind == TRUE_FALSE:
            question.answer_key.choice_ids.append(draw(st.sampled_from(["true", "false"])))
        elif kind in CHOICE_KINDS:
            choices = draw(st.lists(ids, unique=True, min_size=2, max_size=6))
            question.choices.extend(Choice(id=choice, text=choice) for choice in choices)
            most = 1 if kind == SINGLE else len(choices)
            right = draw(st.lists(st.sampled_from(choices), unique=True, min_size=1, max_size=most))
            question.answer_key.choice_ids.extend(right)
        elif kind == SHORT_TEXT:
            question.answer_key.accepted_texts.extend(draw(st.lists(ids, min_size=1, max_size=3)))
        else:
            question.answer_key.number = draw(st.floats(allow_nan=False, allow_infinity=False))
            question.answer_key.tolerance = draw(st.floats(0, 1e6))
        found.append(question)
    assert check_questions(found) == []
    return filled(found, lambda: "unused")


def right_answer(question: Question) -> Answer:
    key = question.answer_key
    answer = Answer(question_id=question.id, choice_ids=key.choice_ids, text=(list(key.accepted_texts) or [""])[0].upper())
    if key.HasField("number"):
        answer.number = key.number
    return answer


@st.composite
def answered(draw: st.DrawFn) -> tuple[list[Question], list[Answer]]:
    questions = draw(questions_of_a_quiz())
    answers = []
    for question in draw(st.lists(st.sampled_from(questions), unique_by=lambda item: item.id)):
        known = [choice.id for choice in question.choices]
        most = len(known) if question.kind == MULTIPLE else 1
        picked = draw(st.lists(st.sampled_from(known), unique=True, max_size=most)) if known else []
        answer = Answer(question_id=question.id, choice_ids=picked, text=draw(ids))
        if draw(st.booleans()):
            answer.number = draw(st.floats(allow_nan=False, allow_infinity=False))
        answers.append(draw(st.sampled_from([answer, right_answer(question)])))
    return questions, answers


@given(questions_of_a_quiz(), st.integers(0, 100))
def test_all_right_is_a_hundred_percent(questions: list[Question], pass_percent: int) -> None:
    result = rules.grade(questions, map(right_answer, questions), pass_percent)
    assert (result.percent, result.passed) == (100.0, True)
    assert all(item.correct for item in result.results)
    assert result.points_earned == result.points_possible == sum(item.points for item in questions)


@given(answered(), st.integers(0, 100))
def test_percent_is_within_its_bounds(quiz: tuple[list[Question], list[Answer]], pass_percent: int) -> None:
    questions, answers = quiz
    assert rules.check_answers(questions, answers) == []
    result = rules.grade(questions, answers, pass_percent)
    assert 0 <= result.percent <= 100
    assert round(result.percent, 2) == result.percent
    assert 0 <= result.points_earned <= result.points_possible
    assert [item.question_id for item in result.results] == [item.id for item in questions]


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 7), st.integers(0, 7)), min_size=1, max_size=40), st.integers(0, 100)
)
def test_scores_that_divide_badly(parts: list[tuple[int, int, int]], pass_percent: int) -> None:
    """Each question has points, so many right choices, of which some are picked. Counted here in whole numbers alone."""
    whole = 420  # divisible by every number of choices
    questions, answers, earned_parts = [], [], 0
    for number, (points, right, picked) in enumerate(parts):
        ids = [str(choice) for choice in range(right)]
        questions.append(Question(id=str(number), kind=MULTIPLE, points=points, answer_key=AnswerKey(choice_ids=ids)))
        answers.append(Answer(question_id=str(number), choice_ids=ids[:picked]))
        earned_parts += points * (whole // right) * min(picked, right)
    possible = sum(points for points, _, _ in parts)
    result = rules.grade(questions, answers, pass_percent)
    assert result.passed == (100 * earned_parts >= pass_percent * possible * whole)
    assert 0 <= result.percent <= 100
    assert round(result.percent * 100) == (2 * 10_000 * earned_parts + possible * whole) // (2 * possible * whole)
    assert f"{result.percent:.2f}" == f"{round(result.percent, 2):.2f}" == f"{round(result.percent * 100) / 100:.2f}"
    assert (result.percent == 100) >= (earned_parts == possible * whole)
    assert abs(sum(item.points_earned for item in result.results) - result.points_earned) < 1e-6


@given(answered(), st.randoms(use_true_random=False), st.integers(1, 2**62))
def test_no_order_changes_a_grade(quiz: tuple[list[Question], list[Answer]], chance: random.Random, seed: int) -> None:
    questions, answers = quiz
    before = rules.grade(questions, answers, 50)
    chance.shuffle(answers)
    for answer in answers:
        picks = list(answer.choice_ids)
        chance.shuffle(picks)
        answer.choice_ids[:] = picks
    after = rules.grade(rules.shuffled(questions, seed), answers, 50)
    assert (after.points_earned, after.percent, after.passed) == (before.points_earned, before.percent, before.passed)
    assert {item.question_id: item for item in after.results} == {item.question_id: item for item in before.results}


@given(questions_of_a_quiz(), st.integers(0, 2**62))
def test_a_shuffle_is_a_permutation_and_stays(questions: list[Question], seed: int) -> None:
    before = [item.SerializeToString() for item in questions]
    once, twice = rules.shuffled(questions, seed), rules.shuffled(reversed(questions) if seed else questions, seed)
    assert once == twice
    assert sorted(item.id for item in once) == sorted(item.id for item in questions)
    assert [item.SerializeToString() for item in questions] == before
    by_id = {item.id: item for item in questions}
    for item in once:
        if item.kind == TRUE_FALSE or not seed:
            assert item == by_id[item.id]
        assert sorted(choice.id for choice in item.choices) == sorted(choice.id for choice in by_id[item.id].choices)
    if not seed:
        assert once == questions


def test_seeds_differ() -> None:
    questions = [Question(id=str(number), kind=NUMERIC) for number in range(20)]
    assert len({tuple(item.id for item in rules.shuffled(questions, seed)) for seed in range(20)}) == 20


@given(questions_of_a_quiz())
def test_a_stripped_question_gives_nothing_away(questions: list[Question]) -> None:
    for item, original in zip(rules.stripped(questions), questions, strict=True):
        assert not item.HasField("answer_key")
        assert item.explanation == ""
        assert b"secret" not in item.SerializeToString()
        assert (item.id, item.prompt, item.kind, item.points) == (original.id, "?", original.kind, original.points)
        assert original.HasField("answer_key")


def test_answers_that_fit_no_question_are_listed() -> None:
    choices = [Choice(id="a", text="A"), Choice(id="b", text="B")]
    questions = [Question(id="s", kind=SINGLE, choices=choices), Question(id="t", kind=SHORT_TEXT)]
    answers = [
        Answer(question_id="x"),
        Answer(question_id="s", choice_ids=["a", "z"]),
        Answer(question_id="s", choice_ids=["a", "a"]),
        Answer(question_id="t", choice_ids=["a"]),
    ]
    assert [f"{item.field} {item.rule}" for item in rules.check_answers(questions, answers)] == [
        "answers[0].questionId unknown",
        "answers[1].choiceIds[1] unknown",
        "answers[1].choiceIds single",
        "answers[2].questionId repeated",
        "answers[2].choiceIds repeated",
        "answers[2].choiceIds single",
        "answers[3].choiceIds[0] unknown",
    ]
    long = Answer(question_id="t", text="x" * rules.MAX_ANSWERS_BYTES)
    assert [item.rule for item in rules.check_answers(questions, [long])] == ["size"]
