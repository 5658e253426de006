"""Shaping: order, joined forms, conjuncts and fallback from font to font."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.certificates.embedding import told
from core.certificates.fonts import find_fonts, load_typeface
from core.certificates.shaping import GETA, graphemes, is_right_to_left, shape

FONTS = find_fonts()


def shown(text: str, family: str = "roman") -> list[tuple[str, str]]:
    """The parts from left to right with their fonts."""
    clusters = shape(text, load_typeface(), family, right_to_left=is_right_to_left(text))
    return [(cluster.text, cluster.face.name.partition("-")[0].partition(".")[0]) for cluster in clusters]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("Ali", "Ali"),
        ("דוד", "דוד"[::-1]),
        ("Ali דוד Lee", "Ali " + "דוד"[::-1] + " Lee"),
        ("דוד (Ali 7)", "(Ali 7) " + "דוד"[::-1]),
    ],
)
def test_from_left_to_right(text: str, order: str) -> None:
    drawn = "".join(part for part, _ in shown(text))
    assert drawn.replace("(", "").replace(")", "") == order.replace("(", "").replace(")", "")


def test_brackets_are_mirrored() -> None:
    clusters = shape("(דוד)", load_typeface(), "roman", right_to_left=True)
    assert clusters[0].text == ")"
    assert clusters[0].glyphs[0].number == clusters[0].face.font.get_nominal_glyph(ord("("))


def test_arabic_letters_join() -> None:
    alone = [shape(char, load_typeface(), "roman", right_to_left=True)[0].glyphs[0].number for char in "محمد"]
    joined = [cluster.glyphs[0].number for cluster in reversed(shape("محمد", load_typeface(), "roman", right_to_left=True))]
    assert len(joined) == 4
    assert joined[:3] != alone[:3]
    [ligature] = shape("لا", load_typeface(), "roman", right_to_left=True)
    assert len(ligature.glyphs) == 1
    assert told(ligature) == "\ufefb"


@pytest.mark.skipif("Lohit-Devanagari.ttf" not in FONTS, reason="fonts-lohit-deva is not installed")
def test_devanagari_forms_conjuncts_and_moves_its_vowels() -> None:
    typeface = load_typeface()
    ka, vowel = (shape(char, typeface, "roman")[0].glyphs for char in ("क", "कि"))
    assert [glyph.number for glyph in vowel][1] == ka[0].number, "the short i stands before its consonant"
    [conjunct] = shape("क्ष", typeface, "roman")
    assert len(conjunct.glyphs) == 1
    [reph] = shape("र्म", typeface, "roman")
    assert reph.glyphs[-1].advance == 0, "the r above the line moves nothing on"


def test_a_word_is_set_in_one_face() -> None:
    assert {face for _, face in shown("Nguyễn Thị Hồng")} == {"DejaVuSerif"}
    faces = dict(shown("Anna李"))
    assert faces["李"] == "DroidSansFallbackFull"
    assert faces["A"] != faces["李"]


def test_what_no_font_draws_is_marked() -> None:
    [missing] = shape("\U00010080", load_typeface(), "roman")
    [geta] = shape(GETA, load_typeface(), "roman")
    assert (missing.text, missing.glyphs) == ("\U00010080", geta.glyphs)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("q\u0308a", ["q\u0308", "a"]),
        ("क्षि", ["क्षि"]),
        ("क\u094d", ["क\u094d"]),
        ("", []),
        ("김민", ["김", "민"]),
    ],
)
def test_graphemes(text: str, parts: list[str]) -> None:
    assert graphemes(text) == parts


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=40), st.booleans())
def test_every_letter_is_in_one_cluster(text: str, right_to_left: bool) -> None:
    clusters = shape(text, load_typeface(), "roman", right_to_left=right_to_left)
    assert sorted("".join(cluster.text for cluster in clusters)) == sorted(text)
    assert all(cluster.glyphs or not cluster.text.strip() or not cluster.text.isprintable() for cluster in clusters)
