"""Pure decisions of the assistant: what an answer is identified by, and whether what an engine wrote may be shown."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain

import orjson

from core.assistant.engines import Engine, Task
from core.assistant.extractive.notes import Kind, read_notes
from core.assistant.extractive.sentences import split
from core.assistant.extractive.words import count, fold, is_unspaced
from core.errors import FailedPrecondition, InvalidArgument
from core.quizzes import questions
from core.quizzes.rules import normal_text
from core.rpc.validate import check_rules
from skillforge.v1 import quizzes_pb2
from skillforge.v1.assistant_pb2 import DraftedQuestion
from skillforge.v1.quizzes_pb2 import Question

MAX_EVIDENCE = 1000
# Less than this, if it is no whole sentence, stands in any text.
_MIN_EVIDENCE, _MIN_UNSPACED_EVIDENCE, _MIN_WHOLE = 12, 5, 4
_MARKUP = re.compile(r"[*_`~#>|\\\[\]]+")
_SPACE = re.compile(r"\s+")
_LINKS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)[^\s<>\"')\]]+", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+(?:[.,٫]\d+)*")
_CHOICES = (quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, quizzes_pb2.QUESTION_KIND_MULTIPLE_CHOICE)


def identity(engine: Engine, task: Task) -> str:
    """A digest of all that an answer follows from."""
    content = [type(task).__name__, engine.name, engine.model, engine.version, dataclasses.asdict(task)]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def fewest(wanted: int) -> int:
    """How many questions are not too few for so many wanted."""
    return math.ceil(wanted / 3)


def too_short(what: str) -> FailedPrecondition:
    """The error for a text that has too little for `what`."""
    return FailedPrecondition("TEXT_TOO_SHORT", f"The text is too short for {what}. Write more of it, or ask for less.")


class Source:
    """A text that questions are drafted from, as it is compared with what supports them."""

    def __init__(self, text: str) -> None:
        notes = read_notes(text)
        # Both as written and as read: a quotation may keep the marks, or span a list.
        self._said = (_comparable(text), _comparable(notes.plain))
        rows = ("".join(row) for table in notes.tables for row in table)
        prose = (split(block.text) for block in notes.blocks if block.kind in (Kind.PARAGRAPH, Kind.ITEM))
        self._wholes = {_comparable(item) for item in chain(rows, *prose)}
        self._links = frozenset(_LINKS.findall(text))

    def holds(self, evidence: str) -> bool:
        """Whether the sentence stands in the text, but for space, case and markup."""
        wanted = _comparable(evidence)
        if wanted in self._wholes and len(wanted) >= _MIN_WHOLE:
            return True
        least = _MIN_UNSPACED_EVIDENCE if wanted and is_unspaced(wanted[0]) else _MIN_EVIDENCE
        return least <= len(wanted) <= MAX_EVIDENCE and any(wanted in said for said in self._said)

    def links_elsewhere(self, *texts: str) -> bool:
        """Whether something leads to where the text does not: nothing in a course may be made to."""
        return any(link not in self._links for text in texts for link in _LINKS.findall(text))


def accept(
    drafted: DraftedQuestion, source: Source, new_id: Callable[[], str] = lambda: secrets.token_hex(6)
) -> DraftedQuestion | None:
    """The question, complete, if it may be shown: valid as quizzes take it, without repeated choices, supported by a
    sentence of the text, and not contradicted by that sentence. None otherwise."""
    question = drafted.question
    try:
        check_rules(question)
    except InvalidArgument:
        return None
    texts = [normal_text(choice.text) for choice in question.choices]
    if questions.check_questions([question]) or len(set(texts)) < len(texts) or not source.holds(drafted.evidence):
        return None
    if source.links_elsewhere(question.prompt, question.explanation, *(choice.text for choice in question.choices)):
        return None
    if not _agrees(question, drafted.evidence):
        return None
    [complete] = questions.filled([question], new_id)
    return DraftedQuestion(question=complete, evidence=_SPACE.sub(" ", drafted.evidence).strip())


def _agrees(question: Question, evidence: str) -> bool:
    """Whether the key can follow from the sentence, as far as words show: what is to be typed stands in it; of choices that
    it names one is right; and a statement that repeats it is true."""
    said, key = _comparable(evidence), question.answer_key
    if question.kind == quizzes_pb2.QUESTION_KIND_SHORT_TEXT:
        return any(_comparable(text) in said for text in key.accepted_texts)
    if question.kind == quizzes_pb2.QUESTION_KIND_NUMERIC:
        return any(_is_worth(text, key.number) for text in _NUMBERS.findall(evidence))
    if question.kind == quizzes_pb2.QUESTION_KIND_TRUE_FALSE:
        return _comparable(question.prompt) != said or list(key.choice_ids) == ["true"]
    named = {choice.id for choice in question.choices if _comparable(choice.text) in said}
    return question.kind not in _CHOICES or not named or bool(named & set(key.choice_ids))


def _is_worth(text: str, number: float) -> bool:
    """Whether a number as it is written may mean this one, its marks being decimals or thousands."""
    digits = unicodedata.normalize("NFKC", text).replace("٫", ".")
    readings = {digits.replace(",", "."), re.sub(r"[.,]", "", digits), digits.replace(",", ""), digits.replace(".", "")}
    return any(reading.count(".") <= 1 and math.isclose(float(reading), number) for reading in readings if "," not in reading)


def shortened(text: str, max_words: int) -> str:
    """The text, or its first sentences that have so many words; the first one at any rate."""
    if count(text) <= max_words:
        return text
    kept, room = "", max_words
    for sentence in split(text):
        room -= count(sentence)
        if kept and room < 0:
            break
        kept += sentence if not kept or is_unspaced(kept[-1]) else f" {sentence}"
    return kept


def foreign_numbers(texts: Sequence[str], facts: str) -> set[str]:
    """The numbers in the texts that do not stand in the facts."""
    known = {_digits(number) for number in _NUMBERS.findall(facts)}
    return {number for text in texts for number in _NUMBERS.findall(text) if _digits(number) not in known}


def _digits(number: str) -> str:
    """A number in one way of writing: 66,5 and 66.50 are the same."""
    plain = unicodedata.normalize("NFKC", number).replace(",", ".").replace("٫", ".")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _comparable(text: str) -> str:
    return _SPACE.sub("", fold(_MARKUP.sub("", normal_text(text))))
