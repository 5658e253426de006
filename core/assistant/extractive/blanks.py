"""What can be asked about a sentence: the parts of it that may be blanked, and what could stand there instead."""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.assistant.extractive import numerals
from core.assistant.extractive.notes import Kind
from core.assistant.extractive.sentences import Sentence
from core.assistant.extractive.words import count, find_word, fold, is_meaningful, is_unspaced, stems, words

MAX_DISTRACTORS = 3
_MAX_TERM_WORDS = 6
_MAX_TERM_CHARS = 40
# In scripts without spaces, where each character counts as a word.
_MAX_UNSPACED = 10
# What one can be asked to type, in words and in characters of scripts without spaces.
_TYPED_WORDS, _TYPED_UNSPACED = 3, 6
_QUOTED = re.compile(r"[「『《“«]([^「」『』《》“”«»]{1,30})[」』》”»]")
_FORMULA = re.compile(r"[=+×÷−·/^²³()]")
_DIGIT = re.compile(r"\d")


class What(enum.IntEnum):
    """What a blank asks for, the best first. A NAME has a capital where nothing but its kind asks for one; a WORD is any
    other the text returns to."""

    TERM = 0
    NUMBER = 1
    QUOTED = 2
    NAME = 3
    WORD = 4


@dataclass(frozen=True, slots=True)
class Blank:
    """A part of a sentence that stands in it once, at `place`."""

    sentence: Sentence
    text: str
    place: int
    what: What

    def filled(self, text: str) -> str:
        """The sentence with another text in this part's place."""
        return self.sentence.text[: self.place] + text + self.sentence.text[self.place + len(self.text) :]

    @property
    def is_formula(self) -> bool:
        """Whether it is more signs than words."""
        return _FORMULA.search(self.text) is not None

    @property
    def can_be_typed(self) -> bool:
        """Whether one can be expected to type just this."""
        if self.what is What.NUMBER:
            return self.text[0].isdigit()
        most = _TYPED_UNSPACED if any(map(is_unspaced, self.text)) else _TYPED_WORDS
        return count(self.text) <= most or (self.is_formula and len(self.text) <= 12)


def find_blanks(sentences: Sequence[Sentence]) -> list[Blank]:
    """Every part worth asking for: what is stressed or quoted, numbers, and the words the text returns to."""
    returning = Counter(stem for item in sentences for stem in stems(item.text))
    return [blank for item in sentences if _is_askable(item) for blank in _blanks(item, returning)]


def distractors(blank: Blank, all_blanks: Sequence[Blank]) -> list[str]:
    """Up to MAX_DISTRACTORS that could stand in the blank and are wrong there; of its kind, the most alike first."""
    if blank.what is What.NUMBER:
        return list(_wrong_numbers(blank, all_blanks))[:MAX_DISTRACTORS]
    found: list[str] = []
    if blank.what is not What.WORD:
        for other in sorted(all_blanks, key=lambda item: _unlikeness(blank, item)):
            if len(found) < MAX_DISTRACTORS and other.what is blank.what and _could_stand(other, blank, found):
                found.append(other.text)
    return found


def falsehoods(blank: Blank, all_blanks: Sequence[Blank]) -> list[str]:
    """What makes a wrong sentence of the right one and still reads well: another number, or another subject for a subject."""
    if blank.sentence.denies:
        return []
    if blank.what is What.NUMBER:
        return list(_wrong_numbers(blank, all_blanks))
    if blank.place > 0 or blank.what is not What.TERM:
        return []
    return distractors(blank, [other for other in all_blanks if other.place == 0])


def _is_askable(sentence: Sentence) -> bool:
    if sentence.is_question or sentence.leads_in or (sentence.kind is Kind.ITEM and sentence.text[0].islower()):
        return False
    longest = 80 if is_unspaced(sentence.text[0]) else 40
    return sentence.is_whole and 4 <= sentence.length <= longest


