"""Pure decisions about questions as authors write them: what makes one valid, and the ids the server adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from contract.errors import Violation
from core.quizzes.rules import normal_text
from skillforge.v1 import quizzes_pb2
from skillforge.v1.quizzes_pb2 import AnswerKey, Choice, Question

MAX_BYTES = 512 * 1024

_SINGLE = quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE
_MULTIPLE = quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE
_TRUE_FALSE = quizzes_pb2.QUESTION_KIND_TRUE_FALSE
_SHORT_TEXT = quizzes_pb2.QUESTION_KIND_SHORT_TEXT
_NUMERIC = quizzes_pb2.QUESTION_KIND_NUMERIC

_CHOICE_KINDS = frozenset({_SINGLE, _MULTIPLE, _TRUE_FALSE})
_TRUE_FALSE_IDS = ("true", "false")


def check_questions(questions: Sequence[Question]) -> list[Violation]:
    """Everything wrong with the questions of a quiz, each with its place."""
    found: list[Violation] = []
    seen: set[str] = set()
    for number, question in enumerate(questions):
        place = f"questions[{number}]"
        if question.id and question.id in seen:
            found.append(Violation(f"{place}.id", "repeated", f"the question id {question.id} is used before"))
        seen.add(question.id)
        found += _check_choices(place, question)
        found += _check_key(f"{place}.answerKey", question)
    if sum(question.ByteSize() for question in questions) > MAX_BYTES:
        found.append(Violation("questions", "size", f"must not be larger than {MAX_BYTES} bytes together"))
    return found


def filled(questions: Iterable[Question], new_id: Callable[[], str]) -> list[Question]:
    """Copies of valid questions, complete: ids where there are none, the choices of true/false, points 1 for 0.

    `new_id` gives unpredictable ids: numbers would tell the author's order, and so which choice stood first.
    """
    copies = []
    for question in questions:
        copy = Question()
        copy.CopyFrom(question)
        copy.id = copy.id or new_id()
        copy.points = copy.points or 1
        if copy.kind == _TRUE_FALSE and not copy.choices:
            copy.choices.extend(Choice(id=item, text=item.capitalize()) for item in _TRUE_FALSE_IDS)
        for choice in copy.choices:
            choice.id = choice.id or new_id()
        copies.append(copy)
    return copies


def _check_choices(place: str, question: Question) -> list[Violation]:
    place = f"{place}.choices"
    ids = [choice.id for choice in question.choices if choice.id]
    if question.kind not in _CHOICE_KINDS:
        return [Violation(place, "kind", "must be empty: this kind of question has no choices")] if question.choices else []
    if question.kind == _TRUE_FALSE:
        right = not question.choices or sorted(choice.id for choice in question.choices) == sorted(_TRUE_FALSE_IDS)
        return [] if right else [Violation(place, "true_false", "must be left out, or be the two with the ids true and false")]
    found = []
    if len(question.choices) < 2:
        found.append(Violation(place, "min_items", "must be two or more"))
    if len(set(ids)) < len(ids):
        found.append(Violation(place, "repeated", "must have ids of their own"))
    return found


def _check_key(place: str, question: Question) -> list[Violation]:
    key = question.answer_key
    parts = [
        (f"{place}.choiceIds", bool(key.choice_ids), question.kind in _CHOICE_KINDS),
        (f"{place}.acceptedTexts", bool(key.accepted_texts), question.kind == _SHORT_TEXT),
        (f"{place}.number", key.HasField("number"), question.kind == _NUMERIC),
    ]
    found = [
        Violation(part, "required", "is missing: the question has no right answer")
        if wanted
        else Violation(part, "kind", "must be left out: another kind of question is answered so")
        for part, given, wanted in parts
        if given != wanted
    ]
    if key.tolerance and question.kind != _NUMERIC:
        found.append(Violation(f"{place}.tolerance", "kind", "must be left out: only numbers have one"))
    if question.kind in _CHOICE_KINDS:
        found += _check_key_choices(f"{place}.choiceIds", question, key)
    for number, text in enumerate(key.accepted_texts):
        if not normal_text(text):
            found.append(Violation(f"{place}.acceptedTexts[{number}]", "blank", "must hold more than space"))
    return found


def _check_key_choices(place: str, question: Question, key: AnswerKey) -> list[Violation]:
    known = {choice.id for choice in question.choices if choice.id}
    if question.kind == _TRUE_FALSE:
        known = set(_TRUE_FALSE_IDS)
    found = [
        Violation(f"{place}[{number}]", "unknown", f"names no choice of the question: {choice_id}")
        for number, choice_id in enumerate(key.choice_ids)
        if choice_id not in known
    ]
    if len(set(key.choice_ids)) < len(key.choice_ids):
        found.append(Violation(place, "repeated", "must name each choice once"))
    if question.kind != _MULTIPLE and len(key.choice_ids) > 1:
        found.append(Violation(place, "single", "must name exactly one choice"))
    return found
