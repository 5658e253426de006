"""JSON answers read while they come: however they are cut, what is shown is what is there."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.assistant.engines.completions import Unusable
from core.assistant.engines.guards import FAILURES, MAX_HOLD_SECONDS, OPEN_SECONDS, Away, Breaker, RetryBudget
from core.assistant.engines.prompts import QUIZ_SCHEMA, SUMMARY_SCHEMA
from core.assistant.engines.structured import Answer, conforms

# As JSON may hold it: without lone halves of pairs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
QUESTIONS = st.fixed_dictionaries({
    "kind": st.sampled_from(["SINGLE_CHOICE", "NUMERIC"]), "prompt": TEXTS, "choices": st.lists(TEXTS, max_size=3),
    "answers": st.lists(TEXTS, max_size=2), "explanation": TEXTS, "evidence": TEXTS,
})  # fmt: skip


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def written(value: object, style: int) -> str:
    """JSON as models write it."""
    return json.dumps(value, ensure_ascii=style % 2 == 0, indent=2 if style > 1 else None)


@given(TEXTS, st.lists(TEXTS, max_size=3), st.integers(0, 3), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_text_comes_as_it_is(text: str, points: list[str], style: int, places: list[int]) -> None:
    answer = Answer("summary", SUMMARY_SCHEMA)
    pieces = cut(written({"summary": text, "keyPoints": points}, style), places)
    assert "".join(answer.more_text(piece) for piece in pieces) == text
    assert answer.whole() == {"summary": text, "keyPoints": points}


@given(st.lists(QUESTIONS, max_size=4), st.integers(0, 3), st.lists(st.integers(0, 10_000), max_size=30))
def test_items_come_one_by_one(questions: list[dict[str, Any]], style: int, places: list[int]) -> None:
    answer = Answer("questions", QUIZ_SCHEMA)
    pieces = cut(written({"questions": questions}, style), places)
    assert [item for piece in pieces for item in answer.more_items(piece)] == questions
    assert answer.whole() == {"questions": questions}


@given(st.text(alphabet='{}[]":,\\ua1 questionsmy', max_size=80), st.lists(st.integers(0, 100), max_size=10))
def test_nonsense_is_refused_and_nothing_else(text: str, places: list[int]) -> None:
    for opening in ("", '{"summary":"', '{"questions":['):
        for read in ("more_text", "more_items"):
            answer = Answer("summary" if read == "more_text" else "questions", SUMMARY_SCHEMA)
            pieces = cut(opening + text, places)
            with pytest.raises(Unusable):
                read_all(answer, read, pieces)


def read_all(answer: Answer, read: str, pieces: list[str]) -> None:
    for piece in pieces:
        list(getattr(answer, read)(piece))
    answer.whole()


@pytest.mark.parametrize(
    "value",
    [
        None, [], "text", {}, {"summary": "a"}, {"summary": "a", "keyPoints": None}, {"summary": 1, "keyPoints": []},
        {"summary": "a", "keyPoints": [1]}, {"summary": "a", "keyPoints": [], "extra": 1},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_by_the_schema(value: object) -> None:
    assert not conforms(value, SUMMARY_SCHEMA)
    assert conforms({"summary": "", "keyPoints": ["a"]}, SUMMARY_SCHEMA)
    assert not conforms(True, {"type": "integer"})
    assert not conforms("c", {"type": "string", "enum": ["a", "b"]})


def test_a_breaker_opens_lets_one_through_and_closes() -> None:
    now = 100.0
    breaker = Breaker(lambda: now)
    for _ in range(FAILURES):
        breaker.check()
        breaker.failed()
    with pytest.raises(Away) as caught:
        breaker.check()
    assert (caught.value.retry_after, caught.value.may_pass) == (OPEN_SECONDS, False)
    now += OPEN_SECONDS
    breaker.check()  # one tries
    with pytest.raises(Away):
        breaker.check()
    breaker.succeeded()
    breaker.check()
    breaker.hold(10_000)
    now += MAX_HOLD_SECONDS
    breaker.check()


def test_failures_count_only_in_a_row() -> None:
    breaker = Breaker(lambda: 0.0)
    for _ in range(FAILURES * 3):
        breaker.failed()
        breaker.succeeded()
    breaker.check()


def test_retries_are_a_part_of_what_is_asked() -> None:
    budget = RetryBudget(burst=3, part=0.5)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    budget.asked()
    budget.asked()
    assert [budget.take(), budget.take()] == [True, False]
    for _ in range(100):
        budget.asked()
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
