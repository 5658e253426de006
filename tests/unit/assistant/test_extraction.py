"""Summaries, questions and feedback that are taken from what is there."""

from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from cli.demo.course_files import load_courses
from core.assistant import rules
from core.assistant.engines import FeedbackTask, LectureFact, QuizFact
from core.assistant.extractive import numerals
from core.assistant.extractive.feedback import feedback
from core.assistant.extractive.notes import read_notes
from core.assistant.extractive.phrases import phrases_for
from core.assistant.extractive.questions import BLANK, draft
from core.assistant.extractive.summary import condensed, extract, joined
from core.assistant.extractive.words import count
from core.quizzes.questions import check_questions
from core.quizzes.rules import grade
from skillforge.v1 import quizzes_pb2
from skillforge.v1.assistant_pb2 import DIFFICULTY_EASY, DIFFICULTY_HARD, DIFFICULTY_MEDIUM, Difficulty, DraftedQuestion
from skillforge.v1.quizzes_pb2 import Answer, Question

LECTURES = [lecture for course in load_courses() for module in course.modules for lecture in module.lectures]
DIFFICULTIES = [DIFFICULTY_EASY, DIFFICULTY_MEDIUM, DIFFICULTY_HARD]

# Texts of many shapes, also nonsensical ones.
WORDS = st.sampled_from(
    ["yeast", "Bread", "the", "not", "it", "это", "Дом", "50", "3,5", "%", "°C", "**gas**", "*acid*", "خبز", "रोटी", "酵母",
     "四倍", "n²", "=", "- ", "| a | b |", "#", "«so»", ".", "!", "?", "。", "।", ":", "\n", "\n\n"]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=80).map(" ".join)


def named(lecture: object) -> str:
    return str(getattr(lecture, "title", lecture))


@pytest.mark.parametrize("lecture", LECTURES, ids=named)
def test_a_lecture_s_summary_is_its_own_sentences_in_their_order(lecture: object) -> None:
    notes = getattr(lecture, "notes", "")
    found = extract(notes, named(lecture), 120)
    source = rules.Source(notes)
    told = joined(found.sentences)
    assert 0 < count(told) <= 120
    assert count(told) <= 0.85 * count(read_notes(notes).plain)
    for sentence in [*found.sentences, *found.key_points]:
        assert all(source.holds(part) for part in sentence.split("; ") if count(part) > 4)
    assert not set(found.sentences) & set(found.key_points)
    places = [read_notes(notes).plain.find(sentence[:20]) for sentence in found.sentences]
    assert places == sorted(places)


SENTENCES = [
    "Yeast makes **gas**.",
    "Rye needs acid in it.",
    "Хлеб поднимается в тепле.",
    "先找北斗七星。",
    "Is it so?",
    "रोटी अच्छी है।",
]


@given(TEXTS | st.lists(st.sampled_from(SENTENCES), max_size=20).map(" ".join), st.integers(1, 60))
def test_a_summary_has_no_more_words_than_allowed(text: str, most: int) -> None:
    found = extract(text, "", most)
    assert count(joined(found.sentences)) <= most
    assert bool(found.sentences) == (count(read_notes(text).plain) > 0)


def test_what_is_defined_is_in_the_summary_and_what_is_asked_is_not() -> None:
    text = """Shall we begin? Good.

An **algorithm** is a finite list of steps that turns an input into an output. It must end for every input. Is that hard?

Some people like tea. A recipe is nearly an algorithm, for its steps turn an input into a meal.
"""
    told = joined(extract(text, "What is an algorithm?", 40).sentences)
    assert "finite list of steps" in told
    assert "?" not in told


def test_a_summary_does_not_say_the_same_twice() -> None:
    same = [f"Yeast makes gas in the warm dough {number} times." for number in ("three", "four", "five", "six")]
    other = "Rye flour needs acid, or its crumb stays sticky."
    assert other in extract(" ".join([*same, other]), "", 30).sentences


def test_a_long_text_is_condensed_in_order() -> None:
    text = "\n\n".join(f"Paragraph {number} speaks of bread number {number} and its yeast." for number in range(1000))
    short = condensed(text, "Bread", 2000)
    numbers = [int(line.split()[1]) for line in short.splitlines()]
    assert 1500 < len(short) <= 2000
    assert numbers == sorted(set(numbers))
    assert condensed("Short.", "", 2000) == "Short."


# Questions


def right_answer(question: Question) -> Answer:
    key = question.answer_key
    return Answer(question_id=question.id, choice_ids=key.choice_ids, text=next(iter(key.accepted_texts), ""), number=key.number)


