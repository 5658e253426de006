"""Words that tell how a sentence stands, not what it is about, in the languages of most courses: `words.json`.

Short lists on purpose: a word that is missing there only ranks a sentence a little wrong.
"""

from __future__ import annotations

from pathlib import Path

import orjson

_LISTS = orjson.loads((Path(__file__).parent / "words.json").read_bytes())

# They say little of their own.
FUNCTION_WORDS = frozenset(word for line in _LISTS["function"].values() for word in line.split())
# A sentence that begins with one leans on the sentence before; of scripts without spaces, with what it begins.
OPENERS = frozenset(word for line in _LISTS["openers"].values() for word in line.split())
UNSPACED_OPENERS = tuple(_LISTS["openers_unspaced"].split())
# They deny: a wrong number in such a sentence may make it true.
DENIALS = frozenset(_LISTS["denials"].split())
UNSPACED_DENIALS = tuple(_LISTS["denials_unspaced"].split())
# Behind these a full stop ends no sentence.
ABBREVIATIONS = frozenset(_LISTS["abbreviations"].split())
