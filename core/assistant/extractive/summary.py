"""A summary of the text's own sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.assistant.extractive.notes import read_notes
from core.assistant.extractive.ranking import ranked
from core.assistant.extractive.sentences import Sentence, gathered, read_sentences
from core.assistant.extractive.words import count, has_words, is_unspaced

MAX_KEY_POINTS = 5
_MAX_POINT_WORDS = 45
# Of a short text no more than this part is its summary.
_PART = 0.45


class Extract(NamedTuple):
    """The sentences of a summary, and what it has no room for; both in the text's order."""

    sentences: list[str]
    key_points: list[str]


def extract(markdown: str, title: str, max_words: int) -> Extract:
    """The most telling sentences of the notes, `max_words` together at most; the first one is cut if it alone is longer."""
    notes = read_notes(markdown)
    sentences = gathered(read_sentences(notes.blocks))
    if not sentences:
        return Extract([_cut(notes.plain, max_words)] if has_words(notes.plain) else [], [])
    order = list(ranked(sentences, f"{title} {notes.headings}"))
    taken = _taken(sentences, order, max_words)
    rest = [place for place in order if place not in taken and _is_point(sentences[place])][:MAX_KEY_POINTS]
    return Extract(
        [_cut(sentences[place].text, max_words) for place in sorted(taken)], [sentences[place].text for place in sorted(rest)]
    )


def joined(sentences: Iterable[str]) -> str:
    """Sentences as running text."""
    text = ""
    for sentence in sentences:
        text += sentence if not text or is_unspaced(text[-1]) else f" {sentence}"
    return text


def condensed(markdown: str, title: str, max_chars: int) -> str:
    """The notes, or of longer ones their most telling sentences, in order, up to so many characters."""
    if len(markdown) <= max_chars:
        return markdown
    sentences = read_sentences(read_notes(markdown).blocks)
    kept, room = set(), max_chars
    for place in ranked(sentences, title):
        room -= len(sentences[place].text) + 1
        if room < 0:
            break
        kept.add(place)
    return "\n".join(sentences[place].text for place in sorted(kept))


def _taken(sentences: Sequence[Sentence], order: Sequence[int], max_words: int) -> set[int]:
    """The places that go into the summary: what fits, and no more than a part of the text."""
    taken: set[int] = set()
    room, most = max_words, math.ceil(len(sentences) * _PART)
    for place in order:
        if taken and (len(taken) >= most or _is_poor(sentences[place])):
            break
        if sentences[place].length <= room or not taken:
            taken.add(place)
            room -= sentences[place].length
    return taken


def _is_poor(sentence: Sentence) -> bool:
    return sentence.is_question or sentence.leads_in


def _is_point(sentence: Sentence) -> bool:
    if not 3 < sentence.length <= _MAX_POINT_WORDS or sentence.text[0].islower():
        return False
    return sentence.alone and sentence.is_whole and not _is_poor(sentence)


def _cut(text: str, max_words: int) -> str:
    """The text's beginning, whole words."""
    if count(text) <= max_words:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) < max_words else (low, middle - 1)
    head = text[:low]
    return (head if is_unspaced(text[low - 1]) else head.rpartition(" ")[0] or head).rstrip() + "…"