def statement_of(drafted: DraftedQuestion) -> str:
    """The sentence that the question makes with its right answer."""
    question = drafted.question
    key = question.answer_key
    texts = [choice.text for choice in question.choices if choice.id in key.choice_ids] or list(key.accepted_texts)
    return question.prompt.replace(BLANK, texts[0] if texts else "").replace("\\", "")


@pytest.mark.parametrize("difficulty", DIFFICULTIES, ids=Difficulty.Name)
@pytest.mark.parametrize("lecture", LECTURES, ids=named)
def test_a_lecture_s_questions_hold(lecture: object, difficulty: Difficulty.ValueType) -> None:
    notes = getattr(lecture, "notes", "")
    drafted = list(draft(notes, named(lecture), 5, difficulty))
    assert drafted == list(draft(notes, named(lecture), 5, difficulty))
    questions = [item.question for item in drafted]
    assert check_questions(questions) == []
    assert len({question.prompt for question in questions}) == len(questions)
    source = rules.Source(notes)
    for item in drafted:
        accepted = rules.accept(item, source)
        assert accepted is not None, item
        assert grade([accepted.question], [right_answer(accepted.question)], 100).passed
        check_key(item)


def check_key(drafted: DraftedQuestion) -> None:
    """The key says what the sentence says, and no other choice does."""
    question, said = drafted.question, drafted.evidence.replace(" ", "")
    if question.kind == quizzes_pb2.QUESTION_KIND_TRUE_FALSE:
        repeats = question.prompt.replace("\\", "") == drafted.evidence
        assert list(question.answer_key.choice_ids) == ["true" if repeats else "false"]
    elif question.kind == quizzes_pb2.QUESTION_KIND_NUMERIC:
        assert question.prompt.count(BLANK) == 1
    elif " | " not in drafted.evidence:
        assert statement_of(drafted).replace(" ", "") == said
        texts = [choice.text for choice in question.choices]
        assert len(set(texts)) == len(texts) != 1
        assert sum(question.prompt.replace(BLANK, text).replace("\\", "") == drafted.evidence for text in texts) == bool(texts)


@pytest.mark.parametrize("difficulty", DIFFICULTIES, ids=Difficulty.Name)
def test_most_lectures_give_enough_questions(difficulty: Difficulty.ValueType) -> None:
    enough = [len(list(draft(lecture.notes, lecture.title, 5, difficulty))) >= rules.fewest(5) for lecture in LECTURES]
    assert sum(enough) >= 0.9 * len(enough)


@how(max_examples=200)
@given(TEXTS, st.integers(1, 20), st.sampled_from(DIFFICULTIES))
def test_questions_of_any_text_hold(text: str, wanted: int, difficulty: Difficulty.ValueType) -> None:
    drafted = list(draft(text, "", wanted, difficulty))
    assert len(drafted) <= wanted
    assert check_questions([item.question for item in drafted]) == []
    for item in drafted:
        check_key(item)


TABLE = """The cold sinks.

| Place | Food |
|---|---|
| bottom | raw meat |
| middle | milk |
| drawer | leaves |
| door | sauces |
"""


def test_a_table_is_asked_by_its_rows() -> None:
    drafted = list(draft(TABLE, "", 4, DIFFICULTY_MEDIUM))
    assert {item.question.prompt for item in drafted} == {
        f"Food: {food}; Place: {BLANK}" for food in ("raw meat", "milk", "leaves", "sauces")
    }
    for item in drafted:
        [key] = item.question.answer_key.choice_ids
        [place] = [choice.text for choice in item.question.choices if choice.id == key]
        assert item.evidence == f"{place} | {item.question.prompt[6:].partition(';')[0]}"
        assert rules.Source(TABLE).holds(item.evidence)


@pytest.mark.parametrize(
    ("text", "denies"),
    [
        ("The cellar holds 40 jars in it.", False),
        ("The cellar does not hold 40 jars in it.", True),
        ("Der Keller hat keine 40 Gläser mehr.", True),
        ("В погребе нет 40 банок.", True),
        ("地窖不能放四十个罐子。", True),
    ],
)
def test_a_denial_gets_no_false_statement(text: str, denies: bool) -> None:
    """Another number in it may well be true."""
    [drafted] = draft(text, "", 1, DIFFICULTY_EASY)
    assert (drafted.question.kind != quizzes_pb2.QUESTION_KIND_TRUE_FALSE) == denies


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("5", 5),
        ("3,5", 3.5),
        ("3.50", 3.5),
        ("1,000", 1000),
        ("1.234.567", 1234567),
        ("1,234", None),
        ("٣٫٥", 3.5),
        ("四十", None),
    ],
)
def test_what_a_number_is_worth(text: str, worth: float | None) -> None:
    assert numerals.value(text) == worth


