"""Whether what an engine wrote may be shown."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.assistant import rules
from core.assistant.engines import Part, SummaryTask, Task
from core.assistant.extractive.words import count
from core.quizzes.questions import check_questions
from skillforge.v1 import quizzes_pb2
from skillforge.v1.assistant_pb2 import DraftedQuestion
from skillforge.v1.quizzes_pb2 import AnswerKey, Choice, Question

TEXT = """Yeast makes **carbon dioxide**, which lifts
the dough. It sleeps at 4 °C.

先找**北斗七星**，
再找北极星。

| Place | Food |
|---|---|
| door | tea |
"""
SOURCE = rules.Source(TEXT)


@pytest.mark.parametrize(
    "sentence",
    ["Yeast makes carbon dioxide, which lifts the dough.", "yeast makes **carbon dioxide**,   which lifts\nthe dough",
     "carbon dioxide, which lifts", "It sleeps at 4 °C.", "先找北斗七星，再找北极星。", "door | tea", "door tea",
     "Yeast makes “carbon dioxide”, which lifts the dough.".replace("“", "").replace("”", "")],
)  # fmt: skip
def test_a_sentence_of_the_text(sentence: str) -> None:
    assert SOURCE.holds(sentence)


@pytest.mark.parametrize(
    "sentence", ["", "yeast", "the", "tea", "Yeast makes acid.", "door | coffee", "北极", " ", "**", "a" * 2000]
)
def test_no_sentence_of_the_text(sentence: str) -> None:
    assert not SOURCE.holds(sentence)


EVIDENCE = "Yeast makes carbon dioxide, which lifts the dough."
SHORT = st.text(alphabet="ab 4carbondioxide北\u202e*", max_size=14)
QUESTIONS = st.builds(
    Question,
    id=st.sampled_from(["", "q"]),
    prompt=SHORT,
    kind=st.integers(0, 5),
    choices=st.lists(st.builds(Choice, id=st.sampled_from(["", "a", "b", "c", "true"]), text=SHORT), max_size=4),
    points=st.integers(-1, 3),
    answer_key=st.builds(
        AnswerKey,
        choice_ids=st.lists(st.sampled_from(["a", "b", "c", "true", "false"]), max_size=2),
        accepted_texts=st.lists(SHORT, max_size=2),
        number=st.none() | st.floats(allow_nan=True),
    ),
)


@given(QUESTIONS, st.sampled_from([EVIDENCE, "It sleeps at 4 °C.", "It never sleeps.", ""]))
def test_what_is_accepted_is_valid_complete_and_supported(question: Question, evidence: str) -> None:
    accepted = rules.accept(DraftedQuestion(question=question, evidence=evidence), SOURCE)
    if accepted is None:
        return
    assert check_questions([accepted.question]) == []
    assert accepted.question.id
    assert accepted.question.points >= 1
    assert all(choice.id for choice in accepted.question.choices)
    assert SOURCE.holds(accepted.evidence)
    assert rules.accept(accepted, SOURCE) == accepted


def drafted(kind: int, *choices: str, key: str = "", number: float | None = None, prompt: str = "?") -> DraftedQuestion:
    """A question on EVIDENCE; the first choice is right."""
    question = Question(prompt=prompt, kind=kind)  # type: ignore[arg-type]
    question.choices.extend(Choice(id=str(place), text=text) for place, text in enumerate(choices))
    if choices:
        question.answer_key.choice_ids.append("0")
    elif number is not None:
        question.answer_key.number = number
    elif key in ("true", "false"):
        question.answer_key.choice_ids.append(key)
    else:
        question.answer_key.accepted_texts.append(key)
    return DraftedQuestion(question=question, evidence=EVIDENCE if number is None else "It sleeps at 4 °C.")


SINGLE, TRUE_FALSE = quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, quizzes_pb2.QUESTION_KIND_TRUE_FALSE
TYPED, NUMERIC = quizzes_pb2.QUESTION_KIND_SHORT_TEXT, quizzes_pb2.QUESTION_KIND_NUMERIC


@pytest.mark.parametrize(
    ("question", "good"),
    [
        (drafted(SINGLE, "carbon dioxide", "acid"), True),
        (drafted(SINGLE, "a gas", "a salt"), True),
        (drafted(SINGLE, "acid", "carbon dioxide"), False),
        (drafted(SINGLE, "acid", "ACID "), False),
        (drafted(TYPED, key="Carbon Dioxide"), True),
        (drafted(TYPED, key="acid"), False),
        (drafted(NUMERIC, number=4), True),
        (drafted(NUMERIC, number=5), False),
        (drafted(TRUE_FALSE, key="true", prompt=EVIDENCE), True),
        (drafted(TRUE_FALSE, key="false", prompt=EVIDENCE), False),
        (drafted(TRUE_FALSE, key="false", prompt="Salt lifts the dough."), True),
    ],
)
def test_a_key_agrees_with_its_sentence(question: DraftedQuestion, good: bool) -> None:
    assert (rules.accept(question, SOURCE) is not None) == good


@pytest.mark.parametrize("number", ["1,234", "1.234", "1234"])
def test_a_number_may_be_written_in_any_way(number: str) -> None:
    question = Question(prompt="?", kind=NUMERIC)
    question.answer_key.number = 1234
    text = f"There are {number} loaves in it."
    assert rules.accept(DraftedQuestion(question=question, evidence=text), rules.Source(text))


def test_links_may_only_lead_where_the_text_leads() -> None:
    source = rules.Source("See https://bread.example.com/rye for more.")
    assert not source.links_elsewhere("Go to https://bread.example.com/rye now.", "No link.")
    for link in ("https://evil.example.com", "www.evil.example.com", "mailto:evil@example.com", "javascript://x"):
        assert source.links_elsewhere("Good.", f"Go to {link} now.")


def test_numbers_that_the_facts_do_not_have() -> None:
    facts = '{"percent": 66.5, "title": "7 breads", "done": 2}'
    assert rules.foreign_numbers(["66,5 % of 7, and 2.0"], facts) == set()
    assert rules.foreign_numbers(["66 %", "3 of 7"], facts) == {"66", "3"}


@given(st.lists(st.sampled_from(["One two three.", "再找北极星。", "Four!"]), max_size=8).map(" ".join), st.integers(1, 20))
def test_shortening_keeps_whole_sentences(text: str, most: int) -> None:
    short = rules.shortened(text, most)
    assert short.replace(" ", "") == text.replace(" ", "")[: len(short.replace(" ", ""))]
    assert count(short) <= max(most, 5)
    assert bool(short) == bool(text)


class Named:
    """An engine by its name alone."""

    name, model, version = "a", "b", "c"

    async def answer(self, task: Task) -> AsyncGenerator[Part, None]:
        yield ""

    async def close(self) -> None: ...


def test_an_answer_is_identified_by_all_it_follows_from() -> None:
    task = SummaryTask("title", "text", 5)
    identities = {rules.identity(Named(), task)}
    for change in ({"title": "x"}, {"text": "x"}, {"max_words": 6}, {"title": "titl", "text": "etext"}):
        identities.add(rules.identity(Named(), dataclasses.replace(task, **change)))
    for name in ("name", "model", "version"):
        engine = Named()
        setattr(engine, name, "x")
        identities.add(rules.identity(engine, task))
    assert len(identities) == 8
    assert rules.identity(Named(), SummaryTask("title", "text", 5)) in identities
