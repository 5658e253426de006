"""Sentences of notes in any script, each with where it stands and what is stressed in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.assistant.extractive.function_words import ABBREVIATIONS, DENIALS, OPENERS, UNSPACED_DENIALS, UNSPACED_OPENERS
from core.assistant.extractive.notes import Block, Kind
from core.assistant.extractive.words import count, find_word, fold, is_unspaced, numbers, stems, words

# A piece without any end in sight is cut here; nobody writes such a sentence.
MAX_CHARS = 1000
_CLOSERS = "\"'»«”“’‘)\\]」』）】》〉"
# Full stops of scripts without spaces end a sentence wherever they stand, the others before a space or the end.
_END = re.compile(rf"[。！？｡]+[{_CLOSERS}]*|[.!?…؟۔।॥]+(?:[{_CLOSERS}]+|\s?»)?(?=\s|$)")
_ASKS = re.compile(rf"[?؟？][{_CLOSERS}]*$")
_LEADS_IN = (":", "：")
_PAUSES = ":：,，;；،、"
# Words that a sentence and the list behind it may have together.
MAX_GATHERED = 60
# "am 3. Tag", "den 21. Mai".
_ORDINAL = re.compile(r"(?:^|\s)(?:am|vom|zum|beim|im|der|die|das|dem|den|des)\s+\d{1,2}\.$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`first`: it begins its block. `alone`: it can be read without the one before it."""

    text: str
    terms: tuple[str, ...]
    kind: Kind
    section: int
    first: bool
    alone: bool

    @property
    def is_question(self) -> bool:
        """Whether it asks instead of telling."""
        return _ASKS.search(self.text) is not None

    @property
    def denies(self) -> bool:
        """Whether it says that something is not so."""
        return any(sign in self.text for sign in UNSPACED_DENIALS) or any(
            fold(word) in DENIALS or word.endswith(("n't", "n’t")) for word in words(self.text)
        )

    @property
    def leads_in(self) -> bool:
        """Whether what it is about stands behind it, such as a list."""
        return self.text.endswith(_LEADS_IN)

    @property
    def is_whole(self) -> bool:
        """Whether it ends as sentences do."""
        return _END.search(self.text[-6:]) is not None

    @property
    def length(self) -> int:
        """Its words."""
        return count(self.text)


def read_sentences(blocks: Sequence[Block]) -> list[Sentence]:
    """The sentences of paragraphs and list items, in their order; headings and cells are none."""
    return [item for block in blocks if block.kind in (Kind.PARAGRAPH, Kind.ITEM) for item in _sentences(block)]


def gathered(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences, but one that leads in to a list or a formula is one with it, unless that grows too long."""
    found, place = [], 0
    while place < len(sentences):
        end = place + 1
        if sentences[place].leads_in:
            end = _end_of_list(sentences, place)
        whole = _merged(sentences[place:end])
        if whole.length > MAX_GATHERED:
            whole, end = sentences[place], place + 1
        found.append(whole)
        place = end
    return found


def split(text: str) -> list[str]:
    """The sentences of a plain text, without the space around them."""
    return list(_pieces(text))


def _end_of_list(sentences: Sequence[Sentence], place: int) -> int:
    """The place behind the list that follows; behind the next sentence where none does."""
    end, lead = place + 1, sentences[place]
    while end < len(sentences) and sentences[end].kind is Kind.ITEM and sentences[end].section == lead.section:
        end += 1
    if lead.kind is Kind.ITEM or (end == place + 1 and end < len(sentences) and sentences[end].section == lead.section):
        return place + 2 if place + 1 < len(sentences) and sentences[place + 1].section == lead.section else place + 1
    return end


def _merged(parts: Sequence[Sentence]) -> Sentence:
    if len(parts) == 1:
        return parts[0]
    text = parts[0].text
    for part in parts[1:]:
        text += (
            ("" if text[-1] in _PAUSES or _END.search(text[-6:]) else ";") + ("" if is_unspaced(text[-1]) else " ") + part.text
        )
    terms = tuple(dict.fromkeys(term for part in parts for term in part.terms))
    return Sentence(text, terms, Kind.PARAGRAPH, parts[0].section, parts[0].first, parts[0].alone)


def _sentences(block: Block) -> Iterator[Sentence]:
    for number, text in enumerate(_pieces(block.text)):
        terms = tuple(term for term in block.terms if find_word(text, term) >= 0 and stems(term) | numbers(term))
        yield Sentence(text, terms, block.kind, block.section, number == 0, not _leans(text))


def _pieces(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if _is_end(text[start : match.end()], text[match.end() : match.end() + 40]) or match.end() - start > MAX_CHARS:
            yield from _cut(text[start : match.end()].strip())
            start = match.end()
    yield from _cut(text[start:].strip())


def _cut(piece: str) -> Iterator[str]:
    if words(piece):
        yield from (piece[place : place + MAX_CHARS] for place in range(0, len(piece), MAX_CHARS))


def _is_end(before: str, after: str) -> bool:
    """Whether the stop at the end of `before` ends a sentence, when the text goes on with `after`."""
    following = after.lstrip(" \n\t\"'«“„(¿¡")[:1]
    if not following:
        return True
    # An opening quotation ended inside of this sentence, as in «Ja?» fragte er.
    if following.islower() or following in ";,:":
        return False
    if is_unspaced(after[0]) and before[-1] in _CLOSERS:
        return False
    if not before.endswith("."):
        return True
    last = before[:-1].rpartition(" ")[2].lstrip("(\"'«“„")
    # Initials, and "z. B.", "т. е.".
    is_letter = len(last) == 1 and last.isalpha() and not is_unspaced(last)
    dotted = is_letter and (last.isupper() or re.match(r"\s\w\.", after) or re.search(r"(?:^|\s)\w\.\s\w\.$", before))
    return not (dotted or fold(last) in ABBREVIATIONS or _ORDINAL.search(before))


def _leans(text: str) -> bool:
    """Whether the sentence needs the one before it to be understood."""
    found = words(text[:80])
    if not found:
        return True
    if is_unspaced(found[0][0]):
        return found[0].startswith(UNSPACED_OPENERS)
    return fold(found[0]) in OPENERS