@given(
    st.from_regex(
        r"[1-9][0-9]{0,2}(,[0-9]{3}){0,2}|0,[0-9]{1,3}|[1-9][0-9]{0,8}|[二三四五六七八九]?十[一二三四五六七八九]", fullmatch=True
    )
)
def test_neighbours_are_other_numbers(text: str) -> None:
    others = list(numerals.neighbours(text))
    assert text not in others
    assert all(len(other) - len(text) in (-2, -1, 0, 1, 2) for other in others)
    assert all(numerals.NUMBER.fullmatch(other) for other in others if other[0].isdigit())


@pytest.mark.slow
def test_the_longest_text_takes_a_moment() -> None:
    text = "\n\n".join(lecture.notes for lecture in LECTURES * 3)[:100_000]
    began = time.process_time()
    extract(text, "", 120)
    list(draft(text, "", 20, DIFFICULTY_MEDIUM))
    assert time.process_time() - began < 5


# Feedback

FACTS = FeedbackTask("Brot", "de", 1, 3, 33, (LectureFact("Zwei", "2"), LectureFact("Drei", "3")), (), None, False, 2)


def quiz(title: str, percent: float, passed: bool, attempts: int = 1) -> QuizFact:
    return QuizFact(title, title[0], percent, passed, attempts)


def test_feedback_tells_what_to_do_next_and_why() -> None:
    quizzes = (quiz("Eins", 100, True), quiz("Bald", 0, False, 0), quiz("Arg", 12.5, False, 3), quiz("Übel", 40, False))
    found = feedback(dataclasses.replace(FACTS, quizzes=quizzes, idle_days=9))
    assert found.feedback == (
        "Abgeschlossene Lektionen: 1 von 3 (33 %). Mittel der besten Quizergebnisse: 50.8 %. Tage seit der letzten Aktivität: 9."
    )
    assert list(found.strengths) == ["„Eins“: 100 % im Quiz."]
    assert [(step.lecture_id, step.text.split()[0]) for step in found.next_steps] == [
        ("A", "„Arg“"), ("Ü", "„Übel“"), ("2", "Mit"), ("B", "Das"),
    ]  # fmt: skip


def test_feedback_on_the_exam() -> None:
    done = dataclasses.replace(FACTS, language="en", lectures_completed=3, percent=100, open_lectures=())
    ready = feedback(dataclasses.replace(done, exam=quiz("-", 0, False, 0)))
    assert [step.text for step in ready.next_steps] == ["Take the final exam: every lecture is complete."]
    failed = feedback(dataclasses.replace(done, exam=quiz("-", 30, False, 2)))
    assert "30 %, attempts: 2" in failed.next_steps[0].text
    passed = feedback(dataclasses.replace(done, exam=quiz("-", 91, True), completed=True))
    assert (list(passed.next_steps), passed.strengths[0]) == ([], "Final exam passed with 91 %.")
    assert passed.feedback.startswith("The course is complete.")


PERCENTS = st.floats(0, 100).map(lambda value: round(value, 1))
QUIZZES = st.builds(quiz, st.sampled_from(["{x}", "Брот", "面包"]), PERCENTS, st.booleans(), st.integers(0, 9))


@given(
    st.sampled_from(["en", "de-CH", "fr", "es-MX", "ru", "ar", "hi", "zh-Hans", "ja", "", "xx"]),
    st.lists(QUIZZES, max_size=8),
    st.none() | st.integers(0, 400),
    st.booleans(),
)  # fmt: skip
def test_feedback_says_only_what_the_facts_say(language: str, quizzes: list[QuizFact], idle: int | None, completed: bool) -> None:
    task = dataclasses.replace(FACTS, language=language, quizzes=tuple(quizzes), idle_days=idle, completed=completed)
    found = feedback(task)
    tried = [item.best_percent for item in quizzes if item.attempts]
    average = f" {sum(tried) / len(tried):.1f}" if tried else ""
    said = [found.feedback, *found.strengths, *(step.text for step in found.next_steps)]
    assert rules.foreign_numbers(said, f"{task}{average}") == set()
    known = {"", *(item.lecture_id for item in task.open_lectures), *(item.lecture_id for item in quizzes)}
    assert {step.lecture_id for step in found.next_steps} <= known
    assert len(found.next_steps) <= 5


def test_every_language_has_its_own_phrases() -> None:
    languages = ("en", "de", "fr", "es", "ru", "ar", "hi", "zh", "ja")
    assert len({phrases_for(language) for language in languages}) == len(languages)
    assert phrases_for("zh-Hant") == phrases_for("ZH")
    assert phrases_for("sw") == phrases_for("") == phrases_for("en")
