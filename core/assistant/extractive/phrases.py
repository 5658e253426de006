"""The sentences of feedback, in the languages of most courses: `phrases.json`. They are put so that no word bends with a
number or a name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson


class Phrases(NamedTuple):
    """Templates of one language; `{title}` is a lecture's."""

    lectures: str
    complete: str
    begun: str
    all_lectures: str
    average: str
    good: str
    exam_passed: str
    idle: str
    begin: str
    go_on: str
    repeat: str
    try_quiz: str
    exam_open: str
    exam_again: str


_LANGUAGES = {
    language: Phrases(**phrases)
    for language, phrases in orjson.loads((Path(__file__).parent / "phrases.json").read_bytes()).items()
}


def phrases_for(language: str) -> Phrases:
    """The phrases of a language tag (BCP 47); English where there are none."""
    return _LANGUAGES.get(language.partition("-")[0].lower(), _LANGUAGES["en"])
