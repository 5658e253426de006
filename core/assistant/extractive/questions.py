"""Questions of a text's own sentences: cloze, rows of tables, and statements that are true or made false.

Every question's key is what the sentence says, so that the sentence supports it by construction. Only a false statement is
of our making: another number or subject in the place of the true one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from core.assistant.extractive import numerals
from core.assistant.extractive.blanks import MAX_DISTRACTORS, Blank, What, distractors, falsehoods, find_blanks
from core.assistant.extractive.notes import Notes, read_notes
from core.assistant.extractive.ranking import ranked
from core.assistant.extractive.sentences import Sentence, read_sentences
from core.assistant.extractive.words import fold
from skillforge.v1 import quizzes_pb2
from skillforge.v1.assistant_pb2 import DIFFICULTY_EASY, DIFFICULTY_HARD, Difficulty, DraftedQuestion
from skillforge.v1.quizzes_pb2 import Choice, Question

BLANK = "_____"
_SINGLE, _TRUE_FALSE = quizzes_pb2.QUESTION_KIND_SINGLE_CHOICE, quizzes_pb2.QUESTION_KIND_TRUE_FALSE
_SHORT_TEXT, _NUMERIC = quizzes_pb2.QUESTION_KIND_SHORT_TEXT, quizzes_pb2.QUESTION_KIND_NUMERIC
_IDS = "abcd"
# What Markdown would take for its own.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")
# The forms of questions that come in turn.
_STATEMENT, _CHOICE, _RECALL = "statement", "choice", "recall"
_TURNS = {DIFFICULTY_EASY: (_STATEMENT, _CHOICE), DIFFICULTY_HARD: (_RECALL, _RECALL, _CHOICE)}
_USUAL_TURNS = (_CHOICE, _RECALL, _CHOICE, _STATEMENT)


# Fill-ins are taken until so much of what is wanted is there.
_FILLED = 0.6


class Row(NamedTuple):
    """A row of a table: one cell of it is asked for, the others tell which row it is."""

    prompt: str
    answer: str
    wrong: list[str]
    evidence: str


class Source(NamedTuple):
    """What a question can be made of: a sentence's blanks, the best first, or a row."""

    blanks: Sequence[Blank] = ()
    row: Row | None = None
    is_fill_in: bool = False


def draft(markdown: str, title: str, wanted: int, difficulty: Difficulty.ValueType) -> Iterator[DraftedQuestion]:
    """Up to so many questions, those of the most telling sentences first. Mere fill-ins make up for what a text lacks, but
    only for a part of them."""
    notes = read_notes(markdown)
    sentences = _candidates(read_sentences(notes.blocks), f"{title} {notes.headings}")
    writer = _Writer(find_blanks(sentences), random.Random(f"{title}\0{markdown}\0{difficulty}"))
    turns = _TURNS.get(difficulty, _USUAL_TURNS)
    rows = _rows(notes, writer.chance)
    good, fill_ins = _sources(sentences, writer.blanks)
    asked: set[str] = set()
    for source in chain(_mixed(good, rows), fill_ins):
        if len(asked) == wanted or (source.is_fill_in and len(asked) >= wanted * _FILLED):
            return
        form = turns[len(asked) % len(turns)]
        drafted = writer.of_row(source.row) if source.row else writer.of_sentence(form, source.blanks)
        if drafted is not None and drafted.question.prompt not in asked:
            asked.add(drafted.question.prompt)
            yield drafted


def _candidates(sentences: Sequence[Sentence], headings: str) -> list[Sentence]:
    """The most telling first; those that lean on another one last."""
    return sorted((sentences[place] for place in ranked(sentences, headings)), key=lambda item: not item.alone)


def _sources(sentences: Sequence[Sentence], blanks: Sequence[Blank]) -> tuple[list[Source], list[Source]]:
    """What to ask of each sentence, once: a stressed or quoted part, a number or a name. And the fill-ins: a word that is
    merely frequent, or another part of a sentence that was asked about, which may tell the answer of its first question."""
    by_sentence: dict[str, list[Blank]] = {item.text: [] for item in sentences}
    for blank in sorted(blanks, key=lambda item: item.what):
        by_sentence[blank.sentence.text].append(blank)
    good, frequent, again = [], [], []
    for found in by_sentence.values():
        if found and found[0].what is not What.WORD:
            good.append(Source(blanks=found))
            again += [Source(blanks=found[1:], is_fill_in=True)] if found[1:] else []
        elif found:
            frequent.append(Source(blanks=found, is_fill_in=True))
    return good, [*frequent, *again]


