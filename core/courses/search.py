"""The terms of full-text search: what is stored of a course, and what a query asks for.

InnoDB's index sees no text. Its parsers differ between servers (MariaDB has none for Chinese and Japanese), drop short
and common words, and break words at marks. So both sides are spelled in terms that any of them keeps whole: lower-case
ASCII, three to 84 characters, beginning with two letters that tell the kind:

- `zw` a word of the letters a-z and digits, as it is;
- `zx` any other word, each UTF-16 unit as four hexadecimal digits, so that a word's beginning is its term's beginning;
- `zc` two neighbours of a script that is written without spaces, or in long compounds (Chinese, Japanese, Korean, Thai,
  Lao, Khmer, Burmese; symbols such as emoji too), spelled likewise; and the last character of such a run alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

# Raise it with every change of how terms are spelled: stored ones of another format are made anew.
FORMAT = 1
MAX_DOCUMENT_TERMS = 6000
MAX_QUERY_TERMS = 32
# A shorter word is not taken for the beginning of a longer one.
MIN_PREFIX = 2

_MAX_PLAIN = 80
_MAX_UNITS = 20
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2600-\u27bf\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u312f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
_PARTS = re.compile(f"([{_UNSPACED}]+)|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_PLAIN = re.compile("[a-z0-9]+")
# Names such as c++, c# and f#: found as such besides their letters.
_SIGNED = re.compile(r"(?<![a-z0-9])[a-z0-9]{1,3}(?:\+{1,2}|#)(?![a-z0-9+#])")
_ACCENTED = re.compile("([a-z])[\u0300-\u036f]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
# Compatibility normalisation would make letters of these.
_MARKS = str.maketrans("™℠", "  ")


class Part(NamedTuple):
    """A word, or a run of a script without spaces."""

    text: str
    unspaced: bool


def fold(text: str) -> str:
    """The text as it is compared: NFKC, without case, accents of Latin letters, and what is invisible."""
    text = _INVISIBLE.sub("", text.translate(_MARKS))
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTED.sub(r"\1", unicodedata.normalize("NFD", text)))


def document(texts: Iterable[str]) -> str:
    """The terms to store of these texts, each once; the most telling text first, as long ones may be cut."""
    found: dict[str, None] = {}
    for text in texts:
        folded = fold(text)
        for part in _parts(folded):
            found.update(dict.fromkeys(_stored(part)))
        found.update(dict.fromkeys(map(_signed, _SIGNED.findall(folded))))
    return " ".join(list(found)[:MAX_DOCUMENT_TERMS])


def expression(query: str) -> str | None:
    """What finds every word of the query, in boolean mode; "": the query has no word, so nothing is found; None: it
    is blank. The last word may be the beginning of a longer one, unless it is a single letter."""
    if not query.strip():
        return None
    folded = fold(query)
    parts = list(_parts(folded))
    wanted: dict[str, None] = {}
    for place, part in enumerate(parts, 1):
        wanted.update(dict.fromkeys(_asked(part, is_last=place == len(parts))))
    wanted.update(dict.fromkeys(map(_signed, _SIGNED.findall(folded))))
    return " ".join(f"+{term}" for term in list(wanted)[:MAX_QUERY_TERMS])


def _parts(folded: str) -> Iterator[Part]:
    for word in "".join(char if _in_word(char) else " " for char in folded).split():
        for match in _PARTS.finditer(word):
            yield Part(match[0], match[1] is not None)


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char).startswith("M") or bool(_IS_UNSPACED.match(char))


def _stored(part: Part) -> Iterator[str]:
    if not part.unspaced:
        yield _word(part.text)
        return
    for first, second in pairwise(part.text):
        yield f"zc{_units(first + second)}"
    yield f"zc{_units(part.text[-1])}"


def _asked(part: Part, *, is_last: bool) -> Iterator[str]:
    if not part.unspaced:
        yield _word(part.text) + ("*" if is_last and len(part.text) >= MIN_PREFIX else "")
    elif len(part.text) == 1:
        yield f"zc{_units(part.text)}*"  # the first of two neighbours, or the last of a run
    else:
        for first, second in pairwise(part.text):
            yield f"zc{_units(first + second)}"


def _word(word: str) -> str:
    return f"zw{word[:_MAX_PLAIN]}" if _PLAIN.fullmatch(word) else f"zx{_units(word)}"


def _signed(name: str) -> str:
    return f"zx{_units(name)}"


def _units(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").hex()[: 4 * _MAX_UNITS]
