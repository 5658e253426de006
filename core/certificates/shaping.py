"""One line of text as glyphs at their places: bidirectional order, font fallback and shaping.

The order is that of UAX #9, glyphs and positions are HarfBuzz's, so that Arabic letters join, Devanagari forms its
conjuncts and marks sit where the font wants them. Lengths are in ems: multiply by the font size.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from core.certificates.fonts import Face, Typeface, is_invisible

# Printers' sign for a character they have no type for.
GETA = "\u3013"


class Glyph(NamedTuple):
    """A glyph of a face, how far the pen moves on, and by how much the glyph is off the pen."""

    number: int
    advance: float
    dx: float
    dy: float


class Cluster(NamedTuple):
    """The glyphs that together show a part of the text."""

    text: str
    face: Face
    glyphs: tuple[Glyph, ...]
    right_to_left: bool = False

    @property
    def width(self) -> float:
        """How far the pen moves on."""
        return sum(glyph.advance for glyph in self.glyphs)


class _Run(NamedTuple):
    """A part of the text with one direction and one face; `shown` is drawn for `text`."""

    text: str
    shown: str
    level: int
    face: Face


def graphemes(text: str) -> list[str]:
    """The parts a reader takes for single letters: a base with its marks, and what a joiner joins."""
    parts: list[str] = []
    for char in text:
        if parts and (is_extending(char) or (char != " " and _joins(parts[-1]))):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def is_extending(char: str) -> bool:
    """Whether it belongs to the character before it."""
    return unicodedata.category(char) in ("Mn", "Me", "Mc") or is_invisible(char) or "\U0001f3fb" <= char <= "\U0001f3ff"


def _joins(part: str) -> bool:
    # After a joiner, or after the virama of an Indic script (combining class 9), comes the rest of the same letter.
    return part[-1] == "\u200d" or (unicodedata.combining(part[-1]) == 9 and len(part) > 1)


def is_right_to_left(text: str) -> bool:
    """The paragraph direction by its first strong character (UAX #9, rules P2 and P3)."""
    strong = (unicodedata.bidirectional(char) for char in text)
    return next((kind for kind in strong if kind in ("L", "R", "AL")), "L") != "L"


def shape(text: str, typeface: Typeface, family: str, *, right_to_left: bool = False) -> list[Cluster]:
    """The line's clusters from left to right. `right_to_left`: the direction of its paragraph."""
    from xhtml2pdf.bidi import display_order, reorder

    if not text:
        return []
    _, levels = display_order(text, "R" if right_to_left else "L")
    runs = list(_runs(text, levels, typeface, family))
    return [cluster for index in reorder([run.level for run in runs]) for cluster in _clusters(runs[index])]


def _runs(text: str, levels: list[int], typeface: Typeface, family: str) -> Iterator[_Run]:
    """The text in logical order, cut where direction or face changes."""
    parts: list[_Run] = []
    index = 0
    line = typeface.find_own(family, text)
    for word in _words(text):
        whole = line or typeface.find(family, word)
        for part in graphemes(word):
            face, shown = (whole, part) if whole else _drawable(part, typeface, family)
            parts.append(_Run(part, shown, levels[index], face))
            index += len(part)
    yield from _joined(parts)


def _joined(parts: list[_Run]) -> Iterator[_Run]:
    for (level, face, as_is), group in groupby(parts, lambda part: (part.level, part.face, part.text == part.shown)):
        if as_is:
            text = "".join(part.text for part in group)
            yield _Run(text, text, level, face)
        else:
            yield from group


def _words(text: str) -> Iterator[str]:
    """The text cut before and after each run of spaces: a word is set in one face, if one has all of it."""
    for _, group in groupby(text, str.isspace):
        yield "".join(group)


def _drawable(part: str, typeface: Typeface, family: str) -> tuple[Face, str]:
    """A face for a letter, and what to draw with it: the letter, what it is compatible with, it without its marks, or the
    sign for a letter that cannot be drawn."""
    for shown in (part, unicodedata.normalize("NFKC", part), unicodedata.normalize("NFD", part)[:1]):
        face = typeface.find(family, shown)
        if face is not None:
            return face, shown
    face = typeface.find(family, GETA)
    return (face, GETA) if face else (typeface.family(family)[0], "?")


def _clusters(run: _Run) -> list[Cluster]:
    """The run's clusters from left to right."""
    import uharfbuzz

    buffer = uharfbuzz.Buffer()
    buffer.add_str(run.shown)
    buffer.direction = "rtl" if run.level & 1 else "ltr"
    buffer.guess_segment_properties()
    buffer.flags = uharfbuzz.BufferFlags.REMOVE_DEFAULT_IGNORABLES
    uharfbuzz.shape(run.face.font, buffer)
    upem = run.face.upem
    placed = [
        (info.cluster, Glyph(info.codepoint, place.x_advance / upem, place.x_offset / upem, place.y_offset / upem))
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)
    ]
    if run.text != run.shown:
        return [Cluster(run.text, run.face, tuple(glyph for _, glyph in placed), bool(run.level & 1))]
    starts = sorted({start for start, _ in placed})
    if not starts:  # characters that show nothing
        return [Cluster(run.text, run.face, ())]
    texts = {start: run.text[start:end] for start, end in zip(starts, [*starts[1:], len(run.text)], strict=True)}
    texts[starts[0]] = run.text[: starts[0]] + texts[starts[0]]
    return [
        Cluster(texts[start], run.face, tuple(glyph for _, glyph in group), bool(run.level & 1))
        for start, group in groupby(placed, lambda item: item[0])
    ]