def _mixed(good: Sequence[Source], rows: Iterator[Row]) -> Iterator[Source]:
    """After every two sentences a row of a table, and then what is left of the rows."""
    for number, source in enumerate(good):
        if number and number % 2 == 0 and (row := next(rows, None)) is not None:
            yield Source(row=row)
        yield source
    yield from (Source(row=row) for row in rows)


def _rows(notes: Notes, chance: random.Random) -> Iterator[Row]:
    """Rows of tables with two columns or more, asked for by their first cell; no cell may stand for two rows."""
    for header, *rows in (table for table in notes.tables if len(table) > MAX_DISTRACTORS and len(table[0]) > 1):
        names = [row[0] for row in rows]
        if len({fold(name) for name in names}) < len(names) or any(len(row) != len(header) for row in rows):
            continue
        for row in chance.sample(rows, len(rows)):
            told = [f"{head}: {cell}" if head else cell for head, cell in zip(header[1:], row[1:], strict=True) if cell]
            told.append(f"{header[0]}: \0" if header[0] else "\0")
            wrong = chance.sample([name for name in names if name != row[0]], MAX_DISTRACTORS - (len(names) <= MAX_DISTRACTORS))
            if row[0] and len(told) > 1:
                yield Row("; ".join(told), row[0], wrong, " | ".join(cell for cell in row if cell))


class _Writer:
    """Writes questions. The same text always gives the same draft: `chance` is seeded by it."""

    def __init__(self, blanks: Sequence[Blank], chance: random.Random) -> None:
        self.blanks = blanks
        self.chance = chance
        # How many more statements were false than true.
        self._false = 0

    def of_sentence(self, form: str, blanks: Sequence[Blank]) -> DraftedQuestion | None:
        """A question in the form, or in another one that the sentence has enough for."""
        for wanted in (form, _CHOICE, _RECALL):
            for blank in blanks:
                if (drafted := self._question(wanted, blank)) is not None:
                    return drafted
        return None

    def of_row(self, row: Row) -> DraftedQuestion:
        """A choice between the rows of a table."""
        before, after = row.prompt.split("\0")
        question = _asking(_SINGLE, before, after, row.evidence)
        return self._choice(question, row.answer, row.wrong, row.evidence)

    def _question(self, form: str, blank: Blank) -> DraftedQuestion | None:
        if form == _STATEMENT:
            wrong = falsehoods(blank, self.blanks)
            return self._statement(blank, wrong[0]) if wrong else None
        if form == _CHOICE:
            wrong = distractors(blank, self.blanks)
            return self._choice(_cloze(blank, _SINGLE), blank.text, wrong, blank.sentence.text) if len(wrong) > 1 else None
        return _recall(blank) if blank.can_be_typed else None

    def _choice(self, question: Question, right: str, wrong: Sequence[str], evidence: str) -> DraftedQuestion:
        texts = [right, *wrong]
        self.chance.shuffle(texts)
        question.choices.extend(Choice(id=_IDS[number], text=text) for number, text in enumerate(texts))
        question.answer_key.choice_ids.append(_IDS[texts.index(right)])
        return DraftedQuestion(question=question, evidence=evidence)

    def _statement(self, blank: Blank, wrong: str) -> DraftedQuestion:
        """The sentence as it is, or with something wrong in it; about as many of the one as of the other."""
        true = self._false > 0 or (self._false == 0 and self.chance.random() < 0.5)
        self._false += -1 if true else 1
        prompt = blank.sentence.text if true else blank.filled(wrong)
        question = Question(prompt=_plain(prompt), kind=_TRUE_FALSE, points=1, explanation=_plain(blank.sentence.text))
        question.choices.extend(Choice(id=item, text=item.capitalize()) for item in ("true", "false"))
        question.answer_key.choice_ids.append("true" if true else "false")
        return DraftedQuestion(question=question, evidence=blank.sentence.text)


def _recall(blank: Blank) -> DraftedQuestion:
    value = numerals.value(blank.text) if blank.what is What.NUMBER else None
    question = _cloze(blank, _SHORT_TEXT if value is None else _NUMERIC)
    if value is not None:
        question.answer_key.number = value
    else:
        question.answer_key.accepted_texts.append(blank.text)
        if blank.is_formula and " " in blank.text:
            question.answer_key.accepted_texts.append(blank.text.replace(" ", ""))
    return DraftedQuestion(question=question, evidence=blank.sentence.text)


def _cloze(blank: Blank, kind: quizzes_pb2.QuestionKind.ValueType) -> Question:
    before, after = blank.filled("\0").split("\0")
    return _asking(kind, before, after, blank.sentence.text)


def _asking(kind: quizzes_pb2.QuestionKind.ValueType, before: str, after: str, evidence: str) -> Question:
    prompt = _plain(before) + BLANK + _plain(after)
    return Question(prompt=prompt, kind=kind, points=1, explanation=_plain(evidence))


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", text)
