"""Pure decisions about answers: what may be answered, grading, shuffling, what a student may see."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from contract.errors import Violation
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import Answer, Question, QuestionResult

MAX_ANSWERS_BYTES = 256 * 1024
# Two numbers this close to each other, in relation to their size, differ by the noise of arithmetic alone.
_NOISE = 1e-12


# Typographic quotation marks, apostrophes, dashes and the minus sign.
_PLAIN = str.maketrans("‘’‚‛ʼ′“”„‟″‐‑‒–—―−", "''''''\"\"\"\"\"-------")

# Grading


@dataclass(frozen=True, slots=True)
class Grade:
    """What an attempt earned. `percent` has two decimals, rounded half up; `passed` is decided before rounding."""

    points_earned: float
    points_possible: int
    percent: float
    passed: bool
    results: tuple[QuestionResult, ...]


def grade(questions: Iterable[Question], answers: Iterable[Answer], pass_percent: int) -> Grade:
    """Grade the answers, one a question at most; a question without an answer earns nothing."""
    given = {answer.question_id: answer for answer in answers}
    unanswered = Answer()
    earned, possible, results = Fraction(0), 0, []
    for question in questions:
        share = _GRADERS[question.kind](question, given.get(question.id, unanswered))
        earned += share * question.points
        possible += question.points
        results.append(
            QuestionResult(
                question_id=question.id,
                points_earned=float(share * question.points),
                points_possible=question.points,
                correct=share == 1,
            )
        )
    exact = 100 * earned / possible if possible else Fraction(0)
    percent = floor(exact * 100 + Fraction(1, 2)) / 100
    return Grade(float(earned), possible, percent, exact >= pass_percent, tuple(results))


def normal_text(text: str) -> str:
    """A text as it is compared: without case, width (NFKC), superfluous space, what is invisible, and the marks that
    keyboards put in the place of plain ones. Letters that only look alike stay different."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_PLAIN)).casefold())
    return " ".join("".join(char for char in folded if unicodedata.category(char) != "Cf").split())


def _exactly(question: Question, answer: Answer) -> Fraction:
    return Fraction(bool(answer.choice_ids) and set(answer.choice_ids) == set(question.answer_key.choice_ids))


def _partly(question: Question, answer: Answer) -> Fraction:
    """Every right pick counts for its part, every wrong one against it, never below nothing."""
    right, picked = set(question.answer_key.choice_ids), set(answer.choice_ids)
    return max(Fraction(0), Fraction(len(picked & right) - len(picked - right), len(right)))


def _by_text(question: Question, answer: Answer) -> Fraction:
    text = normal_text(answer.text)
    return Fraction(bool(text) and text in {normal_text(accepted) for accepted in question.answer_key.accepted_texts})


def _by_number(question: Question, answer: Answer) -> Fraction:
    if not answer.HasField("number"):
        return Fraction(0)
    key = question.answer_key
    noise = _NOISE * max(abs(answer.number), abs(key.number))
    return Fraction(abs(answer.number - key.number) <= key.tolerance + noise)


_GRADERS: dict[quizzes_pb2.QuestionKind.ValueType, Callable[[Question, Answer], Fraction]] = {
    quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE: _exactly,
    quizzes_pb2.QUESTION_KIND_TRUE_FALSE: _exactly,
    quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE: _partly,
    quizzes_pb2.QUESTION_KIND_SHORT_TEXT: _by_text,
    quizzes_pb2.QUESTION_KIND_NUMERIC: _by_number,
}


# Answers


def check_answers(questions: Iterable[Question], answers: Sequence[Answer]) -> list[Violation]:
    """Everything wrong with answers to these questions: unknown or repeated questions and choices, too many picks."""
    by_id = {question.id: question for question in questions}
    found: list[Violation] = []
    seen: set[str] = set()
    for number, answer in enumerate(answers):
        place = f"answers[{number}]"
        question = by_id.get(answer.question_id)
        if question is None:
            found.append(Violation(f"{place}.questionId", "unknown", f"names no question of this attempt: {answer.question_id}"))
            continue
        if answer.question_id in seen:
            found.append(Violation(f"{place}.questionId", "repeated", f"answers {answer.question_id} again"))
        seen.add(answer.question_id)
        found += _check_picks(f"{place}.choiceIds", question, answer)
    if sum(answer.ByteSize() for answer in answers) > MAX_ANSWERS_BYTES:
        found.append(Violation("answers", "size", f"must not be larger than {MAX_ANSWERS_BYTES} bytes together"))
    return found


def _check_picks(place: str, question: Question, answer: Answer) -> list[Violation]:
    known = {choice.id for choice in question.choices}
    found = [
        Violation(f"{place}[{number}]", "unknown", f"names no choice of the question: {choice_id}")
        for number, choice_id in enumerate(answer.choice_ids)
        if choice_id not in known
    ]
    if len(set(answer.choice_ids)) < len(answer.choice_ids):
        found.append(Violation(place, "repeated", "must name each choice once"))
    if question.kind != quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE and len(answer.choice_ids) > 1:
        found.append(Violation(place, "single", "must name one choice at most"))
    return found


# What a student sees


def shuffled(questions: Iterable[Question], seed: int) -> list[Question]:
    """Copies of the questions and their choices in the order this seed gives, always the same; 0 leaves them as
    they are. True stays before false."""
    copies = [_copy(question) for question in questions]
    if not seed:
        return copies
    for question in copies:
        if question.kind != quizzes_pb2.QUESTION_KIND_TRUE_FALSE:
            choices = sorted(question.choices, key=lambda choice: _rank(seed, question.id, choice.id))
            del question.choices[:]
            question.choices.extend(choices)
    return sorted(copies, key=lambda question: _rank(seed, question.id))


def stripped(questions: Iterable[Question]) -> list[Question]:
    """Copies of the questions without what gives their answers away."""
    copies = [_copy(question) for question in questions]
    for question in copies:
        question.ClearField("answer_key")
        question.ClearField("explanation")
    return copies


def _rank(seed: int, *ids: str) -> bytes:
    """A hash instead of a random generator: it never changes with a library's version."""
    return hashlib.sha256("\0".join([str(seed), *ids]).encode()).digest()


def _copy(question: Question) -> Question:
    copy = Question()
    copy.CopyFrom(question)
    return copy
