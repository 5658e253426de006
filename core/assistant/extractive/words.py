"""Words of any script: where they are, which of them carry meaning, and how many there are."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from core.assistant.extractive.function_words import FUNCTION_WORDS

# Scripts that are written without spaces: Chinese and Japanese, Thai, Lao, Khmer, Burmese, and their punctuation.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3001-\u303f\u3041-\u309f\u30a1-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u9fff"
    "\uf900-\ufaff\uff01-\uff0f\uff1a-\uff20\U00020000-\U0003ffff"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
# Marks that belong to the letter before them: accents, Hebrew and Arabic points, Indic vowel signs.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963"
    "\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d\u0a81-\u0acd\u0b01-\u0b57\u0b82-\u0bcd\u0c00-\u0c56\u0c81-\u0cd6\u0d00-\u0d57"
    "\u200c\u200d"
)
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+(?:[-'’](?:[^\W_]|[{_MARKS}])+)*")
# With the marks that group digits and part the decimals, in any script's digits.
_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
# Words that differ only behind so many letters are mostly forms of one word.
_STEM = 6


def is_unspaced(char: str) -> bool:
    """Whether the character's script is written without spaces."""
    return _IS_UNSPACED.match(char) is not None


def words(text: str) -> list[str]:
    """The words of a text as they stand; a run of a script without spaces is one."""
    return [run for word in _WORD.findall(text) for run in _RUN.findall(word)]


def has_words(text: str) -> bool:
    """Whether there is anything to read."""
    return _WORD.search(text) is not None


def count(text: str) -> int:
    """How many words; each character of a script without spaces counts as one."""
    return sum(sum(map(is_unspaced, word)) or 1 for word in words(text))


def stems(text: str) -> set[str]:
    """What the text speaks of, for comparisons: its words without case, endings and those that carry no meaning of their
    own; of scripts without spaces every two neighbours."""
    found: set[str] = set()
    for word in words(text):
        folded = fold(word)
        if is_unspaced(folded[0]):
            found.update(first + second for first, second in pairwise(folded) if not _is_kana(first + second))
        elif is_meaningful(folded):
            found.add(folded[:_STEM])
    return found


def find_word(text: str, term: str) -> int:
    """Where the term stands in the text as words of its own, not as a part of others; -1: nowhere."""
    place = text.find(term)
    while place >= 0 and not (_parted(text, place) and _parted(text, place + len(term))):
        place = text.find(term, place + 1)
    return place


def numbers(text: str) -> set[str]:
    """The numbers written in digits, as they stand."""
    return set(_NUMBER.findall(text))


def _parted(text: str, place: int) -> bool:
    """Whether a word ends, or another begins, at this place."""
    if not 0 < place < len(text) or is_unspaced(text[place - 1]) or is_unspaced(text[place]):
        return True
    return _WORD.match(text[place - 1 : place + 1]) is None or not _WORD.fullmatch(text[place - 1 : place + 1])


@lru_cache(maxsize=8192)
def fold(word: str) -> str:
    """A word as it is compared: without case, width and Arabic vowel points."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(char for char in folded if not "\u064b" <= char <= "\u0652")


def is_meaningful(folded: str) -> bool:
    """Whether a folded word says what a text is about."""
    return len(folded) > 1 and folded not in FUNCTION_WORDS and not folded.isdigit()


def _is_kana(pair: str) -> bool:
    """Two hiragana are mostly an ending or a particle."""
    return all("\u3041" <= char <= "\u309f" for char in pair)
