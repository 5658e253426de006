"""Which sentences say most of a text.

SumBasic (Nenkova and Vanderwende 2005): a sentence weighs as much as its words do on average, a word as many sentences as
have it; what was said weighs less from then on. Beside that, notes tell by their form what matters: stress, headings, the
beginnings of paragraphs; and questions, fragments and sentences that lean on others read badly alone.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Iterator, Sequence

from core.assistant.extractive.notes import Kind
from core.assistant.extractive.sentences import Sentence
from core.assistant.extractive.words import stems

# What is left of a word's weight once a sentence with it was taken.
_TOLD = 0.3
_HEADING_WORD = 1.5
# Of longer texts the sentences that weigh most by themselves: each choice looks at all that are left.
MAX_CANDIDATES = 250
_FEW_WORDS, _MANY_WORDS = 5, 45


def ranked(sentences: Sequence[Sentence], headings: str = "") -> Iterator[int]:
    """The places of the sentences, the most telling first, each chosen beside those before it; MAX_CANDIDATES at most.
    `headings`: words that weigh more."""
    said = [stems(item.text) for item in sentences]
    weights: dict[str, float] = {word: float(number) for word, number in Counter(word for item in said for word in item).items()}
    for word in stems(headings) & weights.keys():
        weights[word] *= _HEADING_WORD
    forms = [_form(item) for item in sentences]
    places = heapq.nlargest(MAX_CANDIDATES, range(len(said)), key=lambda place: forms[place] * _mean(said[place], weights))
    left = dict.fromkeys(sorted(places))
    while left:
        best = max(left, key=lambda place: _leaning(sentences, place, left) * forms[place] * _mean(said[place], weights))
        del left[best]
        for word in said[best]:
            weights[word] *= _TOLD
        yield best


def _mean(said: set[str], weights: dict[str, float]) -> float:
    """Between the mean, which favours the shortest, and the sum, which favours the longest."""
    return sum(weights[word] for word in said) / len(said) ** 0.6 if said else 0.0


def _leaning(sentences: Sequence[Sentence], place: int, left: Container[int]) -> float:
    """A sentence that leans on the one before it is worth little until that one was taken."""
    return 1.0 if sentences[place].alone or (place > 0 and place - 1 not in left) else 0.4


def _form(sentence: Sentence) -> float:
    """What the sentence's form says of it."""
    factor = 1.4 if sentence.terms else 1.0
    factor *= 1.2 if sentence.first else 1.0
    if sentence.is_question or sentence.leads_in:
        factor *= 0.15
    if sentence.kind is Kind.ITEM or not sentence.is_whole:
        factor *= 0.8
    length = sentence.length
    if length < _FEW_WORDS and not sentence.terms:
        factor *= 0.3
    if length > _MANY_WORDS:
        factor *= 0.6
    return factor
