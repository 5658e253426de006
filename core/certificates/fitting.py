"""Making any text fit its place on the certificate: tidying, breaking into lines, choosing a size. Pure functions."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from core.certificates.shaping import graphemes, is_extending

MAX_TEXT = 500  # characters of one name or title; the rest is cut with an ellipsis
MAX_MARKS = 4  # on one letter; more would reach into the lines above and below
NOTHING = "\u2014"  # what stands for a text of which nothing can be printed

# How wide a text is at size 1.
Width = Callable[[str], float]
# (font size in points, lines allowed), tried from the top: large on one line, then smaller, then more lines.
Ladder = tuple[tuple[float, int], ...]


def clean(text: str, lacks: Callable[[str], bool] = lambda char: False) -> str:
    """One line of printable text: composed, without control and direction characters, emoji, and signs no font draws.

    Letters no font draws stay: what cannot be shown of a name is marked as such, a gap would hide it.
    """
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if char.isspace():
            char = " "
        elif is_extending(char) and (not kept or kept[-1] == " "):
            continue  # it has no letter to sit on
        elif _is_unprintable(char, category) or (category in ("So", "Sk", "Mn", "Me") and lacks(char)):
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            kept.append(char)
    line = " ".join(_tidy_joiners("".join(kept)).split()).strip()
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1].rstrip() + "…"


def _is_unprintable(char: str, category: str) -> bool:
    if category == "Cf":
        return char not in "\u200c\u200d"
    # U+20E3 makes keycaps, U+FE0F asks for an emoji's picture, from U+1F000 on all signs are pictures.
    return (
        category in ("Cc", "Cs", "Co", "Cn") or char in "\u20e3\ufe0e\ufe0f" or (category in ("So", "Sk") and _is_picture(char))
    )


def _is_picture(char: str) -> bool:
    return char >= "\U0001f000" or "\u2600" <= char <= "\u27bf" or "\u2b00" <= char <= "\u2bff" or "\u231a" <= char <= "\u23ff"


def _tidy_joiners(text: str) -> str:
    """Without joiners that have nothing on one side, as the parts of an emoji leave behind."""
    return "".join(
        char
        for index, char in enumerate(text)
        if char not in "\u200c\u200d" or (_is_letter(text[index - 1 : index]) and _is_letter(text[index + 1 : index + 2]))
    )


def _is_letter(char: str) -> bool:
    return bool(char) and unicodedata.category(char)[0] in "LM"


def printable(text: str, lacks: Callable[[str], bool] = lambda char: False) -> str:
    """The cleaned text, or a dash when nothing of it is left."""
    cleaned = clean(text, lacks)
    return cleaned if any(not is_extending(char) for char in cleaned) else NOTHING


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The parts a line may be broken between, and whether a space stands before each: words, and CJK characters singly."""
    for word in text.split(" "):
        piece, spaced = "", True
        for part in graphemes(word):
            if unicodedata.east_asian_width(part[0]) in ("W", "F"):
                if piece:
                    yield piece, spaced
                    piece, spaced = "", False
                yield part, spaced
                spaced = False
            else:
                piece += part
        if piece:
            yield piece, spaced


def wrap(text: str, limit: float, width: Width) -> list[str]:
    """Breaks a text into lines no wider than the limit; a word wider than a line is cut between letters."""
    lines: list[str] = []
    line, used = "", 0.0
    for piece, spaced in _pieces(text):
        size, gap = width(piece), width(" ") if spaced and line else 0.0
        if used + gap + size <= limit:
            line, used = line + (" " if gap else "") + piece, used + gap + size
            continue
        if line:
            lines.append(line)
        line, used = (piece, size) if size <= limit else _cut(piece, limit, width, lines)
    return [*lines, line] if line else lines


def _cut(word: str, limit: float, width: Width, lines: list[str]) -> tuple[str, float]:
    """Appends the full lines a word makes; its rest, and how wide that is."""
    line, used = "", 0.0
    for part in graphemes(word):
        size = width(part)
        if line and used + size > limit:
            lines.append(line)
            line, used = "", 0.0
        line, used = line + part, used + size
    return line, used


def fit(text: str, box: float, ladder: Ladder, width: Width) -> tuple[float, list[str]]:
    """The largest size on the ladder at which the text fits the box's width (in points), and its lines, evened out.

    On the last step the size is reduced further until nothing is too wide or too long.
    """
    width = cache(width)
    size, lines, allowed = ladder[0][0], [text], 1
    for size, allowed in ladder:
        lines = wrap(text, box / size, width)
        if len(lines) <= allowed:
            return size, _even(text, lines, box / size, width)
    while len(lines) > allowed and size > 0.5:
        size *= 0.9
        lines = wrap(text, box / size, width)
    return size, _even(text, lines, box / size, width)


def _even(text: str, lines: list[str], limit: float, width: Width) -> list[str]:
    """As many lines, of about the same length."""
    total = width(text)
    for slack in (1.0, 1.1, 1.2, 1.35, 1.5):
        even = wrap(text, min(limit, slack * total / max(1, len(lines))), width)
        if len(even) <= len(lines):
            return even
    return lines