def _blanks(sentence: Sentence, returning: Counter[str]) -> Iterator[Blank]:
    text = sentence.text
    # What holds digits is asked for by its number, or not at all.
    terms = [term for term in sentence.terms if _FORMULA.search(term) or not _holds_number(term)]
    quoted = [match[1] for match in _QUOTED.finditer(text) if match[1] not in terms]
    for term, what in [*((term, What.TERM) for term in terms), *((term, What.QUOTED) for term in quoted)]:
        place = find_word(text, term)
        if place >= 0 and text.count(term) == 1 and _is_short(term) and _leaves_a_question(text, term):
            yield Blank(sentence, term, place, what)
    for match in numerals.NUMBER.finditer(text):
        if len(re.findall(rf"(?<!\d){re.escape(match[0])}(?!\d)", text)) == 1:
            yield Blank(sentence, match[0], match.start(), What.NUMBER)
    yield from _words(sentence, returning)


def _holds_number(term: str) -> bool:
    return _DIGIT.search(term) is not None or numerals.NUMBER.match(term) is not None


def _words(sentence: Sentence, returning: Counter[str]) -> Iterator[Blank]:
    """Of the words the text returns to, those it returns to most."""
    weight = {}
    for word in words(sentence.text):
        if len(word) > 3 and not is_unspaced(word[0]) and is_meaningful(fold(word)):
            weight[word] = max((returning[stem] for stem in stems(word)), default=0)
    for word in sorted(weight, key=lambda item: (-weight[item], -len(item)))[:3]:
        place = find_word(sentence.text, word)
        if weight[word] > 1 and place > 0 and sentence.text.count(word) == 1:
            yield Blank(sentence, word, place, What.NAME if _is_name(sentence.text, word, place) else What.WORD)


def _is_name(text: str, word: str, place: int) -> bool:
    """A capital inside of a sentence: a proper name, or in German any noun."""
    return word[0].isupper() and not word.isupper() and text[:place].rstrip()[-1:].isalnum()


def _is_short(term: str) -> bool:
    if any(map(is_unspaced, term)):
        return len(term) <= _MAX_UNSPACED
    return len(term) <= _MAX_TERM_CHARS and count(term) <= _MAX_TERM_WORDS


def _leaves_a_question(text: str, term: str) -> bool:
    """Whether enough is left of the sentence to tell what is missing."""
    return count(text) - count(term) >= max(3, count(term))


def _unlikeness(blank: Blank, other: Blank) -> tuple[bool, int, int, str]:
    """How little the other's text looks like the blank's: an answer must not stand out by its form."""
    lengths = abs(count(blank.text) - count(other.text)), abs(len(blank.text) - len(other.text))
    return (blank.text[0].isupper() != other.text[0].isupper(), *lengths, other.text)


def _could_stand(other: Blank, blank: Blank, beside: Sequence[str]) -> bool:
    """Whether it is another thing than the answer and the other choices, and is not in the sentence itself."""
    theirs = stems(other.text) or {fold(other.text)}
    if any(theirs & (stems(text) or {fold(text)}) for text in (blank.text, *beside)):
        return False
    if fold(other.text) in fold(blank.sentence.text) or other.is_formula != blank.is_formula:
        return False
    alike = count(other.text) <= 2 * count(blank.text) + 1 and count(blank.text) <= 2 * count(other.text) + 1
    return alike and any(map(is_unspaced, other.text)) == any(map(is_unspaced, blank.text))


def _wrong_numbers(blank: Blank, all_blanks: Sequence[Blank]) -> Iterator[str]:
    """The text's other numbers of the same thing, then numbers near this one."""
    taken = {blank.text, *numerals.NUMBER.findall(blank.sentence.text)}
    same = [other.text for other in all_blanks if other.what is What.NUMBER and _counted(other) == _counted(blank) != ""]
    for text in [*dict.fromkeys(same), *numerals.neighbours(blank.text)]:
        if text not in taken:
            taken.add(text)
            yield text


def _counted(blank: Blank) -> str:
    return numerals.unit(blank.sentence.text, blank.place + len(blank.text))
