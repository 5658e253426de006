"""The terms of full-text search, matched here as the index matches them: every one, and starred ones as beginnings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.courses import search


def found(document: str, query: str) -> bool:
    terms = search.document([document]).split()
    asked = search.expression(query)
    assert asked is not None
    wanted = [term.removeprefix("+") for term in asked.split()]
    return bool(wanted) and all(
        any(term.startswith(item[:-1]) if item.endswith("*") else term == item for term in terms) for item in wanted
    )


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ("Introduction to Python", "python"),
        ("Introduction to Python", "INTRODUCTION pyth"),
        ("The art of war", "the art of war"),
        ("Go, R and C", "c r"),
        ("Modern C++ and C#", "c++"),
        ("Modern C++ and C#", "C#"),
        ("Modern C++", "c"),
        ("Ångström and café", "angstrom CAFÉ"),
        ("Cafe", "café"),
        ("Straße", "STRASSE"),
        ("Ｐｙｔｈｏｎ　入門", "python 入門"),
        ("Python入門", "入門 python"),
        ("机器学习导论", "学习"),
        ("机器学习导论", "机器学习"),
        ("机器学习导论", "论"),
        ("机器学习导论", "器"),
        ("データの見方", "ﾃﾞｰﾀ"),
        ("グラフと平均だけで、数字を読み取ります", "平均"),
        ("학교에서 배우는 수학", "학교"),
        ("학교에서 배우는 수학", "수학 학교에서"),
        ("การเรียนรู้ภาษาไทย", "ภาษา"),
        ("भारत का इतिहास", "इतिहास भारत"),
        ("Введение в алгоритмы", "алгор"),
        ("مقدمة في البرمجة", "البرمجة"),
        ("می‌خواهم", "میخواهم"),
        ("Node.js — don’t panic", "node.js don't"),
        ("snake_case", "snake"),
        ("x" * 90, "x" * 90),
        ("я" * 90, "я" * 90),
        ("Happy 😀 hour", "😀"),
        ("🎉🎊 party", "🎊"),
        ("中文 English ไทย mixed", "english 中文 ไทย"),
    ],
)
def test_is_found(document: str, query: str) -> None:
    assert found(document, query)


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ("Introduction to Python", "intro python"),  # only the last word may be cut short
        ("Introduction to Python", "python java"),
        ("Concurrency", "c"),
        ("Modern C", "c++"),
        ("机器学习", "学机"),
        ("机器 学习", "器学"),
        ("データ", "テータ"),  # the sound marks of kana are letters' own
        ("й", "и"),
        ("Anything", "\"()*~@<> \\ % ' +-"),
    ],
)
def test_is_not_found(document: str, query: str) -> None:
    assert not found(document, query)


@pytest.mark.parametrize("query", ["", " ", "\u3000\n"])
def test_a_blank_query_asks_nothing(query: str) -> None:
    assert search.expression(query) is None


def test_a_query_without_words_finds_nothing() -> None:
    assert search.expression("+++ --- !") == ""


def test_lengths_are_bounded() -> None:
    every_pair = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(20000))
    assert len(search.document(["Title", every_pair]).split()) == search.MAX_DOCUMENT_TERMS
    assert search.document(["Title", every_pair]).startswith("zwtitle ")
    asked = search.expression(every_pair[:200])
    assert asked is not None
    assert len(asked.split()) == search.MAX_QUERY_TERMS


@given(st.text(max_size=200))
def test_the_index_gets_terms_alone(text: str) -> None:
    """Letters and digits, long enough for every minimum, no longer than a term may be; nothing of it is an operator."""
    assert re.fullmatch(r"(z[wxc][0-9a-z]{1,82}( |$))*", search.document([text]))
    asked = search.expression(text)
    assert asked is None or re.fullmatch(r"(\+z[wxc][0-9a-z]{1,82}\*?( |$))*", asked)


@given(st.text(max_size=120), st.data())
def test_a_text_is_found_by_what_it_says(text: str, data: st.DataObject) -> None:
    """By the whole, and by any of its words."""
    words = [word for word in text.split() if search.expression(word)]
    if words:
        assert found(text, data.draw(st.sampled_from(words)))
        assert found(text, " ".join(words[:8]))


@given(st.text("机器学习データの見方학교ภาษา", min_size=1, max_size=30), st.data())
def test_a_run_without_spaces_is_found_by_any_part(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert found(text, text[start:end])
