"""Tidying and fitting texts: nothing is lost, nothing is too large."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.certificates import drawings
from core.certificates.colours import INK
from core.certificates.drawings import Setter
from core.certificates.fitting import MAX_TEXT, clean, fit, printable, wrap
from core.certificates.fonts import load_typeface
from core.certificates.pdf import GAPS
from core.certificates.shaping import graphemes, is_right_to_left

SCRIPTS = "aW éå яЖ ώ 李の 김 مح دו क्षि \u0301\u05b8\u200d,.-()12"
TEXTS = st.one_of(st.text(st.sampled_from(SCRIPTS), max_size=MAX_TEXT), st.text(max_size=600))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Anna\t\n Lee ", "Anna Lee"),
        ("a\x00b\x1bc\u202ed\ufeff", "abcd"),
        ("A\u030a", "Å"),
        ("\ud800x", "x"),
        ("x" * 600, "x" * 499 + "…"),
        ("Anna \U0001f469\u200d\U0001f4bb\u2764\ufe0f Lee", "Anna Lee"),
        ("1\ufe0f\u20e3 \U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd", "1"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("\u200dA\u200d \u200cB", "A B"),
        ("x" + "\u0323" * 9, "\u1e8b".replace("\u1e8b", "x") + "\u0323" * 4),
        ("\u00a0A\u3000B\u2028C", "A B C"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(max_size=800))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert len(once) <= MAX_TEXT
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co") for char in once)
    assert printable(text).strip()


def test_direction_is_the_first_strong_letter_s() -> None:
    assert is_right_to_left("12 محمد Ali")
    assert not is_right_to_left("Ali محمد")
    assert not is_right_to_left("12")


@pytest.mark.parametrize(
    ("text", "limit", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("a abcdefgh", 3, ["a", "abc", "def", "gh"]),
        ("李小龍 x", 2, ["李小", "龍", "x"]),
        ("q\u0308q\u0308", 2, ["q\u0308", "q\u0308"]),
        ("", 3, []),
    ],
)
def test_wrap(text: str, limit: float, lines: list[str]) -> None:
    assert wrap(text, limit, len) == lines


@given(TEXTS.map(clean), st.floats(1, 50))
@example("1\u094d 1", 1.0)  # nothing joins a space
def test_wrapping_loses_nothing_and_keeps_letters_whole(text: str, limit: float) -> None:
    lines = wrap(text, limit, len)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= limit or len(graphemes(line)) == 1 for line in lines)
    assert [part for line in lines for part in graphemes(line) if part != " "] == [
        part for part in graphemes(text) if part != " "
    ]


def test_fit_shrinks_then_breaks_evenly() -> None:
    ladder = ((10, 1), (8, 1), (8, 2))
    assert fit("abcd", 40, ladder, len) == (10, ["abcd"])
    assert fit("abcde", 40, ladder, len) == (8, ["abcde"])
    assert fit("aa bb cc dd", 80, ladder, len) == (8, ["aa bb", "cc dd"])
    size, lines = fit("abcdefgh" * 10, 40, ladder, len)
    assert size < 8
    assert len(lines) == 2


@given(TEXTS.map(clean), st.floats(20, 700))
def test_what_fits_is_in_its_box(text: str, box: float) -> None:
    size, lines = fit(text, box, drawings.NAME_LADDER, len)
    allowed = [allowed for step, allowed in drawings.NAME_LADDER if step == size] or [drawings.NAME_LADDER[-1][1]]
    assert len(lines) <= max(allowed)
    assert all(len(line) * size <= box * 1.001 or len(graphemes(line)) == 1 for line in lines)


@settings(max_examples=30, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_whatever_is_said_the_column_holds_it(name: str, course: str, subtitle: str, with_logo: bool) -> None:
    setter = Setter(load_typeface())
    pieces = {
        "logo": drawings.SPACE._replace(height=drawings.LOGO_HEIGHT + 7 if with_logo else 0),
        "brand": setter.text("SKILLFORGE", drawings.BRAND),
        "heading": setter.text("Certificate of Completion", drawings.HEADING),
        "certifies": setter.text("This is to certify that", drawings.PHRASE),
        "name": setter.text(name, drawings.NAME),
        "rule": drawings.rule(),
        "completed": setter.text("has successfully completed the course", drawings.PHRASE),
        "course": setter.text(course, drawings.title_style(INK)),
        "subtitle": setter.text(subtitle, drawings.SUBTITLE),
        "details": setter.text(f"taught by {name}, with a final score of 97.5%", drawings.DETAIL),
    }
    spaced = drawings.spaced(pieces, GAPS)
    gaps = spaced["gap"].height * GAPS + spaced["top"].height
    assert sum(piece.height for piece in pieces.values()) + gaps <= drawings.COLUMN_HEIGHT
    for text, height in ((name, drawings.SIGNATURE_HEIGHT), (subtitle, 25)):
        style = drawings.SIGNED if height == drawings.SIGNATURE_HEIGHT else drawings.CAPTION
        assert setter.text(text, style, drawings.WRITING).height <= height
